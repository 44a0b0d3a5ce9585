"""
Tracking with the whole video at hand.

An online tracker says which detections belong together. Its tracks are cut where the looks change
or the person was lost for long, joined anew by looks and motion, cleared of what was no person,
and smoothed, which also fills the gaps. docs/tracking.md says what all of it gains. Times are in
seconds, lengths in heights of the person's box, as in the persistent tracker.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.detections import Detections
from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.geometry import FloatArray, boxes_to_measurements, measurements_to_boxes
from persontrack_ros.core.parameters.settings import Settings, TrackerSettings
from persontrack_ros.core.tracking.appearance import (
    Embed,
    Embeddings,
    cosine_distance,
    known,
    normalise,
)
from persontrack_ros.core.tracking.association import IndexArray, associate
from persontrack_ros.core.tracking.leaving import EXIT_TIME, at_border
from persontrack_ros.core.tracking.persistent import LOST_TIME, MIN_SIZE, WALKING
from persontrack_ros.core.tracking.smoother import smooth
from persontrack_ros.core.tracking.stages import REACH
from persontrack_ros.core.tracking.track import Track, TrackState
from persontrack_ros.core.tracking.tracker import make_bare_tracker

# A track is cut where the mean looks of so many detections before and after are so far apart.
CUT_WINDOW = 10
CUT_DISTANCE = 0.4

# Parts are joined up to this cosine distance of their mean looks.
JOIN_DISTANCE = 0.45

# What the motion counts, against the cosine distance, where it is as bad as can be.
MOTION_WEIGHT = 0.2

# Tracks of fewer detections are dropped, and those that were detected in a smaller part of the
# images in which they would be shown.
MIN_HITS = 5
MIN_SEEN = 0.3

# Longer gaps are not filled.
FILL_TIME = 2.5

# A detector errs alike in images that follow each other, while the smoother takes errors for
# independent: it has to believe each detection less, as if it erred so many times as much.
ALIKE = 3.0

# Longer times between two images are not told apart; keeps the smoother's arithmetic exact.
LONGEST_STEP = 3600.0


@dataclass(frozen=True)
class _Part:
    """
    Detections of one person in the order of time, at most one per frame.

    :ivar frames: indices of frames, shape ``(N,)``.
    :ivar boxes: shape ``(N, 4)``.
    :ivar scores: shape ``(N,)``.
    :ivar looks: shape ``(N, D)``.
    :ivar detections: indices within the frames, shape ``(N,)``.
    :ivar confirmed: whether the online tracker was sure that this is a person.
    """

    frames: IndexArray
    boxes: FloatArray
    scores: FloatArray
    looks: Embeddings
    detections: IndexArray
    confirmed: bool

    def slice(self, first: int, last: int) -> _Part:
        rows = slice(first, last)
        return _Part(
            self.frames[rows],
            self.boxes[rows],
            self.scores[rows],
            self.looks[rows],
            self.detections[rows],
            self.confirmed,
        )

    def followed_by(self, other: _Part) -> _Part:
        return _Part(
            np.concatenate([self.frames, other.frames]),
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.looks, other.looks]),
            np.concatenate([self.detections, other.detections]),
            self.confirmed or other.confirmed,
        )

    @property
    def mean_look(self) -> Embeddings:
        """The direction of the mean of the looks, shape ``(1, D)``; zero if none is known."""
        return normalise(self.looks.sum(axis=0, keepdims=True))


@dataclass(frozen=True)
class _Ends:
    """Where parts begin or end: position and velocity, shape ``(N, 4)`` each."""

    position: FloatArray
    velocity: FloatArray


def make_offline_tracker(settings: Settings) -> OfflineTracker:
    """
    Return the tracker for a video.

    :raises SettingsError: if persons are not to be detected in every image.
    """
    if settings.detector.interval > 1:
        raise SettingsError(
            'offline, persons are detected in every image: leave detector.interval at 1'
        )
    return OfflineTracker(settings.tracker)


class OfflineTracker:
    """
    Collects a video as a :class:`~persontrack_ros.core.tracking.tracker.Tracker`, then revises it.

    All detections are embedded, and remembered. There is no state to store: what it knows is the
    video.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks; the online tracker is the one that the settings name."""
        self.settings = dataclasses.replace(settings, refresh_time=0.0)
        self.reset()

    def reset(self) -> None:
        """Forget the video."""
        self._online = make_bare_tracker(self.settings)
        self._stamp: Optional[int] = None
        self._times: list[float] = []
        self._detections: list[Detections] = []
        self._looks: list[Embeddings] = []
        self._found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._confirmed: set[int] = set()
        # The image that each one shows, and those that have nothing in common with the one before.
        self._shown: list[int] = []
        self._cuts: list[int] = []

    @property
    def tracks(self) -> list[Track]:
        """The tracks of the online tracker."""
        return self._online.tracks

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """Advance to the next image; returns what the online tracker knows so far."""
        looks = embed(np.arange(len(detections)))
        elapsed = 0.0 if self._stamp is None else (stamp - self._stamp) / 1e9
        self._stamp = stamp
        now = self._times[-1] if self._times else 0.0
        visible = self._online.update(detections, looks.__getitem__, stamp, motion)
        for track in self._online.tracks:
            if track.detection is not None:
                self._found[track.id].append((len(self._times), track.detection))
            if track.state == TrackState.CONFIRMED:
                self._confirmed.add(track.id)
        self._shown.append(len(self._times))
        self._times.append(now + min(max(0.0, elapsed), LONGEST_STEP))
        self._detections.append(detections)
        self._looks.append(looks)
        return visible

    def repeat(self) -> None:
        """Take an image that is a copy of the one before: it has the same tracks."""
        self._shown.append(len(self._times) - 1)

    def cut(self) -> None:
        """Note that the next image has nothing in common with the one before."""
        self._cuts.append(len(self._times))

    def finish(self) -> list[list[Track]]:
        """Return the revised tracks of each image; ids count from 1 in the order of appearance."""
        times, cuts = np.array(self._times), np.array(self._cuts, dtype=np.intp)
        parts = [piece for part in self._parts() for piece in _cut(part, cuts)]
        parts = _join(parts, times, self.settings, self._image_size())
        persons = [part for part in parts if _is_person(part, times, cuts)]
        persons.sort(key=lambda part: int(part.frames[0]))
        images: list[list[Track]] = [[] for _ in times]
        for id_, part in enumerate(persons, 1):
            for frame, track in _as_tracks(part, times, cuts, id_):
                images[frame].append(track.scaled(1 / self._factors(frame)))
        return [images[frame] for frame in self._shown]

    def _image_size(self) -> Optional[tuple[int, int]]:
        return self._detections[0].image_size if self._detections else None

    def _factors(self, frame: int) -> FloatArray:
        """Return how many times the width and height of an image the first one has."""
        first, size = self._image_size(), self._detections[frame].image_size
        return np.ones(2) if first is None or size is None else np.divide(first, size)

    def _parts(self) -> list[_Part]:
        """Return the tracks of the online tracker, in pixels of the first image."""
        width = max((looks.shape[1] for looks in self._looks), default=0)
        parts = []
        for id_, found in self._found.items():
            looks = np.zeros((len(found), width), dtype=np.float32)
            for row, (frame, index) in enumerate(found):
                look = self._looks[frame][index]
                looks[row, : len(look)] = look
            parts.append(
                _Part(
                    np.array([frame for frame, _ in found]),
                    np.array([self._detections[frame].boxes[index] for frame, index in found])
                    * np.array([np.tile(self._factors(frame), 2) for frame, _ in found]),
                    np.array([self._detections[frame].scores[index] for frame, index in found]),
                    looks,
                    np.array([index for _, index in found]),
                    id_ in self._confirmed,
                )
            )
        return parts


def _cut(part: _Part, scenes: IndexArray) -> list[_Part]:
    """Cut a track where it went over to another person, and where another scene begins."""
    sums = np.concatenate([np.zeros_like(part.looks[:1]), part.looks.cumsum(axis=0)])
    count = len(part.frames)
    places = np.arange(1, count)
    before = normalise(sums[places] - sums[np.maximum(places - CUT_WINDOW, 0)])
    after = normalise(sums[np.minimum(places + CUT_WINDOW, count)] - sums[places])
    change = 1 - np.sum(before * after, axis=1)
    change[~(known(before) & known(after))] = 0.0
    cuts: list[int] = []
    for place in np.argsort(-change, kind='stable'):
        if change[place] <= CUT_DISTANCE:
            break
        # One exchange is seen from all places near it.
        if all(abs(int(places[place]) - cut) >= CUT_WINDOW for cut in cuts):
            cuts.append(int(places[place]))
    edges = sorted({0, *cuts, *np.searchsorted(part.frames, scenes).tolist(), count})
    return [part.slice(first, last) for first, last in itertools.pairwise(edges)]


def _join(
    parts: Sequence[_Part],
    times: FloatArray,
    settings: TrackerSettings,
    image_size: Optional[tuple[int, int]],
) -> list[_Part]:
    """Join parts that are one person: the best matching ends and beginnings, until none match."""
    parts = list(parts)
    while len(parts) > 1:
        cost = _join_cost(parts, times, settings, image_size)
        every = np.arange(len(parts))
        joined = associate(cost, JOIN_DISTANCE + MOTION_WEIGHT, every, every)
        if not len(joined.tracks):
            break
        follower = dict(zip(joined.tracks.tolist(), joined.detections.tolist()))
        chains = []
        for first in sorted(set(range(len(parts))) - set(follower.values())):
            chain, last = parts[first], first
            while last in follower:
                last = follower[last]
                chain = chain.followed_by(parts[last])
            chains.append(chain)
        parts = chains
    return parts


def _join_cost(
    parts: Sequence[_Part],
    times: FloatArray,
    settings: TrackerSettings,
    image_size: Optional[tuple[int, int]],
) -> FloatArray:
    """Return what it costs to let each part follow each other one; infinite if it cannot be."""
    looks = np.concatenate([part.mean_look for part in parts])
    distance = np.where(
        known(looks)[:, None] & known(looks), cosine_distance(looks, looks), np.inf
    )
    begins, ends = (np.array([part.frames[i] for part in parts]) for i in (0, -1))
    first, last = _ends(parts, times)
    gap = times[begins] - times[ends][:, None]
    forth = last.position[:, None, :2] + gap[:, :, None] * last.velocity[:, None, :2]
    back = first.position[:, :2] - gap[:, :, None] * first.velocity[:, :2]
    apart = np.minimum(
        np.linalg.norm(forth - first.position[:, :2], axis=2),
        np.linalg.norm(back - last.position[:, None, :2], axis=2),
    )
    lost = np.maximum(gap, 1e-6)
    apart /= last.position[:, 3:] * np.sqrt(lost)
    possible = (gap <= LOST_TIME) & (apart <= REACH)
    if image_size is not None:
        possible &= ~(_leaving(last, image_size)[:, None] & (gap > EXIT_TIME))
    possible |= gap <= settings.remember
    possible &= (begins > ends[:, None]) & (distance <= JOIN_DISTANCE)
    return np.where(possible, distance + MOTION_WEIGHT * np.minimum(apart / REACH, 1), np.inf)


def _ends(parts: Sequence[_Part], times: FloatArray) -> tuple[_Ends, _Ends]:
    """Return where the parts begin and end."""
    smooths = [_smooth(part, times) for part in parts]
    first, last = (
        _Ends(
            np.array([position[i] for _, position, _ in smooths]),
            np.array([velocity[i] for _, _, velocity in smooths]),
        )
        for i in (0, -1)
    )
    return first, last


def _leaving(ends: _Ends, image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which of the persons are at the border of the image and move outwards."""
    near, far = at_border(measurements_to_boxes(ends.position), image_size)
    outwards = (near & (ends.velocity[:, :2] < 0)) | (far & (ends.velocity[:, :2] > 0))
    return np.asarray(outwards.any(axis=1))


