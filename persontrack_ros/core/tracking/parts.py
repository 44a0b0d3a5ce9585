"""
Parts of tracks in a whole video: cut where a track went over to another person, and joined anew.

Times are in seconds, lengths in heights of the person's box, as in the persistent tracker.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import (
    FloatArray,
    boxes_to_measurements,
    measurements_to_boxes,
)
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embeddings, known, normalise
from persontrack_ros.core.tracking.association import IndexArray, associate_pairs
from persontrack_ros.core.tracking.leaving import EXIT_TIME, at_border
from persontrack_ros.core.tracking.persistent import LOST_TIME, MIN_SIZE, WALKING
from persontrack_ros.core.tracking.smoother import smooth
from persontrack_ros.core.tracking.stages import REACH
from persontrack_ros.core.tracking.track import Track, TrackState

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
SMOOTHING = replace(WALKING, measurement=(_x, _y, _aspect, _height))

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
    # Sorted by their beginning, the chains that may follow another one are a range.
    order = np.argsort(begins, kind='stable')
    begins, embeddings_after = begins[order], embeddings[order]
    position, velocity = first[0][order], first[1][order]
    starts = np.searchsorted(begins, ends, side='right')
    longest = max(LOST_TIME, settings.remember)
    stops = np.searchsorted(times[begins], times[ends] + longest, side='right')
    found = [(np.empty(0), _NOTHING, _NOTHING)]
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
) -> list[tuple[int, Track]]:
    """Return frame and track of a person for all frames in which they are shown."""
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


def is_person(
    part: Part, times: FloatArray, cuts: IndexArray, searched: NDArray[np.bool_]
) -> bool:
    """
    Return whether a track is of a person instead of false detections.

    :param searched: in which images persons were searched, shape ``(N,)``.
    """
    hits = len(part.frames)
    shown = _shown(part, times, cuts) & searched[part.frames[0] : part.frames[-1] + 1]
    seen = hits / int(shown.sum())
    return part.confirmed and hits >= MIN_HITS and seen >= MIN_SEEN
