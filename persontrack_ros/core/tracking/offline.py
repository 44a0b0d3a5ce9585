"""
Tracking of a whole video.

The tracks of an online tracker are cut where the appearance changes or the person was lost for
long, and joined again by appearance and motion. Tracks of false detections are removed; the others
are smoothed, which also fills gaps. docs/tracking.md has the gain of each step. Times are in
seconds, lengths in heights of the person's box, as in the persistent tracker.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.geometry import (
    FloatArray,
    boxes_to_measurements,
    measurements_to_boxes,
)
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed, Embeddings, known, normalise
from persontrack_ros.core.tracking.association import IndexArray, associate_pairs
from persontrack_ros.core.tracking.kalman_filter import smooth
from persontrack_ros.core.tracking.leaving import EXIT_TIME, at_border
from persontrack_ros.core.tracking.persistent import LOST_TIME, MIN_SIZE, WALKING
from persontrack_ros.core.tracking.stages import REACH
from persontrack_ros.core.tracking.track import Track, TrackState
from persontrack_ros.core.tracking.tracker import make_bare_tracker

# A track is cut where the mean embeddings of this number of detections before and after differ by
# this cosine distance.
CUT_WINDOW = 10
CUT_DISTANCE = 0.4

# Parts are joined up to this cosine distance of their mean embeddings.
JOIN_DISTANCE = 0.45

# Weight of the worst possible motion relative to the cosine distance.
MOTION_WEIGHT = 0.2

# Tracks of fewer detections are deleted, and tracks detected in a smaller part of the images in
# which they would be shown.
MIN_HITS = 5
MIN_SEEN = 0.3

# Longer gaps are not filled.
FILL_TIME = 2.5

# Errors of a detector in successive images are correlated, but the smoother assumes independent
# ones: the errors of a detection count three times.
_x, _y, _aspect, _height = (3.0 * std for std in WALKING.measurement)
SMOOTHING = dataclasses.replace(WALKING, measurement=(_x, _y, _aspect, _height))

# Longer times between two images are clipped, to keep the smoother's arithmetic exact.
LONGEST_STEP = 3600.0

_NOTHING = np.empty(0, dtype=np.intp)


class Part(NamedTuple):
    """
    Detections of one person in the order of time, at most one per frame.

    :ivar frames: indices of frames, shape ``(N,)``.
    :ivar boxes: in pixels, shape ``(N, 4)``.
    :ivar scores: shape ``(N,)``.
    :ivar detections: indices within the frames, shape ``(N,)``.
    :ivar embedding: sum of the embeddings, shape ``(D,)``; zero without embeddings.
    :ivar confirmed: whether the online tracker confirmed the track.
    """

    frames: IndexArray
    boxes: FloatArray
    scores: FloatArray
    detections: IndexArray
    embedding: Embeddings
    confirmed: bool

    def followed_by(self, other: Part) -> Part:
        """Return both as one."""
        return Part(
            np.concatenate([self.frames, other.frames]),
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.detections, other.detections]),
            self.embedding + other.embedding,
            self.confirmed or other.confirmed,
        )


class Hit(NamedTuple):
    """A detection of a track, see :class:`Part`."""

    frame: int
    box: FloatArray
    score: float
    detection: int
    embedding: Embeddings


def cut(hits: Sequence[Hit], confirmed: bool, scenes: Sequence[int]) -> list[Part]:
    """Cut a track where it switched to another person, and where another scene begins."""
    count = len(hits)
    frames, boxes, scores, detections, embeddings = (np.array(each) for each in zip(*hits))
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
        # A switch raises the change at all frames around it.
        if all(abs(int(indices[index]) - other) >= CUT_WINDOW for other in cuts):
            cuts.append(int(indices[index]))
    edges = sorted({0, *cuts, *np.searchsorted(frames, scenes).tolist(), count})
    return [
        Part(
            frames[first:last],
            boxes[first:last],
            scores[first:last],
            detections[first:last],
            embeddings[first:last].sum(axis=0),
            confirmed,
        )
        for first, last in itertools.pairwise(edges)
    ]


def join(
    parts: Sequence[Part],
    times: FloatArray,
    settings: TrackerSettings,
    image_size: Optional[tuple[int, int]],
) -> list[Part]:
    """Join parts that are one person: the best matching ends and beginnings, until none match."""
    chains = [(part, _ends(part, times)) for part in parts]
    while len(chains) > 1:
        cost, rows, columns = _join_costs(chains, times, settings, image_size)
        pairs = associate_pairs(cost, JOIN_DISTANCE + MOTION_WEIGHT, rows, columns)
        if not len(pairs):
            break
        follower = dict(zip(rows[pairs].tolist(), columns[pairs].tolist()))
        joined = []
        for first in sorted(set(range(len(chains))) - set(follower.values())):
            part, ends = chains[first]
            last = first
            while last in follower:
                last = follower[last]
                part = part.followed_by(chains[last][0])
            joined.append((part, ends if last == first else _ends(part, times)))
        chains = joined
    return [part for part, _ in chains]


def _ends(part: Part, times: FloatArray) -> FloatArray:
    """Return position and velocity at the first and the last frame, shape ``(2, 2, 4)``."""
    _, position, velocity = _smooth(part, times)
    return np.array([[position[i], velocity[i]] for i in (0, -1)])


def _join_costs(
    chains: Sequence[tuple[Part, FloatArray]],
    times: FloatArray,
    settings: TrackerSettings,
    image_size: Optional[tuple[int, int]],
) -> tuple[FloatArray, IndexArray, IndexArray]:
    """
    Return the costs of joining chains, for all possible pairs.

    :returns: the costs, shape ``(P,)``; the indices of the chains before, and those of the chains
        after.
    """
    embeddings = normalise(np.array([part.embedding for part, _ in chains]))
    begins, ends = (np.array([part.frames[i] for part, _ in chains]) for i in (0, -1))
    first, last = np.moveaxis(np.array([ends for _, ends in chains]), 0, 2)
    leaving = np.zeros(len(chains), dtype=bool)
    if image_size is not None:
        near, far = at_border(measurements_to_boxes(last[0]), image_size)
        outwards = (near & (last[1, :, :2] < 0)) | (far & (last[1, :, :2] > 0))
        leaving = outwards.any(axis=1)
    longest = max(LOST_TIME, settings.remember)
    found = [(np.empty(0), _NOTHING, _NOTHING)]
    embedded = known(embeddings)
    for row in np.flatnonzero(embedded):
        gaps = times[begins] - times[ends[row]]
        after = np.flatnonzero(embedded & (begins > ends[row]) & (gaps <= longest))
        distance, gap = 1.0 - embeddings[after] @ embeddings[row], gaps[after]
        position, velocity = first[0, after, :2], first[1, after, :2]
        forth = last[0, row, :2] + gap[:, None] * last[1, row, :2]
        back = position - gap[:, None] * velocity
        apart = np.minimum(
            np.linalg.norm(forth - position, axis=1),
            np.linalg.norm(back - last[0, row, :2], axis=1),
        )
        apart /= last[0, row, 3] * np.sqrt(np.maximum(gap, 1e-6))
        possible = (gap <= LOST_TIME) & (apart <= REACH)
        if leaving[row]:
            possible &= gap <= EXIT_TIME
        possible = (possible | (gap <= settings.remember)) & (distance <= JOIN_DISTANCE)
        cost = distance + MOTION_WEIGHT * np.minimum(apart / REACH, 1)
        found.append((cost[possible], np.full(possible.sum(), row), after[possible]))
    cost, rows, columns = map(np.concatenate, zip(*found))
    return cost, rows, columns


def _smooth(part: Part, times: FloatArray) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Return the frames from the first to the last, and position and velocity in each."""
    frames = np.arange(part.frames[0], part.frames[-1] + 1)
    rows = part.frames - frames[0]
    measurements = np.zeros((len(frames), 4))
    measurements[rows] = boxes_to_measurements(part.boxes)
    observed = np.zeros(len(frames), dtype=bool)
    observed[rows] = True
    return (frames, *smooth(times[frames], measurements, observed, SMOOTHING))


