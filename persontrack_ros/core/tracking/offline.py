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
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import (
    FloatArray,
    boxes_to_measurements,
    measurements_to_boxes,
)
from persontrack_ros.core.config.settings import Settings, TrackerSettings
from persontrack_ros.core.tracking.appearance import (
    Embed,
    Embeddings,
    known,
    normalise,
)
from persontrack_ros.core.tracking.association import IndexArray, associate_sparse
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

# Seconds by which rounding may be wrong, at most.
LEEWAY = 1e-3

# Longer times between two images are not told apart; keeps the smoother's arithmetic exact.
LONGEST_STEP = 3600.0


@dataclass(frozen=True)
class _Part:
    """
    Detections of one person in the order of time, at most one per frame.

    :ivar frames: indices of frames, shape ``(N,)``.
    :ivar boxes: in pixels of the first image, shape ``(N, 4)``.
    :ivar scores: shape ``(N,)``.
    :ivar detections: indices within the frames, shape ``(N,)``.
    :ivar embedding: sum of the looks, shape ``(D,)``; zero if none is known.
    :ivar confirmed: whether the online tracker was sure that this is a person.
    """

    frames: IndexArray
    boxes: FloatArray
    scores: FloatArray
    detections: IndexArray
    embedding: Embeddings
    confirmed: bool

    def followed_by(self, other: _Part) -> _Part:
        width = max(len(self.embedding), len(other.embedding))
        return _Part(
            np.concatenate([self.frames, other.frames]),
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.detections, other.detections]),
            _padded(self.embedding, width) + _padded(other.embedding, width),
            self.confirmed or other.confirmed,
        )


