"""The data of a report: little enough for hours of video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray, as_boxes, iou, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.report.events import Event
from persontrack_ros.core.report.zones import Zones
from persontrack_ros.core.tracking.track import Track

# A longer absence, in seconds, begins a new visit.
AWAY = 1.0

# Height of the picture of a person, of those of moments, and width of the scene, in pixels, and
# their quality.
PICTURE_HEIGHT = 144
MOMENT_HEIGHT = 96
SCENE_WIDTH = 960
QUALITY = 75

# Pictures of the moments of one person, at most: the first ones, and the end.
MOMENTS = 6

# A picture is replaced by one that is better by this factor.
_BETTER = 1.3

# The path of a person has points this far apart, as a part of the image, and at most this number:
# then every second one is removed.
_STEP = 0.01
_POINTS = 200

# The number of persons is counted for at most this number of equal intervals, of a second at
# first.
_BINS = 600

# Columns and rows of the heat map.
HEAT = (64, 48)


@dataclass
class Person:
    """
    The data of one person.

    :ivar visits: start and end of each visit, in seconds.
    :ivar ways: path of the feet in each visit, as parts of width and height.
    :ivar picture: the best picture of the person, as JPEG; None without images.
    :ivar moments: time in seconds, what happened, and a picture as JPEG.
    :ivar last: the newest picture, in pixels.
    """

    visits: list[tuple[float, float]] = field(default_factory=list)
    ways: list[list[tuple[float, float]]] = field(default_factory=list)
    picture: Optional[bytes] = None
    value: float = 0.0
    moments: list[tuple[float, str, bytes]] = field(default_factory=list)
    last: Optional[BgrImage] = None

    @property
    def present(self) -> float:
        """Duration of all visits, in seconds."""
        return sum(last - first for first, last in self.visits)

    def stand(self, time: float, foot: tuple[float, float]) -> None:
        """Record the position of the person."""
        if self.visits and time - self.visits[-1][1] <= AWAY:
            self.visits[-1] = (self.visits[-1][0], time)
        else:
            self.visits.append((time, time))
            self.ways.append([])
        way = self.ways[-1]
        if not way or np.hypot(way[-1][0] - foot[0], way[-1][1] - foot[1]) >= _STEP:
            way.append(foot)
        if len(way) > _POINTS:
            self.ways[-1] = way[::2]

    def all_moments(self) -> list[tuple[float, str, bytes]]:
        """Return the moments, with the last sight of the person."""
        if self.last is None:
            return self.moments
        return [*self.moments, (self.visits[-1][1], 'to', _encode(self.last, 1.0))]


class Observations:
    """
    Positions, times and events of all persons.

    :ivar persons: by id.
    :ivar start: time of the first image, in nanoseconds.
    :ivar duration: from the first image to the last one, in seconds.
    :ivar images: number of images.
    :ivar size: width and height of the images, where they are known.
    :ivar scene: the image with the fewest persons, as JPEG; None without images.
    :ivar events: with their time in seconds.
    :ivar zones: in pixels of the images; None without lines and zones.
    :ivar heat: seconds that persons stood in each part of the image, shape ``(rows, columns)``.
    """

    def __init__(self, size: Optional[tuple[int, int]] = None, pictures: bool = True) -> None:
        """
        Start without an image.

        :param size: width and height of the images, if no image is given.
        :param pictures: keep pictures of persons and of the scene.
        """
        self.persons: dict[int, Person] = {}
        self.start = 0
        self.duration = 0.0
        self.images = 0
        self.most = 0
        self.size = size
        self.scene: Optional[bytes] = None
        self.zones: Optional[Zones] = None
        self.events: list[tuple[float, Event]] = []
        self.heat: NDArray[Any] = np.zeros(HEAT[::-1])
        self._pictures = pictures
        self._fewest = 0
        self._offset = 0
        self._bin = 1.0
        self._counts: list[int] = []

    @property
    def counts(self) -> tuple[float, list[int]]:
        """Length of the intervals in seconds, and the largest number of persons in each."""
        return self._bin, self._counts or [0]

    def add(
        self,
        stamp: int,
        tracks: Sequence[Track],
        image: Optional[BgrImage] = None,
        events: Sequence[Event] = (),
    ) -> None:
        """
        Record the persons in the next image.

        :param stamp: time of the image in nanoseconds; if it goes back, time goes on.
        :param image: uint8 BGR, shape ``(height, width, 3)``; None without an image.
        :param events: found in this image.
        """
        ids = [track.id for track in tracks]
        boxes = as_boxes([track.box for track in tracks])
        before = self.duration
        time = self._time(stamp)
        self.images += 1
        self.most = max(self.most, len(ids))
        self._count(time, len(ids))
        if image is not None:
            self.size = (image.shape[1], image.shape[0])
        if self.size is None:
            # For a recording without the size: the smallest size with all boxes.
            width, height = (boxes[:, :2] + boxes[:, 2:]).max(axis=0, initial=1.0)
            self.size = (int(width), int(height))
        feet = (boxes[:, :2] + boxes[:, 2:] * (0.5, 1.0)) / self.size
        for id_, (x, y) in zip(ids, feet.tolist()):
            self.persons.setdefault(id_, Person()).stand(time, (x, y))
        columns, rows = np.clip(feet * HEAT, 0, np.array(HEAT) - 1).astype(int).T
        np.add.at(self.heat, (rows, columns), min(time - before, AWAY))
        self.events += [(time - (stamp - event.stamp) / SECOND, event) for event in events]
        if image is not None and self._pictures:
            if self.scene is None or len(ids) < self._fewest:
                self._fewest = len(ids)
                self.scene = _encode(image, min(1.0, SCENE_WIDTH / image.shape[1]))
            self._portray(image, time, tracks, boxes, events)

    def _time(self, stamp: int) -> float:
        """Return the time since the first image, which never goes back."""
        if not self.images:
            self.start = stamp
        time = (stamp - self.start + self._offset) / SECOND
        if time < self.duration:
            self._offset += round((self.duration - time + AWAY) * SECOND)
            time = self.duration + AWAY
        self.duration = time
        return time

    def _count(self, time: float, number: int) -> None:
        while time >= self._bin * _BINS:
            self._bin *= 2
            pairs = zip(self._counts[::2], [*self._counts[1::2], 0])
            self._counts = [max(pair) for pair in pairs]
        index = int(time / self._bin)
        self._counts += [0] * (index + 1 - len(self._counts))
        self._counts[index] = max(self._counts[index], number)

    def _portray(
        self,
        image: BgrImage,
        time: float,
        tracks: Sequence[Track],
        boxes: FloatArray,
        events: Sequence[Event],
    ) -> None:
        """Keep the best picture of each person, which is large, clear and whole, and moments."""
        height, width = image.shape[:2]
        corners = pixel_rectangles(boxes, width, height)
        overlaps = iou(boxes, boxes) - np.eye(len(boxes))
        areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        whole = areas / np.maximum(boxes[:, 2] * boxes[:, 3], 1.0)
        # A predicted box may show anything.
        scores = [0.0 if track.detection is None else track.score for track in tracks]
        clear = np.array(scores) * (1 - overlaps.max(axis=1, initial=0.0))
        values = areas * np.minimum(whole, 1.0) ** 4 * clear**2
        for track, (left, top, right, bottom), value in zip(tracks, corners, values):
            person = self.persons[track.id]
            crop = image[top:bottom, left:right]
            if value > _BETTER * person.value:
                person.value = float(value)
                person.picture = _encode(crop, min(1.0, PICTURE_HEIGHT / crop.shape[0]))
            person.last = _scaled(crop, min(1.0, MOMENT_HEIGHT / crop.shape[0]))
            names = [f'{each.name}: {each.event}' for each in events if each.id == track.id]
            for name in ([] if person.moments else ['from']) + names:
                if len(person.moments) < MOMENTS:
                    person.moments.append((time, name, _encode(person.last, 1.0)))


def _scaled(image: BgrImage, scale: float) -> BgrImage:
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image.copy()


def _encode(image: BgrImage, scale: float) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    return cv2.imencode('.jpg', _scaled(image, scale), options)[1].tobytes()
