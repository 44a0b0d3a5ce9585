"""
The default tracker: Deep SORT's vocabulary, changed where identities were lost.

docs/tracking.md says where each idea comes from and what it gains. All times are in seconds of
the image stamps, all lengths in heights of the person's box, so that neither the frame rate nor
the size of the image matters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.detections import Detections
from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.geometry import boxes_to_measurements
from persontrack_ros.core.geometry import coverage
from persontrack_ros.core.geometry import measurements_to_boxes
from persontrack_ros.core.geometry import pairwise_iou
from persontrack_ros.core.parameters.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed
from persontrack_ros.core.tracking.appearance import Embeddings
from persontrack_ros.core.tracking.appearance import cosine_distance
from persontrack_ros.core.tracking.appearance import known
from persontrack_ros.core.tracking.appearance import normalise
from persontrack_ros.core.tracking.association import IndexArray
from persontrack_ros.core.tracking.association import associate
from persontrack_ros.core.tracking.association import associate_pairs
from persontrack_ros.core.tracking.kalman_filter import GATING_THRESHOLD
from persontrack_ros.core.tracking.kalman_filter import Noise
from persontrack_ros.core.tracking.kalman_filter import States
from persontrack_ros.core.tracking.stored import MOST
from persontrack_ros.core.tracking.stored import STAMPS
from persontrack_ros.core.tracking.stored import UNIT
from persontrack_ros.core.tracking.stored import checked
from persontrack_ros.core.tracking.stored import checked_ids
from persontrack_ros.core.tracking.stored import checked_size
from persontrack_ros.core.tracking.track import NO_DETECTION
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.track import TrackState
from persontrack_ros.core.tracking.track import make_tracks
from persontrack_ros.core.tracking.undo import undone_by_errors

NOBODY = np.empty(0, dtype=np.intp)

# By whether a track is confirmed.
_STATES = (TrackState.TENTATIVE, TrackState.CONFIRMED)

# A track competes for so many detections at most, the nearest ones. No crowd is that dense, and
# a detector that finds thousands of persons in one place may not stop the robot.
MAX_RIVALS = 200

# How people walk and how detectors err: maximum likelihood of detections that were assigned to
# ground truth, over four detectors and eight sequences. Time in seconds.
WALKING = Noise(
    measurement=(0.03, 0.03, 0.05, 0.03),
    position=(0.08, 0.06, 0.15, 0.1),
    velocity=(0.2, 0.1, 0.002, 0.01),
    first_position=(0.05, 0.05, 0.1, 0.05),
    first_velocity=(0.6, 0.3, 0.01, 0.02),
)

# The gate is wider than what the filter expects of a well detected person: persons who touch, and
# are lost because of it, are detected badly. These are Deep SORT's values at 10 frames per second.
GATE = (0.05, 0.05, 0.1, 0.05)

# Association of confirmed tracks: cost 1 - IoU + weight * cosine distance. Nobody is matched at a
# cost above that of no overlap and nothing in common.
APPEARANCE_WEIGHT = 0.75
MIN_IOU = 0.2

# Cosine distance that a pair may have, by what speaks for it: overlap, the gate of the filter, or
# the vicinity alone. Different persons in one image are 0.54 or more apart (1st percentile). Of
# unknown looks the distance is one that the last alone forbids.
MAX_DISTANCE_OVERLAPPING = 0.6
MAX_DISTANCE_IN_GATE = 0.6
MAX_DISTANCE_NEARBY = 0.45
UNKNOWN_DISTANCE = 0.55

# A lost person is looked for within this many heights times the square root of the time.
REACH = 2.0

# After this time, a lost person is not looked for any more, in seconds.
LOST_TIME = 7.0

# After this time, the motion of a lost person of unknown looks says too little: the gate lets in
# everybody near. Where persons come nearer, the camera has mostly passed whom it lost.
UNKNOWN_TIME = 2.0
UNKNOWN_TIME_NEARING = 0.3

# Persons come nearer if their heights, in the mean over the last time, are found greater than the
# filter expects by this part of its standard deviation. They count as staying until more is known
# than so many detections say.
NEARING = 0.2
NEARING_TIME = 10.0
NEARING_DOUBT = 100.0

# A detection that overlaps one track by at least the first and nobody else by more than the second
# is this person's, whatever it looks like.
UNAMBIGUOUS_IOU = 0.5
OTHERS_IOU = 0.2

# Weight of the past in the appearance of a track, at each look; that of an even mean until that is
# more, or the first look, often of somebody half in view, would outweigh all others for long.
MEMORY = 0.9

# A track is confirmed after `n_init` detections of which one had the first score, or at once if
# the first detection has the second one and its looks, by which it is found again, are known.
CLEAR_SCORE = 0.9
CERTAIN_SCORE = 0.9

# A score means something else in every detector. These parts of the mean over so many newest
# detections will do, where they are less.
CLEAR_PART = 0.95
CERTAIN_PART = 1.0
SCORES = 500

# Cosine distance at which a new person is a lost one nearby.
REUNION_DISTANCE = 0.5

# A person not detected is shown as predicted for the first time if covered to this part by another
# one, and for the second one, given a history, in any case.
COVERED_TIME = 1.0
COVERED_PART = 0.7
MISSED_TIME = 0.5
MISSED_HITS = 10

# So many times faster is the similarity of a pair in the product of all looks than alone.
PRODUCT_GAIN = 16

# Smallest aspect, and height in pixels, of a predicted box.
MIN_SIZE = 0.01

# Lost for so long within this part of the image's larger side from its border means gone, if on
# the way out, unless the camera, in the mean over the last time, can have done it.
EXIT_TIME = 0.5
BORDER = 0.02
DRIFT_TIME = 1.0


@dataclass(frozen=True)
class _Found:
    """The detections of an image; their looks are zero where nobody asked for them."""

    measurements: FloatArray
    scores: FloatArray
    looks: Embeddings
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class _Pairs:
    """
    Tracks and detections that may be the same; what is far apart costs no time.

    :ivar overlap: IoU of each pair.
    :ivar in_gate: whether the gate of the filter lets it pass.
    """

    tracks: IndexArray
    detections: IndexArray
    overlap: FloatArray
    in_gate: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.tracks)

    def __getitem__(self, index: NDArray[Any]) -> _Pairs:
        return _Pairs(
            self.tracks[index], self.detections[index], self.overlap[index], self.in_gate[index]
        )


@dataclass
class _Table:
    """All tracks, one row each, in the order of their ids."""

    kalman: States
    ids: NDArray[np.intp]
    confirmed: NDArray[np.bool_]
    ages: NDArray[np.intp]
    hits: NDArray[np.intp]
    misses: NDArray[np.intp]
    seen_at: FloatArray
    looked_at: FloatArray
    scores: FloatArray
    best_scores: FloatArray
    looks: Embeddings
    look_counts: NDArray[np.intp]
    detections: IndexArray
    drifts: FloatArray

    @classmethod
    def start(
        cls,
        first_id: int,
        measurements: FloatArray,
        scores: FloatArray,
        looks: Embeddings,
        found: IndexArray,
        now: float,
    ) -> _Table:
        """Make a tentative track of each detection."""
        count = len(found)
        return cls(
            kalman=States.initiate(measurements, WALKING),
            ids=np.arange(first_id, first_id + count),
            confirmed=np.zeros(count, dtype=bool),
            ages=np.ones(count, dtype=np.intp),
            hits=np.ones(count, dtype=np.intp),
            misses=np.zeros(count, dtype=np.intp),
            seen_at=np.full(count, now),
            looked_at=np.full(count, now),
            scores=scores,
            best_scores=scores,
            looks=looks,
            look_counts=known(looks).astype(np.intp),
            detections=found,
            drifts=np.zeros((count, 2)),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def familiar(self) -> NDArray[np.bool_]:
        """Tell which tracks have looks that are known."""
        return self.look_counts > 0

    def __getitem__(self, index: NDArray[Any]) -> _Table:
        return _Table(self.kalman[index], *(column[index] for column in self._arrays()))

    def append(self, other: _Table) -> _Table:
        pairs = zip(self._arrays(), other._arrays())
        return _Table(self.kalman.append(other.kalman), *(np.concatenate(pair) for pair in pairs))

    def copy(self) -> _Table:
        """Return a table that can be changed in place while this one stays, but for the looks."""
        columns = (
            (column if column is self.looks else column.copy()) for column in self._arrays()
        )
        return _Table(self.kalman.copy(), *columns)

    def _arrays(self) -> list[NDArray[Any]]:
        return [getattr(self, each.name) for each in dataclasses.fields(self)[1:]]


class _Matching:
    """Pairs of tracks and detections; each stage of the association adds some."""

    def __init__(self, tracks: int, detections: int) -> None:
        self.detection_of = np.full(tracks, NO_DETECTION, dtype=np.intp)
        self.free = np.ones(detections, dtype=bool)

    def add(self, tracks: IndexArray, detections: IndexArray) -> None:
        self.detection_of[tracks] = detections
        self.free[detections] = False

    def open(self, pairs: _Pairs, tracks: NDArray[np.bool_]) -> _Pairs:
        """Return the pairs of these tracks that may still be matched."""
        lonely = tracks & (self.detection_of == NO_DETECTION)
        return pairs[lonely[pairs.tracks] & self.free[pairs.detections]]

    def assign(
        self, pairs: _Pairs, allowed: NDArray[np.bool_], cost: FloatArray, max_cost: float
    ) -> None:
        """Match what is allowed, for the smallest cost."""
        tracks, detections = pairs.tracks[allowed], pairs.detections[allowed]
        chosen = associate_pairs(cost[allowed], max_cost, tracks, detections)
        self.add(tracks[chosen], detections[chosen])


def _distance(looks: Embeddings, others: Embeddings) -> FloatArray:
    """Return cosine distances ``(N, M)``; of the unknown, one that neither helps nor forbids."""
    distance = cosine_distance(looks, others)
    distance[~known(looks)] = UNKNOWN_DISTANCE
    distance[:, ~known(others)] = UNKNOWN_DISTANCE
    return distance


def _distance_of_pairs(pairs: _Pairs, table: _Table, found: _Found) -> FloatArray:
    """Return :func:`_distance` of the looks of each pair, shape ``(P,)``."""
    looks, rows, columns = table.looks, pairs.tracks, pairs.detections
    if PRODUCT_GAIN * len(pairs) < len(looks) * len(found.looks):
        similarity = np.einsum('ij,ij->i', looks[rows], found.looks[columns])
    else:
        similarity = (looks @ found.looks.T)[rows, columns]
    familiar = table.familiar[rows] & found.known[columns]
    return np.where(familiar, 1 - similarity, UNKNOWN_DISTANCE)


def at_border(
    boxes: FloatArray, image_size: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which boxes are at the left and top, and at the right and bottom border."""
    margin = BORDER * max(image_size)
    near = boxes[:, :2] <= margin
    far = boxes[:, :2] + boxes[:, 2:] >= np.array(image_size) - margin
    return near, far


