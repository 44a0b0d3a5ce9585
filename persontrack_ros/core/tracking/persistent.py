"""
The default tracker: Deep SORT, changed where it lost ids.

docs/tracking.md has the source and the gain of each idea. All times are in seconds of
the image stamps, all lengths in heights of the person's box, so that neither the frame rate nor
the size of the image matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.geometry import FloatArray, boxes_to_measurements, coverage
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed, Embeddings, known, normalise
from persontrack_ros.core.tracking.association import IndexArray
from persontrack_ros.core.tracking.kalman_filter import GATING_THRESHOLD, Noise, States
from persontrack_ros.core.tracking.leaving import at_border, leaving, record_drift
from persontrack_ros.core.tracking.stages import (
    Matching,
    by_everything,
    by_overlap,
    candidate_pairs,
    reunite,
    unambiguous,
)
from persontrack_ros.core.tracking.table import Detected, Table, checked, resized
from persontrack_ros.core.tracking.track import NO_DETECTION, Track

# How people walk and how detectors err: maximum likelihood of detections that were assigned to
# ground truth, over four detectors and eight sequences. Time in seconds.
WALKING = Noise(
    measurement=(0.03, 0.03, 0.05, 0.03),
    position=(0.08, 0.06, 0.15, 0.1),
    velocity=(0.2, 0.1, 0.002, 0.01),
    first_position=(0.05, 0.05, 0.1, 0.05),
    first_velocity=(0.6, 0.3, 0.01, 0.02),
)

# After this time, a lost track is deleted, in seconds.
LOST_TIME = 7.0

# The same for a lost track without embeddings: its gate becomes too wide. When persons come
# nearer, the camera has mostly passed a person it lost.
UNKNOWN_TIME = 2.0
UNKNOWN_TIME_NEARING = 0.3

# Persons come nearer if their mean height over the last time exceeds the prediction of the filter
# by this part of its standard deviation. The last value is the number of detections without growth
# that is assumed at the start.
NEARING = 0.2
NEARING_TIME = 10.0
NEARING_DOUBT = 100.0

# Weight of the past in the embedding of a track; an even mean at first, because the first
# embedding is often of a person half in view.
MEMORY = 0.9

# A track is confirmed after `n_init` detections of which one had the first score, or at once if
# the first detection has the second one and an embedding, by which it can be re-identified.
CLEAR_SCORE = 0.9
CERTAIN_SCORE = 0.9

# Scores differ between detectors. These parts of the mean over this number of newest detections
# are used if they are smaller.
CLEAR_PART = 0.95
CERTAIN_PART = 1.0
SCORES = 500

# A person not detected is shown as predicted for the first time if covered to this part by another
# one, and for the second one, given a history, in any case.
COVERED_TIME = 1.0
COVERED_PART = 0.7
MISSED_TIME = 0.5
MISSED_HITS = 10

# The light detector finds persons less exactly: its errors are this many times larger. It only
# continues tracks; beginning them and embedding are left to the other one.
LIGHT_ERRORS = 2.0
_x, _y, _aspect, _height = (LIGHT_ERRORS * std for std in WALKING.measurement)
LIGHT_WALKING = replace(WALKING, measurement=(_x, _y, _aspect, _height))

# Smallest aspect, and height in pixels, of a predicted box.
MIN_SIZE = 0.01


class Persistent:
    """The persistent tracker of one image stream; not thread-safe."""

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks; the first id is 1."""
        self.settings = settings
        self._clear()

    @property
    def next_id(self) -> int:
        """The id that the next new track gets."""
        return self._next

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; the next one gets this id."""
        self._clear(first_id)

    def _clear(self, first_id: int = 1) -> None:
        none, vectors = np.empty(0, dtype=np.intp), np.empty((0, 0), dtype=np.float32)
        states = States.initiate(np.empty((0, 4)), WALKING)
        self._table = Table.start(first_id, states, np.empty(0), vectors, none, 0.0)
        self._next = first_id
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
        Advance to the next frame.

        Call it once for every processed frame, also without detections: the tracks age by it.
        Tracks end if the size of the image changes.

        :param detections: the detections in the image.
        :param embed: returns the L2-normalised embeddings ``(K, D)`` of the detections with the
            K given indices; called for those that are needed. A vector of zeros, also one with
            ``D == 0``, means that there is no embedding.
        :param stamp: time of the image in nanoseconds; if it is not later, no time has passed.
        :param motion: motion of the background since the last image, as an affine map of pixels,
            shape ``(2, 3)``; None for a fixed camera, or if it is not known.
        :returns: the confirmed tracks that are detected, hidden, or missed for a moment.
        """
        if resized(self._image_size, detections.image_size):
            self._clear(self._next)
        self._image_size = detections.image_size or self._image_size
        elapsed = 0.0 if self._stamp is None else max(0.0, (stamp - self._stamp) / 1e9)
        self._stamp = stamp
        self._now += elapsed
        count = len(detections)
        if count and not detections.light:
            # The mean of the newest scores.
            self._score_count = min(self._score_count + count, max(SCORES, count))
            excess = float(detections.scores.sum()) - count * self._mean_score
            self._mean_score += excess / self._score_count
        self._forget(detections.image_size, elapsed)
        if motion is not None:
            self._move(motion, elapsed)
        self._predict(elapsed)
        measurements = boxes_to_measurements(detections.boxes)
        pairs = candidate_pairs(self._table, detections.boxes, measurements)
        matching = Matching(len(self._table), count)
        # Tracks that were detected in the last image, and embedded not long ago.
        fresh = self._table.confirmed & (self._table.misses == 1)
        fresh &= self._now - self._table.embedded_at < self.settings.refresh_time
        matching.add(*unambiguous(pairs, fresh))
        wanted = np.flatnonzero(matching.free & (not detections.light))
        embeddings = self._embed(wanted, embed, count)
        detected = Detected(measurements, detections.scores, embeddings, known(embeddings))
        by_everything(matching, self._table, pairs, detected)
        by_overlap(matching, self._table, pairs)
        self._watch_growth(matching, detected, elapsed)
        self._correct(matching, detected, LIGHT_WALKING if detections.light else WALKING)
        kept = self._table.confirmed | (self._table.misses == 0)
        if not kept.all():
            self._table = self._table[kept]
        if not detections.light:
            self._start(np.flatnonzero(matching.free), detected)
        self._confirm()
        return self._visible(detections)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state of the tracker, as arrays for `numpy.savez`."""
        stamp = [] if self._stamp is None else [self._stamp]
        return {
            'clock': np.array(
                [self._next, self._now, self._score_count, self._mean_score], dtype=np.float64
            ),
            'stamp': np.array(stamp, dtype=np.int64),
            'image_size': np.array(self._image_size or [], dtype=np.int64),
            'growth': self._growth.copy(),
            **self._table.state(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """
        Continue from what :meth:`state` returned.

        :raises KeyError: if an array is missing; the tracker is then unchanged.
        :raises ValueError: if an array has a wrong type or shape; the tracker is then unchanged.
        """
        clock = checked(state, 'clock', np.float64, (4,)).tolist()
        stamp = checked(state, 'stamp', np.int64, (None,)).tolist()
        image_size = checked(state, 'image_size', np.int64, (None,)).tolist()
        growth = checked(state, 'growth', np.float64, (2,))
        self._table = Table(**self._table.restore(state))
        self._growth = growth
        self._image_size = tuple(image_size) or None
        self._next = int(clock[0])
        self._now, self._score_count, self._mean_score = clock[1:]
        self._stamp = stamp[0] if stamp else None

    @property
    def tracks(self) -> list[Track]:
        """All tracks that are not deleted, also tentative and invisible ones, by id."""
        return self._table.as_tracks(np.arange(len(self._table)), self._table.boxes)

    @property
    def embeddings(self) -> dict[int, Embeddings]:
        """The embedding ``(D,)`` of each track that has one, by id."""
        table = self._table
        return dict(zip(table.ids[table.embedded].tolist(), table.embeddings[table.embedded]))

    def _forget(self, image_size: Optional[tuple[int, int]], elapsed: float) -> None:
        """Delete tracks that are lost for too long, or have left the image."""
        lost = self._table.lost_time(self._now)
        embedded = self._table.embedded
        deleted = lost > np.where(embedded, LOST_TIME, UNKNOWN_TIME)
        growth, count = self._growth
        if growth > NEARING * (count + NEARING_DOUBT):
            # At a low rate, a track of the last image is not lost yet.
            deleted |= ~embedded & (self._table.misses > 0) & (lost > UNKNOWN_TIME_NEARING)
        if image_size is not None:
            deleted |= leaving(self._table, image_size, self._now, elapsed)
        if deleted.any():
            self._table = self._table[~deleted]

    def _move(self, motion: FloatArray, elapsed: float) -> None:
        """Move the tracks with the background; record its speed at those just seen."""
        table = self._table
        moved = table.kalman.move(motion)
        shift = moved.position[:, :2] - table.kalman.position[:, :2]
        table.kalman = moved
        record_drift(table, shift, elapsed)

    def _predict(self, elapsed: float) -> None:
        table = self._table
        # The last change of size of a lost person is mostly due to occlusion.
        table.kalman.velocity[table.misses > 0, 2:] = 0.0
        table.kalman = table.kalman.predict(elapsed, WALKING)
        # A box that shrank fast may not vanish.
        sizes = table.kalman.position[:, 2:]
        np.maximum(sizes, MIN_SIZE, out=sizes)
        table.ages += 1
        table.misses += 1

    def _embed(self, wanted: IndexArray, embed: Embed, count: int) -> Embeddings:
        """Return embeddings of all detections, zero for those not requested."""
        table = self._table
        vectors = embed(wanted) if len(wanted) else table.embeddings[:0]
        if vectors.shape[1] != table.embeddings.shape[1]:
            # The first vectors, or vectors of another model: the old ones are useless.
            table.embeddings = np.zeros((len(table), vectors.shape[1]), dtype=np.float32)
            table.embedding_counts[:] = 0
        if len(wanted) == count:
            return vectors
        embeddings = np.zeros((count, vectors.shape[1]), dtype=np.float32)
        embeddings[wanted] = vectors
        return embeddings

    def _watch_growth(self, matching: Matching, detected: Detected, elapsed: float) -> None:
        """Record how much detections in two successive images exceed their predicted height."""
        table = self._table
        rows = np.flatnonzero((matching.detection_of != NO_DETECTION) & (table.misses == 1))
        states = table.kalman[rows]
        growth = (detected.measurements[matching.detection_of[rows]] - states.position)[:, 3]
        growth /= np.sqrt(states.innovation_variance(WALKING.measurement)[:, 3])
        # A switch between two persons must not count much.
        limit = np.sqrt(GATING_THRESHOLD)
        total = np.clip(growth, -limit, limit).sum()
        kept = np.exp(-elapsed / NEARING_TIME)
        self._growth = kept * self._growth + [total, len(rows)]

    def _correct(self, matching: Matching, detected: Detected, noise: Noise) -> None:
        """Update the matched tracks by their detections."""
        table = self._table
        matched = matching.detection_of != NO_DETECTION
        rows = np.flatnonzero(matched)
        columns = matching.detection_of[rows]
        scores = detected.scores[columns]
        table.kalman[rows] = table.kalman[rows].update(detected.measurements[columns], noise)
        table.hits += matched
        table.misses[matched] = 0
        table.seen_at[matched] = self._now
        table.scores[rows] = scores
        table.best_scores[rows] = np.maximum(table.best_scores[rows], scores)
        table.detections = matching.detection_of
        embedded = detected.known[columns]
        rows, columns = rows[embedded], columns[embedded]
        embeddings = table.embeddings[rows]
        embeddings *= np.minimum(table.embedding_counts[rows], MEMORY / (1 - MEMORY))[:, None]
        embeddings += detected.embeddings[columns]
        table.embeddings[rows] = normalise(embeddings)
        table.embedding_counts[rows] += 1
        table.embedded_at[rows] = self._now

    def _start(self, columns: IndexArray, detected: Detected) -> None:
        """Start tentative tracks from the unmatched detections."""
        if not len(columns):
            return
        started = Table.start(
            self._next,
            States.initiate(detected.measurements[columns], WALKING),
            detected.scores[columns],
            detected.embeddings[columns],
            columns,
            self._now,
        )
        self._table = self._table.append(started)
        self._next += len(columns)

    def _confirm(self) -> None:
        """Confirm tracks with enough clear detections; join them with lost tracks nearby."""
        table = self._table
        due = np.flatnonzero(~table.confirmed)
        if not len(due):
            return
        embedded, hits, scores = table.embedded[due], table.hits[due], table.best_scores[due]
        clear_score = min(CLEAR_SCORE, CLEAR_PART * self._mean_score)
        certain_score = min(CERTAIN_SCORE, CERTAIN_PART * self._mean_score)
        clear = (scores >= clear_score) & (hits >= self.settings.n_init)
        certain = (scores >= certain_score) & (hits == 1) & embedded
        due = due[clear | certain]
        lost = np.flatnonzero(table.confirmed & (table.misses > 0))
        table.confirmed[due] = True
        if not (len(due) and len(lost)):
            return
        same, new = reunite(table, lost, due, self._now)
        # The new track has the right position, the lost one the right id.
        table.ids[new] = table.ids[same]
        table.ages[new] = table.ages[same]
        # Both may have been detected in the same images, before the lost one was lost.
        table.hits[new] = np.minimum(
            table.hits[new] + table.hits[same],
            table.ages[same],
        )
        kept = np.ones(len(table), dtype=bool)
        kept[same] = False
        table = table[kept]
        self._table = table[np.argsort(table.ids)]

    def _visible(self, detections: Detections) -> list[Track]:
        """Return the visible tracks: confirmed, and detected or predicted in the image."""
        table = self._table
        boxes = self._table.boxes
        lost = self._table.lost_time(self._now)
        visible = table.confirmed & (table.misses == 0)
        rows = np.flatnonzero(table.confirmed & ~visible & (lost <= COVERED_TIME))
        # Predictions without embeddings, which reveal mistakes, do more harm than good.
        rows = rows[table.embedded[rows]]
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
        return table.as_tracks(np.flatnonzero(visible), boxes)
