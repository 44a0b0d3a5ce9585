"""
Deep SORT, faithful to the paper.

Source: Wojke, Bewley, Paulus: Simple Online and Realtime Tracking with a Deep Association Metric,
ICIP 2017. The numbers in comments are the sections of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.geometry import (
    FloatArray,
    boxes_to_measurements,
    iou,
    measurements_to_boxes,
)
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed, Embeddings, Gallery, cosine_distance
from persontrack_ros.core.tracking.association import Association, IndexArray, associate
from persontrack_ros.core.tracking.kalman_filter import GATING_THRESHOLD, States
from persontrack_ros.core.tracking.stored import checked, checked_if_known
from persontrack_ros.core.tracking.track import NO_DETECTION, Track, TrackState, make_tracks
from persontrack_ros.core.tracking.undo import undone_by_errors

# The columns of a table that are plain arrays.
_COLUMNS = ('ids', 'states', 'hits', 'ages', 'time_since_update', 'detections', 'scores')


def _integers() -> NDArray[np.intp]:
    return np.empty(0, dtype=np.intp)


@dataclass
class _Table:
    """All tracks, one row each, in the order of their ids."""

    kalman: States = field(default_factory=lambda: States.initiate(np.empty((0, 4))))
    ids: NDArray[np.intp] = field(default_factory=_integers)
    states: NDArray[np.intp] = field(default_factory=_integers)
    hits: NDArray[np.intp] = field(default_factory=_integers)
    ages: NDArray[np.intp] = field(default_factory=_integers)
    time_since_update: NDArray[np.intp] = field(default_factory=_integers)
    detections: NDArray[np.intp] = field(default_factory=_integers)
    scores: FloatArray = field(default_factory=lambda: np.empty(0))
    galleries: list[Gallery] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def copy(self) -> _Table:
        """Return a copy; the contents of galleries are shared."""
        columns = {name: getattr(self, name).copy() for name in _COLUMNS}
        return _Table(kalman=self.kalman.copy(), galleries=list(self.galleries), **columns)

    def select(self, mask: NDArray[np.bool_]) -> _Table:
        return _Table(
            self.kalman[mask],
            self.ids[mask],
            self.states[mask],
            self.hits[mask],
            self.ages[mask],
            self.time_since_update[mask],
            self.detections[mask],
            self.scores[mask],
            [gallery for gallery, kept in zip(self.galleries, mask) if kept],
        )

    def append(self, other: _Table) -> _Table:
        return _Table(
            self.kalman.append(other.kalman),
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.states, other.states]),
            np.concatenate([self.hits, other.hits]),
            np.concatenate([self.ages, other.ages]),
            np.concatenate([self.time_since_update, other.time_since_update]),
            np.concatenate([self.detections, other.detections]),
            np.concatenate([self.scores, other.scores]),
            self.galleries + other.galleries,
        )


class DeepSort:
    """The faithful Deep SORT as a :class:`~persontrack_ros.core.tracking.tracker.Tracker`."""

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks; the first id is 1."""
        self.settings = settings
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; the next one gets this id."""
        self.next_id = first_id
        self._table = _Table()
        self._stamp: Optional[int] = None
        self._interval = math.inf
        self._image_size: Optional[tuple[int, int]] = None

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """
        Advance by one frame; the time between two frames does not matter to Deep SORT.

        :returns: the visible tracks: confirmed, and matched in this frame or the one before it.
        """
        embeddings = embed(np.arange(len(detections)))
        with undone_by_errors(self):
            self._table = self._table.copy()
            return self._update(detections, embeddings, stamp, motion)

    def _update(
        self,
        detections: Detections,
        embeddings: Embeddings,
        stamp: int,
        motion: Optional[FloatArray],
    ) -> list[Track]:
        measurements = boxes_to_measurements(detections.boxes)
        if self._stamp is not None and stamp > self._stamp:
            self._interval = (stamp - self._stamp) / 1e9
        self._stamp = stamp
        self._resize(detections.image_size)
        self._forget_other_embeddings(embeddings)
        if motion is not None:
            self._table.kalman = self._table.kalman.move(motion)
        self._predict()
        result = self._match(detections.boxes, measurements, embeddings)
        self._update_matched(result, measurements, detections.scores)
        self._mark_missed(result.unmatched_tracks)
        self._initiate(result.unmatched_detections, measurements, embeddings, detections.scores)
        galleries = self._table.galleries
        self._table = self._table.select(self._table.states != TrackState.DELETED)
        visible = [
            track
            for track in self.tracks
            if track.state == TrackState.CONFIRMED and track.time_since_update <= 1
        ]
        # Last, because it cannot be undone.
        for row, detection in zip(result.tracks, result.detections):
            galleries[row].add(embeddings[detection])
        return visible

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state of the tracker, as arrays for `numpy.savez`."""
        galleries = [gallery.by_age for gallery in self._table.galleries]
        nothing = np.empty((0, 0), dtype=np.float32)
        return {
            'next_id': np.array([self.next_id], dtype=np.int64),
            'stamp': np.array([] if self._stamp is None else [self._stamp], dtype=np.int64),
            'image_size': np.array(self._image_size or [], dtype=np.int64),
            'interval': np.array([] if self._interval == math.inf else [self._interval]),
            **self._table.kalman.state(),
            **{name: getattr(self._table, name).copy() for name in _COLUMNS},
            'gallery_sizes': np.array([len(each) for each in galleries], dtype=np.int64),
            'galleries': np.concatenate(galleries) if galleries else nothing,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """
        Continue from what :meth:`state` returned.

        :raises KeyError: if an array is missing; the tracker is then unchanged.
        :raises ValueError: if an array has a wrong type or shape; the tracker is then unchanged.
        """
        (next_id,) = checked(state, 'next_id', np.int64, (1,)).tolist()
        count = len(state['ids'])
        stamp = checked_if_known(state, 'stamp', np.int64, 1)
        interval = checked_if_known(state, 'interval', np.float64, 1)
        image_size = checked_if_known(state, 'image_size', np.int64, 2)
        sizes = checked(state, 'gallery_sizes', np.int64, (count,))
        rows = int(sizes.sum())
        embeddings = checked(state, 'galleries', np.float32, (rows, None))
        columns = {
            name: checked(state, name, getattr(self._table, name).dtype, (count,))
            for name in _COLUMNS
        }
        galleries = [
            Gallery.of(self.settings.nn_budget, vectors)
            for vectors in np.split(embeddings, np.cumsum(sizes)[:-1])[:count]
        ]
        kalman = States.restore(state, count)
        self._table = _Table(kalman=kalman, galleries=galleries, **columns)
        self.next_id = next_id
        self._image_size = (image_size[0], image_size[1]) if image_size else None
        self._stamp = stamp[0] if stamp else None
        self._interval = interval[0] if interval else math.inf

    @property
    def tracks(self) -> list[Track]:
        """All tracks that are not deleted, also tentative and invisible ones, by id."""
        table = self._table
        return make_tracks(
            table.ids,
            measurements_to_boxes(table.kalman.position),
            table.kalman.velocity[:, :2] / self._interval,
            table.scores,
            map(TrackState, table.states.tolist()),
            table.ages,
            table.hits,
            table.time_since_update,
            table.detections,
        )

    def _resize(self, image_size: Optional[tuple[int, int]]) -> None:
        """Scale the tracks to images of another resolution."""
        if image_size is None:
            return
        if self._image_size not in (None, image_size):
            factors = np.divide(image_size, self._image_size)
            self._table.kalman = self._table.kalman.scale(factors)
        self._image_size = image_size

    def _forget_other_embeddings(self, embeddings: Embeddings) -> None:
        """Forget embeddings of another model, from before a state was restored."""
        table, length = self._table, embeddings.shape[1]
        if len(table) and table.galleries[0].embeddings.shape[1] != length:
            unknown = np.zeros((1, length), dtype=np.float32)
            table.galleries = [Gallery.of(self.settings.nn_budget, unknown) for _ in table.ids]

    def _predict(self) -> None:
        table = self._table
        table.kalman = table.kalman.predict()
        table.ages += 1
        table.time_since_update += 1
        table.detections[:] = NO_DETECTION

    def _match(
        self, boxes: FloatArray, measurements: FloatArray, embeddings: Embeddings
    ) -> Association:
        """Run the matching cascade (2.3), then IoU matching of the rest."""
        table = self._table
        confirmed = table.states == TrackState.CONFIRMED
        unmatched = np.arange(len(boxes))
        cost = self._appearance_cost(confirmed, measurements, embeddings)
        cascade: list[Association] = []
        # Recently seen tracks choose first: the longer a track is lost, the wider its gate, and
        # it would take detections from tracks with better matches.
        for time_since_update in np.unique(table.time_since_update[confirmed]):
            if not len(unmatched) or time_since_update > self.settings.max_age:
                break
            level = np.flatnonzero(confirmed & (table.time_since_update == time_since_update))
            cascade.append(
                associate(
                    cost[np.ix_(level, unmatched)],
                    self.settings.max_cosine_distance,
                    level,
                    unmatched,
                )
            )
            unmatched = cascade[-1].unmatched_detections
        matched = np.concatenate([_integers(), *(stage.tracks for stage in cascade)])
        lost = np.setdiff1d(np.flatnonzero(confirmed), matched)
        just_missed = table.time_since_update[lost] == 1
        candidates = np.concatenate([np.flatnonzero(~confirmed), lost[just_missed]])
        overlap = iou(measurements_to_boxes(table.kalman.position[candidates]), boxes[unmatched])
        last = associate(1.0 - overlap, self.settings.max_iou_distance, candidates, unmatched)
        return Association(
            np.concatenate([matched, last.tracks]),
            np.concatenate([*(stage.detections for stage in cascade), last.detections]),
            np.concatenate([lost[~just_missed], last.unmatched_tracks]),
            last.unmatched_detections,
        )

    def _appearance_cost(
        self, confirmed: NDArray[np.bool_], measurements: FloatArray, embeddings: Embeddings
    ) -> FloatArray:
        """Smallest appearance distance to each gallery, infinite outside the gate (2.2)."""
        table = self._table
        cost = np.full((len(table), len(measurements)), np.inf)
        in_gate = table.kalman.squared_mahalanobis(measurements) <= GATING_THRESHOLD
        for row in np.flatnonzero(confirmed & in_gate.any(axis=1)):
            near = np.flatnonzero(in_gate[row])
            gallery = table.galleries[row].embeddings
            cost[row, near] = cosine_distance(gallery, embeddings[near]).min(axis=0)
        return cost

    def _update_matched(
        self,
        result: Association,
        measurements: FloatArray,
        scores: FloatArray,
    ) -> None:
        table, rows, found = self._table, result.tracks, result.detections
        table.kalman[rows] = table.kalman[rows].update(measurements[found])
        table.hits[rows] += 1
        table.time_since_update[rows] = 0
        table.detections[rows] = found
        table.scores[rows] = scores[found]
        table.states[rows[table.hits[rows] >= self.settings.n_init]] = TrackState.CONFIRMED

    def _mark_missed(self, rows: IndexArray) -> None:
        table = self._table
        tentative = table.states[rows] == TrackState.TENTATIVE
        too_old = table.time_since_update[rows] > self.settings.max_age
        table.states[rows[tentative | too_old]] = TrackState.DELETED

    def _initiate(
        self,
        found: IndexArray,
        measurements: FloatArray,
        embeddings: Embeddings,
        scores: FloatArray,
    ) -> None:
        count = len(found)
        at_once = self.settings.n_init <= 1
        state = TrackState.CONFIRMED if at_once else TrackState.TENTATIVE
        galleries = [Gallery(self.settings.nn_budget) for _ in found]
        for gallery, detection in zip(galleries, found):
            gallery.add(embeddings[detection])
        self._table = self._table.append(
            _Table(
                kalman=States.initiate(measurements[found]),
                ids=np.arange(self.next_id, self.next_id + count),
                states=np.full(count, state, dtype=np.intp),
                hits=np.ones(count, dtype=np.intp),
                ages=np.ones(count, dtype=np.intp),
                time_since_update=np.zeros(count, dtype=np.intp),
                detections=found.astype(np.intp),
                scores=scores[found],
                galleries=galleries,
            )
        )
        self.next_id += count