class Persistent:
    """Keeps identities; a :class:`~persontrack_ros.core.tracking.tracker.Tracker`."""

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks; the first id is 1."""
        self.settings = settings
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; the next one gets this id."""
        nothing = np.empty(0)
        self._table = _Table.start(
            first_id,
            np.empty((0, 4)),
            nothing,
            np.empty((0, 0), dtype=np.float32),
            np.empty(0, dtype=np.intp),
            0.0,
        )
        self.next_id = first_id
        self._stamp: Optional[int] = None
        self._image_size: Optional[tuple[int, int]] = None
        self._now = 0.0
        self._score_count = 0.0
        self._mean_score = 0.0
        self._growth = np.zeros(2)

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """
        Advance to the next image; a stamp that does not follow the last one counts as no time.

        :returns: the confirmed tracks that are detected, and those that are hidden or were missed
            for a moment.
        """
        with undone_by_errors(self):
            self._table = self._table.copy()
            return self._update(detections, embed, stamp, motion)

    def _update(
        self, detections: Detections, embed: Embed, stamp: int, motion: Optional[FloatArray]
    ) -> list[Track]:
        elapsed = 0.0 if self._stamp is None else max(0.0, (stamp - self._stamp) / 1e9)
        self._stamp = stamp
        self._now += elapsed
        self._weigh(detections.scores)
        self._resize(detections.image_size)
        self._forget(detections.image_size, elapsed)
        if motion is not None:
            self._move(motion, elapsed)
        self._predict(elapsed)
        measurements = boxes_to_measurements(detections.boxes)
        pairs = self._near(detections.boxes, measurements)
        matching = _Matching(len(self._table), len(detections))
        matching.add(*self._unambiguous(pairs))
        looks = self._look(np.flatnonzero(matching.free), embed, len(detections))
        found = _Found(measurements, detections.scores, looks, known(looks))
        self._match(matching, pairs, found)
        self._watch_growth(matching, found, elapsed)
        self._correct(matching, found)
        self._drop_tentative()
        self._start(np.flatnonzero(matching.free), found)
        self._confirm()
        return self._visible(detections)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the tracker knows, as arrays that `numpy.savez` can write."""
        stamp = [] if self._stamp is None else [self._stamp]
        return {
            'clock': np.array(
                [self.next_id, self._now, self._score_count, self._mean_score], dtype=np.float64
            ),
            'stamp': np.array(stamp, dtype=np.int64),
            'image_size': np.array(self._image_size or [], dtype=np.int64),
            'growth': self._growth.copy(),
            **self._table.kalman.state(),
            **{
                name: array.copy() for name, array in vars(self._table).items() if name != 'kalman'
            },
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """
        Continue from what :meth:`state` returned.

        :raises KeyError: if an array is missing; the tracker is then as it was.
        :raises ValueError: if an array has another type or shape than it should; likewise.
        """
        clock = checked(state, 'clock', np.float64, (4,), 0, MOST)
        ids = checked_ids(state, clock[0])
        count = len(ids)
        stamp = checked(state, 'stamp', np.int64, (None,), *STAMPS)
        limits = {
            'ids': (1, MOST),
            'ages': (1, MOST),
            'hits': (1, MOST),
            'misses': (0, MOST),
            'seen_at': (0, clock[1]),
            'looked_at': (0, clock[1]),
            'scores': (0, 1),
            'best_scores': (0, 1),
            'looks': (-UNIT, UNIT),
            'look_counts': (0, MOST),
            'detections': (NO_DETECTION, MOST),
        }
        columns = {}
        for name, column in vars(self._table).items():
            if name != 'kalman':
                # Looks may be those of a model with other vectors.
                widths = (None,) if name == 'looks' else column.shape[1:]
                limit = limits.get(name, ())
                columns[name] = checked(state, name, column.dtype, (count, *widths), *limit)
        states = States.restore(state, count)
        # Older states have none.
        growth = np.zeros(2)
        if 'growth' in state:
            growth = checked(state, 'growth', np.float64, (2,))
        self._image_size = checked_size(state)
        self._growth = growth
        self._table = _Table(kalman=states, **columns)
        self.next_id = int(clock[0])
        self._now, self._score_count, self._mean_score = clock[1:].tolist()
        self._stamp = int(stamp[0]) if len(stamp) else None

    @property
    def tracks(self) -> list[Track]:
        """All tracks that are not deleted, also tentative and invisible ones, by id."""
        return self._as_tracks(np.arange(len(self._table)), self._boxes())

    @property
    def ids(self) -> set[int]:
        """The ids of :attr:`tracks`, without making these."""
        return set(self._table.ids.tolist())

    def _boxes(self) -> FloatArray:
        return measurements_to_boxes(self._table.kalman.position)

    def _lost_time(self) -> FloatArray:
        return self._now - self._table.seen_at

    def _apart(self, rows: IndexArray, measurements: FloatArray) -> FloatArray:
        """
        Return how far measurements are from where tracks should be, shape ``(rows, M)``.

        The unit is how far somebody may get: heights times the square root of the seconds lost.
        """
        position = self._table.kalman.position[rows]
        # In place: of thousands of persons, new arrays would cost more than the arithmetic.
        apart = np.subtract.outer(position[:, 0], measurements[:, 0])
        np.hypot(apart, np.subtract.outer(position[:, 1], measurements[:, 1]), out=apart)
        # Stamps that stand still give nobody time to get anywhere.
        lost = np.maximum(self._lost_time()[rows], 1e-6)
        apart /= (position[:, 3] * np.sqrt(lost))[:, None]
        return apart

    def _weigh(self, scores: FloatArray) -> None:
        """Keep the mean of the newest scores."""
        if len(scores):
            self._score_count = min(self._score_count + len(scores), max(SCORES, len(scores)))
            excess = float(scores.sum()) - len(scores) * self._mean_score
            self._mean_score += excess / self._score_count

    def _forget(self, image_size: Optional[tuple[int, int]], elapsed: float) -> None:
        """Delete tracks that are lost for too long, or have left the image."""
        lost = self._lost_time()
        familiar = self._table.familiar
        gone = lost > np.where(familiar, LOST_TIME, UNKNOWN_TIME)
        if self._nearing:
            # At a low rate, who was seen in the last image is not lost yet.
            gone |= ~familiar & (self._table.misses > 0) & (lost > UNKNOWN_TIME_NEARING)
        away = lost > EXIT_TIME
        if image_size is not None and away.any():
            gone |= away & self._leaving(image_size, elapsed)
        if gone.any():
            self._table = self._table[~gone]

    def _leaving(self, image_size: tuple[int, int], elapsed: float) -> NDArray[np.bool_]:
        """
        Tell which tracks are at the border of the image and moved out by themselves.

        Those are as fast as the background was when they were last seen; or their way since then
        took them to the border, and is longer than that of the background in the time before.
        """
        boxes = self._boxes()
        velocity = self._table.kalman.velocity[:, :2]
        drift = np.abs(self._table.drifts)
        # They are where they were predicted to be in the image before.
        way = velocity * (self._lost_time() - elapsed)[:, None]
        near, far = at_border(boxes, image_size)
        # Who was within a body's width of the border may have been lost because of it.
        width = boxes[:, 2:3].copy()
        boxes[:, :2] -= way + width
        boxes[:, 2:] += 2 * width
        near_at_rest, far_at_rest = at_border(boxes, image_size)
        further = np.abs(way) > DRIFT_TIME * drift
        further &= ~(near & near_at_rest | far & far_at_rest)
        own = (np.abs(velocity) >= drift) | further
        outwards = own & (near & (velocity < 0) | far & (velocity > 0))
        # A small step over another border says little about whom the camera has lost.
        carried = ~own & (near | far)
        return (outwards[:, 0] | outwards[:, 1]) & ~(carried[:, 0] | carried[:, 1])

    def _resize(self, image_size: Optional[tuple[int, int]]) -> None:
        """Take the tracks along to images of another resolution, which show the same."""
        if image_size is None:
            return
        if self._image_size not in (None, image_size):
            factors = np.divide(image_size, self._image_size)
            self._table.kalman = self._table.kalman.scale(factors)
            self._table.drifts *= factors
        self._image_size = image_size

    def _move(self, motion: FloatArray, elapsed: float) -> None:
        """Take the tracks along with the background; of those just seen, note how fast it goes."""
        table = self._table
        moved = table.kalman.move(motion)
        shift = moved.position[:, :2] - table.kalman.position[:, :2]
        table.kalman = moved
        seen = table.misses == 0
        if elapsed > 0:
            kept = np.exp(-elapsed / DRIFT_TIME)
            table.drifts[seen] *= kept
            table.drifts[seen] += (1 - kept) / elapsed * shift[seen]

    def _predict(self, elapsed: float) -> None:
        table = self._table
        # What the size of a lost person did last was mostly the fault of who began to cover them.
        table.kalman.velocity[table.misses > 0, 2:] = 0.0
        table.kalman = table.kalman.predict(elapsed, WALKING)
        # A box that shrank fast may not vanish.
        sizes = table.kalman.position[:, 2:]
        np.maximum(sizes, MIN_SIZE, out=sizes)
        table.ages += 1
        table.misses += 1

    def _near(self, boxes: FloatArray, measurements: FloatArray) -> _Pairs:
        """Return all pairs that overlap enough for anything, or that pass the filter's gate."""
        own, position = self._boxes(), self._table.kalman.position
        variance = self._table.kalman.innovation_variance(GATE)
        reach = np.sqrt(GATING_THRESHOLD * variance[:, :2])
        near = np.minimum(own[:, :2], position[:, :2] - reach)
        far = np.maximum(own[:, :2] + own[:, 2:], position[:, :2] + reach)
        ends = boxes[:, :2] + boxes[:, 2:]
        touching = np.less_equal.outer(near[:, 0], ends[:, 0])
        touching &= np.greater_equal.outer(far[:, 0], boxes[:, 0])
        touching &= np.less_equal.outer(near[:, 1], ends[:, 1])
        touching &= np.greater_equal.outer(far[:, 1], boxes[:, 1])
        if len(boxes) > MAX_RIVALS:
            self._thin(touching, measurements)
        # Many times as fast as np.nonzero, which takes its time for all that is False.
        tracks, detections = np.divmod(np.flatnonzero(touching), max(1, len(boxes)))
        squared = np.square(measurements[detections] - position[tracks]) / variance[tracks]
        pairs = _Pairs(
            tracks,
            detections,
            pairwise_iou(own[tracks], boxes[detections]),
            squared.sum(axis=1) <= GATING_THRESHOLD,
        )
        return pairs[pairs.in_gate | (pairs.overlap >= min(MIN_IOU, OTHERS_IOU))]

    def _thin(self, touching: NDArray[np.bool_], measurements: FloatArray) -> None:
        """Leave each track the nearest detections only, where there are too many."""
        for row in np.flatnonzero(np.count_nonzero(touching, axis=1) > MAX_RIVALS):
            rivals = np.flatnonzero(touching[row])
            apart = np.abs(measurements[rivals] - self._table.kalman.position[row]).sum(axis=1)
            touching[row, rivals[np.argpartition(apart, MAX_RIVALS)[MAX_RIVALS:]]] = False

    def _unambiguous(self, pairs: _Pairs) -> tuple[IndexArray, IndexArray]:
        """Return tracks and detections that overlap each other well and nobody else."""
        table = self._table
        fresh = table.confirmed & (table.misses == 1)
        fresh &= self._now - table.looked_at < self.settings.refresh_time
        if not fresh.any():
            return NOBODY, NOBODY
        touching = pairs[pairs.overlap > OTHERS_IOU]
        alone = fresh[touching.tracks] & (touching.overlap >= UNAMBIGUOUS_IOU)
        for side in (touching.tracks, touching.detections):
            alone &= np.bincount(side)[side] == 1
        return touching.tracks[alone], touching.detections[alone]

    def _look(self, wanted: IndexArray, embed: Embed, count: int) -> Embeddings:
        """Return embeddings of all detections, zero for those that are not wanted."""
        table = self._table
        vectors = embed(wanted) if len(wanted) else table.looks[:0]
        if vectors.shape[1] != table.looks.shape[1]:
            # The first vectors, or those of another model: the old ones say nothing.
            table.looks = np.zeros((len(table), vectors.shape[1]), dtype=np.float32)
            table.look_counts[:] = 0
        if len(wanted) == count:
            return vectors
        looks = np.zeros((count, vectors.shape[1]), dtype=np.float32)
        looks[wanted] = vectors
        return looks

    def _match(self, matching: _Matching, pairs: _Pairs, found: _Found) -> None:
        """Match the tracks and detections that are left, in three stages."""
        for stage in (self._by_everything, self._by_overlap, self._by_looks):
            if not matching.free.any():
                return
            stage(matching, pairs, found)

    def _by_everything(self, matching: _Matching, pairs: _Pairs, found: _Found) -> None:
        table = self._table
        pairs = matching.open(pairs, table.confirmed)
        if not len(pairs):
            return
        distance = _distance_of_pairs(pairs, table, found)
        feasible = (pairs.overlap > MIN_IOU) & (distance <= MAX_DISTANCE_OVERLAPPING)
        feasible |= pairs.in_gate & (distance <= MAX_DISTANCE_IN_GATE)
        cost = 1 - pairs.overlap + APPEARANCE_WEIGHT * distance
        matching.assign(pairs, feasible, cost, 1 + APPEARANCE_WEIGHT)

    def _by_overlap(self, matching: _Matching, pairs: _Pairs, _: _Found) -> None:
        table = self._table
        pairs = matching.open(pairs, ~table.confirmed | (table.misses == 1))
        matching.assign(pairs, pairs.overlap >= MIN_IOU, 1 - pairs.overlap, 1 - MIN_IOU)

    def _by_looks(self, matching: _Matching, _: _Pairs, found: _Found) -> None:
        table = self._table
        rows = np.flatnonzero(table.confirmed & (matching.detection_of == NO_DETECTION))
        if not len(rows):
            return
        columns = np.flatnonzero(matching.free)
        distance = _distance(table.looks[rows], found.looks[columns])
        distance[self._apart(rows, found.measurements[columns]) > REACH] = np.inf
        nearby = associate(distance, MAX_DISTANCE_NEARBY, rows, columns)
        matching.add(nearby.tracks, nearby.detections)

    @property
    def _nearing(self) -> bool:
        """Tell whether persons come nearer in common: most do if the camera travels."""
        growth, count = self._growth
        return bool(growth > NEARING * (count + NEARING_DOUBT))

    def _watch_growth(self, matching: _Matching, found: _Found, elapsed: float) -> None:
        """Note how much greater those seen in the last image and in this one are than expected."""
        table = self._table
        rows = np.flatnonzero((matching.detection_of != NO_DETECTION) & (table.misses == 1))
        states = table.kalman[rows]
        growth = (found.measurements[matching.detection_of[rows]] - states.position)[:, 3]
        growth /= np.sqrt(states.innovation_variance(WALKING.measurement)[:, 3])
        # One person who is mistaken for another says little.
        limit = np.sqrt(GATING_THRESHOLD)
        total = np.clip(growth, -limit, limit).sum()
        kept = np.exp(-elapsed / NEARING_TIME)
        self._growth = kept * self._growth + [total, len(rows)]

    def _correct(self, matching: _Matching, found: _Found) -> None:
        """Update the matched tracks by their detections."""
        table = self._table
        matched = matching.detection_of != NO_DETECTION
        rows = np.flatnonzero(matched)
        columns = matching.detection_of[rows]
        scores = found.scores[columns]
        table.kalman[rows] = table.kalman[rows].update(found.measurements[columns], WALKING)
        table.hits += matched
        table.misses[matched] = 0
        table.seen_at[matched] = self._now
        table.scores[rows] = scores
        table.best_scores[rows] = np.maximum(table.best_scores[rows], scores)
        table.detections = matching.detection_of
        looked = found.known[columns]
        rows, columns = rows[looked], columns[looked]
        looks = table.looks[rows]
        looks *= np.minimum(table.look_counts[rows], MEMORY / (1 - MEMORY))[:, None]
        looks += found.looks[columns]
        # A new array, see _Table.copy; they are large.
        if len(rows) < len(table):
            mixed = table.looks.copy()
            mixed[rows] = normalise(looks)
            table.looks = mixed
        else:
            table.looks = normalise(looks)
        table.look_counts[rows] += 1
        table.looked_at[rows] = self._now

    def _drop_tentative(self) -> None:
        table = self._table
        kept = table.confirmed | (table.misses == 0)
        if not kept.all():
            self._table = table[kept]

    def _start(self, columns: IndexArray, found: _Found) -> None:
        """Make tentative tracks of the detections that are nobody's."""
        if not len(columns):
            return
        started = _Table.start(
            self.next_id,
            found.measurements[columns],
            found.scores[columns],
            found.looks[columns],
            columns,
            self._now,
        )
        self._table = self._table.append(started)
        self.next_id += len(columns)

    def _confirm(self) -> None:
        """Confirm tracks that were seen often and clearly; those of lost persons join theirs."""
        table = self._table
        due = np.flatnonzero(~table.confirmed)
        if not len(due):
            return
        familiar, hits, scores = table.familiar[due], table.hits[due], table.best_scores[due]
        clear_score = min(CLEAR_SCORE, CLEAR_PART * self._mean_score)
        certain_score = min(CERTAIN_SCORE, CERTAIN_PART * self._mean_score)
        clear = (scores >= clear_score) & (hits >= self.settings.n_init)
        certain = (scores >= certain_score) & (hits == 1) & familiar
        due = due[clear | certain]
        lost = np.flatnonzero(table.confirmed & (table.misses > 0))
        table.confirmed[due] = True
        if not (len(due) and len(lost)):
            return
        distance = _distance(table.looks[lost], table.looks[due])
        distance[self._apart(lost, table.kalman.position[due]) > REACH] = np.inf
        reunion = associate(distance, REUNION_DISTANCE, lost, due)
        # The new track is right about where the person is, the lost one about who it is.
        table.ids[reunion.detections] = table.ids[reunion.tracks]
        table.ages[reunion.detections] = table.ages[reunion.tracks]
        # Both may have been detected in the same images, before the lost one was lost.
        table.hits[reunion.detections] = np.minimum(
            table.hits[reunion.detections] + table.hits[reunion.tracks],
            table.ages[reunion.tracks],
        )
        kept = np.ones(len(table), dtype=bool)
        kept[reunion.tracks] = False
        table = table[kept]
        self._table = table[np.argsort(table.ids)]

    def _visible(self, detections: Detections) -> list[Track]:
        """Return the confirmed tracks of persons who are in the image."""
        table = self._table
        boxes = self._boxes()
        lost = self._lost_time()
        visible = table.confirmed & (table.misses == 0)
        rows = np.flatnonzero(table.confirmed & ~visible & (lost <= COVERED_TIME))
        # Predictions without looks, by which mistakes are noticed, do more harm than good.
        rows = rows[table.familiar[rows]]
        if len(rows):
            shown = np.flatnonzero(visible)
            bottom = boxes[:, 1] + boxes[:, 3]
            covered = coverage(boxes[rows], boxes[shown]) >= COVERED_PART
            covered &= bottom[shown] >= bottom[rows, None]
            missed = (lost <= MISSED_TIME) & (table.hits >= MISSED_HITS)
            if detections.image_size is not None:
                near, far = at_border(boxes, detections.image_size)
                missed &= ~(near | far).any(axis=1)
            visible[rows] = covered.any(axis=1) | missed[rows]
        return self._as_tracks(np.flatnonzero(visible), boxes)

    def _as_tracks(self, rows: IndexArray, boxes: FloatArray) -> list[Track]:
        table = self._table
        return make_tracks(
            table.ids[rows],
            boxes[rows],
            table.kalman.velocity[rows, :2],
            table.scores[rows],
            [_STATES[confirmed] for confirmed in table.confirmed[rows].tolist()],
            table.ages[rows],
            table.hits[rows],
            table.misses[rows],
            table.detections[rows],
        )