def as_tracks(
    part: Part, times: FloatArray, cuts: IndexArray, id_: int
) -> Iterator[tuple[int, Track]]:
    """Return frame and track of a person for all frames in which they are shown."""
    frames, position, velocity = _smooth(part, times)
    position[:, 2:] = np.maximum(position[:, 2:], MIN_SIZE)
    boxes = measurements_to_boxes(position)
    newest = np.searchsorted(part.frames, frames, side='right') - 1
    since = frames - part.frames[newest]
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
        yield int(frames[row]), track


def _shown(part: Part, times: FloatArray, cuts: IndexArray) -> NDArray[np.bool_]:
    """
    Return in which frames, from the first to the last, a person is shown.

    Long gaps and gaps with a cut between scenes are not shown.
    """
    frames = np.arange(part.frames[0], part.frames[-1] + 1)
    before = part.frames[np.searchsorted(part.frames, frames, side='right') - 1]
    after = part.frames[np.searchsorted(part.frames, frames)]
    scene_before, scene_after = (
        np.searchsorted(cuts, each, side='right') for each in (before, after)
    )
    return (times[after] - times[before] <= FILL_TIME) & (scene_before == scene_after)


class OfflineTracker:
    """
    Collects a video as an online tracker, see :class:`Persistent`, and then revises the tracks.

    All detections are embedded; embeddings are kept until the track ends. There is no state to
    store: the state would be the video.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks, with the online tracker of the settings."""
        self.settings = dataclasses.replace(settings, refresh_time=0.0)
        self._online = make_bare_tracker(self.settings)
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """
        Forget the video; with another first id, only end all tracks, as at a jump of time.

        :param first_id: of the next new person of the online tracker.
        """
        self._stamp: Optional[int] = None
        self._online.reset(first_id)
        if first_id != 1:
            return
        self._times: list[float] = []
        self._size: Optional[tuple[int, int]] = None
        # By track: detections of current tracks, and parts of ended ones.
        self._hits: dict[int, list[Hit]] = defaultdict(list)
        self._parts: dict[int, list[Part]] = {}
        self._confirmed: set[int] = set()
        # The image that each frame shows, and the first images of new scenes.
        self._shown: list[int] = []
        self._cuts: list[int] = []
        # Whether persons were searched in each image.
        self._searched: list[bool] = []

    @property
    def next_id(self) -> int:
        """The id that the next new person of the online tracker gets."""
        return self._online.next_id

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """
        Advance to the next frame; return the tracks of the online tracker.

        :raises SourceError: if the size of the images changes.
        """
        if self._size not in (None, detections.image_size):
            raise SourceError(
                'the size of the images changes, which needs --online (in Python, online=True)'
            )
        self._size = detections.image_size
        embeddings = embed(np.arange(len(detections)))
        visible = self._online.update(detections, embeddings.__getitem__, stamp, motion)
        frame = self._add(stamp, True)
        tracks = self._online.tracks
        for track in tracks:
            row = track.detection
            if row is not None:
                score = float(detections.scores[row])
                # Not a view, which would keep all embeddings in memory.
                box, embedding = detections.boxes[row].copy(), embeddings[row].copy()
                self._hits[track.id].append(Hit(frame, box, score, row, embedding))
            if track.state == TrackState.CONFIRMED:
                self._confirmed.add(track.id)
        for id_ in self._hits.keys() - {track.id for track in tracks}:
            self._end(id_)
        return visible

    def skip(self, stamp: int) -> None:
        """Add an image in which persons are not searched."""
        self._add(stamp, False)

    def _add(self, stamp: int, searched: bool) -> int:
        """Return the index of a new image."""
        # After a jump of time, the elapsed time is unknown.
        elapsed = LONGEST_STEP if self._stamp is None else (stamp - self._stamp) / 1e9
        self._stamp = stamp
        step = min(max(0.0, elapsed), LONGEST_STEP)
        self._shown.append(len(self._times))
        self._times.append(self._times[-1] + step if self._times else 0.0)
        self._searched.append(searched)
        return self._shown[-1]

    def _end(self, id_: int) -> None:
        self._parts[id_] = cut(self._hits.pop(id_), id_ in self._confirmed, self._cuts)

    def repeat(self) -> None:
        """Add a copy of the last image: it has the same tracks."""
        self._shown.append(len(self._times) - 1)

    def cut(self) -> None:
        """Record that the next image begins a new scene."""
        self._cuts.append(len(self._times))

    def finish(self) -> Iterator[list[Track]]:
        """
        Return the revised tracks of each image; ids count from 1 in the order of appearance.

        They are made when they are asked for: those of hours do not fit into the memory.
        """
        times, cuts = np.array(self._times), np.array(self._cuts, dtype=np.intp)
        for id_ in list(self._hits):
            self._end(id_)
        parts = [part for _, parts in sorted(self._parts.items()) for part in parts]
        parts = join(parts, times, self.settings, self._size)
        searched = np.array(self._searched)
        persons = []
        for part in parts:
            first, last = part.frames[[0, -1]]
            shown = _shown(part, times, cuts) & searched[first : last + 1]
            hits = len(part.frames)
            if part.confirmed and hits >= MIN_HITS and hits / int(shown.sum()) >= MIN_SEEN:
                persons.append(part)
        persons.sort(key=lambda part: int(part.frames[0]))
        waiting = deque(enumerate(persons, 1))
        images: dict[int, list[Track]] = defaultdict(list)
        newest, tracks = -1, list[Track]()
        for frame in self._shown:
            while waiting and waiting[0][1].frames[0] <= frame:
                id_, part = waiting.popleft()
                for image, track in as_tracks(part, times, cuts, id_):
                    images[image].append(track)
            if frame != newest:
                newest, tracks = frame, images.pop(frame, [])
            yield tracks