def _smooth(part: _Part, times: FloatArray) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Return the frames from the first to the last, and position and velocity in each."""
    frames = np.arange(part.frames[0], part.frames[-1] + 1)
    rows = part.frames - frames[0]
    measurements = np.zeros((len(frames), 4))
    measurements[rows] = boxes_to_measurements(part.boxes)
    observed = np.zeros(len(frames), dtype=bool)
    observed[rows] = True
    noise = WALKING.with_errors(ALIKE)
    return (frames, *smooth(times[frames], measurements, observed, noise))


def _as_tracks(
    part: _Part, times: FloatArray, cuts: IndexArray, id_: int
) -> list[tuple[int, Track]]:
    """Return the frame and the state of a person wherever they are shown."""
    frames, position, velocity = _smooth(part, times)
    position[:, 2:] = np.maximum(position[:, 2:], MIN_SIZE)
    boxes = measurements_to_boxes(position)
    newest = np.searchsorted(part.frames, frames, side='right') - 1
    since = frames - part.frames[newest]
    tracks = []
    for row in np.flatnonzero(_shown(part, times, cuts)):
        track = Track(
            id=id_,
            box=boxes[row],
            velocity=velocity[row, :2],
            score=float(part.scores[newest[row]]),
            state=TrackState.CONFIRMED,
            age=int(row) + 1,
            hits=int(newest[row]) + 1,
            time_since_update=int(since[row]),
            detection=None if since[row] else int(part.detections[newest[row]]),
        )
        tracks.append((int(frames[row]), track))
    return tracks


def _shown(part: _Part, times: FloatArray, cuts: IndexArray) -> NDArray[np.bool_]:
    """
    Tell in which frames, from the first to the last, a person is shown.

    That is not in long gaps, and not in those in which another scene begins.
    """
    frames = np.arange(part.frames[0], part.frames[-1] + 1)
    before = part.frames[np.searchsorted(part.frames, frames, side='right') - 1]
    after = part.frames[np.searchsorted(part.frames, frames)]
    scene_before, scene_after = (
        np.searchsorted(cuts, each, side='right') for each in (before, after)
    )
    return (times[after] - times[before] <= FILL_TIME) & (scene_before == scene_after)


def _is_person(part: _Part, times: FloatArray, cuts: IndexArray) -> bool:
    """Tell whether a track is one of a person, and not of stray detections."""
    hits = len(part.frames)
    seen = hits / int(_shown(part, times, cuts).sum())
    return part.confirmed and hits >= MIN_HITS and seen >= MIN_SEEN