class _Hit(NamedTuple):
    """A detection of a track, see :class:`_Part`."""

    frame: int
    box: FloatArray
    score: float
    detection: int
    embedding: Embeddings


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

    All detections are embedded; looks are kept until the track ends. There is no state to store:
    what it knows is the video.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks; the online tracker is the one that the settings name."""
        self.settings = dataclasses.replace(settings, refresh_time=0.0)
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """
        Forget the video; or, from another id on, end all tracks, as where time jumps.

        :param first_id: of the next new person of the online tracker.
        """
        self._stamp: Optional[int] = None
        if first_id == 1:
            self._forget()
        else:
            self._online.reset(first_id)

    def _forget(self) -> None:
        self._online = make_bare_tracker(self.settings)
        self._times: list[float] = []
        self._sizes: list[Optional[tuple[int, int]]] = []
        # By track: of those that go on, and of those that have ended.
        self._hits: dict[int, list[_Hit]] = defaultdict(list)
        self._parts: dict[int, list[_Part]] = {}
        self._confirmed: set[int] = set()
        # The image that each one shows, and those that have nothing in common with the one before.
        self._shown: list[int] = []
        self._cuts: list[int] = []

    @property
    def next_id(self) -> int:
        """The id that the next new person of the online tracker gets."""
        return self._online.next_id

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
        embeddings = embed(np.arange(len(detections)))
        # Where time jumped, it is not known how long it was.
        elapsed = LONGEST_STEP if self._stamp is None else (stamp - self._stamp) / 1e9
        self._stamp = stamp
        visible = self._online.update(detections, embeddings.__getitem__, stamp, motion)
        frame = len(self._times)
        step = min(max(0.0, elapsed), LONGEST_STEP)
        self._times.append(self._times[-1] + step if self._times else 0.0)
        self._sizes.append(detections.image_size)
        boxes = detections.boxes * np.tile(self._factors(frame), 2)
        tracks = self._online.tracks
        for track in tracks:
            row = track.detection
            if row is not None:
                score = float(detections.scores[row])
                # Not a view, which would keep the looks of all.
                self._hits[track.id].append(
                    _Hit(frame, boxes[row].copy(), score, row, embeddings[row].copy())
                )
            if track.state == TrackState.CONFIRMED:
                self._confirmed.add(track.id)
        self._shown.append(frame)
        for id_ in self._hits.keys() - {track.id for track in tracks}:
            self._parts[id_] = self._ended(id_, self._hits.pop(id_))
        return visible

    def _ended(self, id_: int, hits: Sequence[_Hit]) -> list[_Part]:
        return _cut(hits, id_ in self._confirmed, self._cuts)

    def repeat(self) -> None:
        """Take an image that is a copy of the one before: it has the same tracks."""
        self._shown.append(len(self._times) - 1)

    def cut(self) -> None:
        """Note that the next image has nothing in common with the one before."""
        self._cuts.append(len(self._times))

    def finish(self) -> list[list[Track]]:
        """Return the revised tracks of each image; ids count from 1 in the order of appearance."""
        times, cuts = np.array(self._times), np.array(self._cuts, dtype=np.intp)
        open_ = {id_: self._ended(id_, hits) for id_, hits in self._hits.items()}
        by_track = {**self._parts, **open_}
        parts = [part for id_ in sorted(by_track) for part in by_track[id_]]
        parts = _join(parts, times, self.settings, self._image_size())
        persons = [part for part in parts if _is_person(part, times, cuts)]
        persons.sort(key=lambda part: int(part.frames[0]))
        images: list[list[Track]] = [[] for _ in times]
        for id_, part in enumerate(persons, 1):
            for frame, track in _as_tracks(part, times, cuts, id_):
                images[frame].append(track.scaled(1 / self._factors(frame)))
        return [images[frame] for frame in self._shown]

    def _image_size(self) -> Optional[tuple[int, int]]:
        return self._sizes[0] if self._sizes else None

    def _factors(self, frame: int) -> FloatArray:
        """Return how many times the width and height of an image the first one has."""
        first, size = self._image_size(), self._sizes[frame]
        return np.ones(2) if first is None or size is None else np.divide(first, size)


def _cut(hits: Sequence[_Hit], confirmed: bool, scenes: Sequence[int]) -> list[_Part]:
    """Cut a track where it went over to another person, and where another scene begins."""
    count, width = len(hits), max(len(hit.embedding) for hit in hits)
    embeddings = np.array([_padded(hit.embedding, width) for hit in hits], dtype=np.float32)
    sums = np.concatenate([np.zeros_like(embeddings[:1]), embeddings.cumsum(axis=0)])
    indices = np.arange(1, count)
    before = normalise(sums[indices] - sums[np.maximum(indices - CUT_WINDOW, 0)])
    after = normalise(sums[np.minimum(indices + CUT_WINDOW, count)] - sums[indices])
    change = 1 - np.sum(before * after, axis=1)
    change[~(known(before) & known(after))] = 0.0
    cuts: list[int] = []
    for index in np.argsort(-change, kind='stable'):
        if change[index] <= CUT_DISTANCE:
            break
        # One exchange is seen from all places near it.
        if all(abs(int(indices[index]) - cut) >= CUT_WINDOW for cut in cuts):
            cuts.append(int(indices[index]))
    frames = [hit.frame for hit in hits]
    edges = sorted({0, *cuts, *np.searchsorted(frames, scenes).tolist(), count})
    return [
        _Part(
            np.array([hit.frame for hit in hits[first:last]]),
            np.array([hit.box for hit in hits[first:last]]),
            np.array([hit.score for hit in hits[first:last]]),
            np.array([hit.detection for hit in hits[first:last]]),
            embeddings[first:last].sum(axis=0),
            confirmed,
        )
        for first, last in itertools.pairwise(edges)
    ]


def _padded(embedding: Embeddings, width: int) -> Embeddings:
    return np.pad(embedding, (0, width - len(embedding)))


def _join(
    parts: Sequence[_Part],
    times: FloatArray,
    settings: TrackerSettings,
    image_size: Optional[tuple[int, int]],
) -> list[_Part]:
    """Join parts that are one person: the best matching ends and beginnings, until none match."""
    chains = [_Chain.of(part, times) for part in parts]
    while len(chains) > 1:
        cost, rows, columns = _join_costs(chains, times, settings, image_size)
        pairs = associate_sparse(cost, JOIN_DISTANCE + MOTION_WEIGHT, rows, columns)
        if not len(pairs):
            break
        follower = dict(zip(rows[pairs].tolist(), columns[pairs].tolist()))
        joined = []
        for first in sorted(set(range(len(chains))) - set(follower.values())):
            part, last = chains[first].part, first
            while last in follower:
                last = follower[last]
                part = part.followed_by(chains[last].part)
            joined.append(chains[first] if last == first else _Chain.of(part, times))
        chains = joined
    return [chain.part for chain in chains]


@dataclass(frozen=True)
class _Chain:
    """
    A part, and where it begins and ends.

    :ivar ends: position and velocity at the first and the last frame, shape ``(2, 2, 4)``.
    """

    part: _Part
    ends: FloatArray

    @classmethod
    def of(cls, part: _Part, times: FloatArray) -> _Chain:
        _, position, velocity = _smooth(part, times)
        return cls(part, np.array([[position[i], velocity[i]] for i in (0, -1)]))


def _join_costs(
    chains: Sequence[_Chain],
    times: FloatArray,
    settings: TrackerSettings,
    image_size: Optional[tuple[int, int]],
) -> tuple[FloatArray, IndexArray, IndexArray]:
    """
    Return what it costs to let chains follow each other, wherever that is possible.

    :returns: the costs, shape ``(P,)``; the indices of the chains before, and those of the chains
        after.
    """
    width = max(len(chain.part.embedding) for chain in chains)
    embeddings = normalise(np.array([_padded(chain.part.embedding, width) for chain in chains]))
    begins, ends = (np.array([chain.part.frames[i] for chain in chains]) for i in (0, -1))
    first, last = np.moveaxis(np.array([chain.ends for chain in chains]), 0, 2)
    leaving = np.zeros(len(chains), dtype=bool)
    if image_size is not None:
        leaving = _leaving(last[0], last[1], image_size)
    # In the order in which they begin, those that may follow another one are a range.
    order = np.argsort(begins, kind='stable')
    begins, embeddings_after = begins[order], embeddings[order]
    position, velocity = first[0][order], first[1][order]
    starts = np.searchsorted(begins, ends, side='right')
    longest = max(LOST_TIME, settings.remember) + LEEWAY
    stops = np.searchsorted(times[begins], times[ends] + longest, side='right')
    found = []
    for row in range(len(chains)):
        after = slice(starts[row], stops[row])
        if not embeddings[row].any() or after.start >= after.stop:
            continue
        distance = 1.0 - embeddings_after[after] @ embeddings[row]
        gap = times[begins[after]] - times[ends[row]]
        forth = last[0, row, :2] + gap[:, None] * last[1, row, :2]
        back = position[after, :2] - gap[:, None] * velocity[after, :2]
        apart = np.minimum(
            np.linalg.norm(forth - position[after, :2], axis=1),
            np.linalg.norm(back - last[0, row, :2], axis=1),
        )
        apart /= last[0, row, 3] * np.sqrt(np.maximum(gap, 1e-6))
        possible = (gap <= LOST_TIME) & (apart <= REACH)
        if leaving[row]:
            possible &= gap <= EXIT_TIME
        possible |= gap <= settings.remember
        possible &= known(embeddings_after[after]) & (distance <= JOIN_DISTANCE)
        cost = distance + MOTION_WEIGHT * np.minimum(apart / REACH, 1)
        found.append((cost[possible], np.full(possible.sum(), row), order[after][possible]))
    if not found:
        nothing = np.empty(0, dtype=np.intp)
        return np.empty(0), nothing, nothing
    cost, rows, columns = map(np.concatenate, zip(*found))
    return cost, rows, columns


def _leaving(
    position: FloatArray, velocity: FloatArray, image_size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Tell which of the persons are at the border of the image and move outwards."""
    near, far = at_border(measurements_to_boxes(position), image_size)
    outwards = (near & (velocity[:, :2] < 0)) | (far & (velocity[:, :2] > 0))
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
