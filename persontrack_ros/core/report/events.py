"""The events of persons at lines and in zones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from persontrack_ros.core.base.geometry import FloatArray, as_boxes
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.drawing import outline
from persontrack_ros.core.report.zones import Zones
from persontrack_ros.core.tracking.track import Track

# Who was not measured for this long, in nanoseconds, has left the zones.
PATIENCE = 2 * SECOND


@dataclass(frozen=True)
class Event:
    """
    A person crossed a line, or entered or left a zone.

    :ivar stamp: time in nanoseconds.
    :ivar id: of the track.
    :ivar kind: 'line' or 'zone'.
    :ivar name: of the line or zone.
    :ivar event: the direction, 'entered' or 'left'.
    :ivar position: of the person, in the unit of the zones.
    """

    stamp: int
    id: int
    kind: str
    name: str
    event: str
    position: tuple[float, float]


@dataclass
class _Person:
    """The last position of a person, and what was not yet settled by the margin."""

    stamp: int
    position: FloatArray
    crossed: dict[str, int] = field(default_factory=dict)
    inside: set[str] = field(default_factory=set)


class ZoneCounter:
    """
    Finds the events of persons, and counts them.

    A crossing counts when the person is farther than the margin from the line: once, however long
    they stay on it, and not if they turn back. A zone is entered and left by the margin, too.
    Who is not measured for PATIENCE has left, at the time of the last measurement.

    :ivar zones: in the unit of the positions; pixels only after :meth:`fit`.
    :ivar counts: number of events by name and event, of all that can be.
    """

    def __init__(self, zones: Zones) -> None:
        """Start without persons."""
        self.zones = self._given = zones
        self._persons: dict[int, _Person] = {}
        # On the screen, y points down.
        self._left = 1 if zones.frame else -1
        sides = {name: (line.left, line.right) for name, line in zones.lines.items()}
        sides.update(dict.fromkeys(zones.zones, ('entered', 'left')))
        self.counts = {(name, event): 0 for name, both in sides.items() for event in both}

    def forget(self) -> None:
        """Forget the persons; the counts stay."""
        self._persons.clear()

    def fit(self, size: tuple[int, int]) -> bool:
        """
        Count in pixels of images of this width and height; persons keep their places.

        :returns: whether the size is another one than before.
        :raises SettingsError: see :meth:`Zones.in_pixels`.
        """
        before = self.zones.image_size
        if before == size:
            return False
        self.zones = self._given.in_pixels(*size)
        for person in self._persons.values():
            person.position = person.position * np.divide(size, before or size)
        return True

    def inside(self, name: str) -> list[int]:
        """Return the ids of the persons in a zone."""
        return sorted(id_ for id_, person in self._persons.items() if name in person.inside)

    def follow(self, stamp: int, tracks: Iterable[Track], measured: bool) -> list[Event]:
        """
        Take the tracks of the next image.

        :param measured: leave out predicted boxes, which may be far off.
        """
        used = [track for track in tracks if track.detection is not None or not measured]
        boxes = as_boxes([track.box for track in used])
        return self.update(stamp, [track.id for track in used], self.zones.positions(boxes))

    def update(self, stamp: int, ids: Sequence[int], positions: FloatArray) -> list[Event]:
        """
        Take the persons that were measured in the next image.

        :param stamp: time of the image in nanoseconds.
        :param positions: of each, shape ``(N, 2)``, in the unit of the zones.
        """
        events: list[Event] = []
        for id_, person in list(self._persons.items()):
            if stamp - person.stamp > PATIENCE:
                events += [
                    self._event(id_, person, 'zone', name, 'left') for name in person.inside
                ]
                del self._persons[id_]
        for id_, position in zip(ids, positions):
            person = self._persons.setdefault(id_, _Person(stamp, position))
            before, person.position, person.stamp = person.position, position, stamp
            for name, line in self.zones.lines.items():
                crossed = person.crossed.get(name, 0) + _crossings(line.points, before, position)
                if crossed and _distance(line.points, position) >= self.zones.margin:
                    left = crossed * self._left > 0
                    side = line.left if left else line.right
                    events.append(self._event(id_, person, 'line', name, side))
                    crossed = 0
                person.crossed[name] = crossed
            for name, corners in self.zones.zones.items():
                depth = cv2.pointPolygonTest(corners.astype(np.float32), position.tolist(), True)
                if name not in person.inside and depth >= self.zones.margin:
                    person.inside.add(name)
                    events.append(self._event(id_, person, 'zone', name, 'entered'))
                elif name in person.inside and depth <= -self.zones.margin:
                    person.inside.remove(name)
                    events.append(self._event(id_, person, 'zone', name, 'left'))
        for event in events:
            self.counts[event.name, event.event] += 1
        return events

    @staticmethod
    def _event(id_: int, person: _Person, kind: str, name: str, event: str) -> Event:
        x, y = person.position.tolist()
        return Event(person.stamp, id_, kind, name, event, (x, y))


def draw_zones(canvas: BgrImage, counter: ZoneCounter) -> None:
    """Draw lines, zones and their counts into an image of their size; changes it."""
    zones = counter.zones
    texts = {
        name: f'{name}: '
        + ', '.join(f'{side} {counter.counts[name, side]}' for side in (line.left, line.right))
        for name, line in zones.lines.items()
    }
    texts.update({name: f'{name}: {len(counter.inside(name))}' for name in zones.zones})
    shapes = {name: line.points for name, line in zones.lines.items()} | zones.zones
    scale = max(0.4, canvas.shape[1] / 1200)
    for name, points in shapes.items():
        outline(canvas, points.round(), name in zones.zones, texts[name], scale)


def _crossings(points: FloatArray, start: FloatArray, end: FloatArray) -> int:
    """Return how often a step crosses a line, positive where y of its side grows."""
    total = 0
    for first, last in pairwise(points):
        before, after = _side(first, last, start), _side(first, last, end)
        # Half-open: a step through a point of the line crosses one of its parts only.
        if before != after and _side(start, end, first) != _side(start, end, last):
            total += 1 if after else -1
    return total


def _side(first: FloatArray, last: FloatArray, point: FloatArray) -> bool:
    (x0, y0), (x1, y1), (x, y) = first, last, point
    return bool((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0)


def _distance(points: FloatArray, point: FloatArray) -> float:
    """Return the distance of a point from a line."""
    starts, ways = points[:-1], np.diff(points, axis=0)
    parts = np.clip(((point - starts) * ways).sum(axis=1) / (ways**2).sum(axis=1), 0.0, 1.0)
    return float(np.hypot(*(starts + ways * parts[:, None] - point).T).min())
