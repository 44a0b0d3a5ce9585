"""
Deep SORT, faithful to the paper.

Source: Wojke, Bewley, Paulus: Simple Online and Realtime Tracking with a Deep Association Metric,
ICIP 2017. The numbers in comments are the sections of the paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import (
    FloatArray,
    boxes_to_measurements,
    iou,
    measurements_to_boxes,
)
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed, Embeddings, normalise
from persontrack_ros.core.tracking.association import Association, IndexArray, associate
from persontrack_ros.core.tracking.kalman_filter import GATING_THRESHOLD, States
from persontrack_ros.core.tracking.table import Columns, resized
from persontrack_ros.core.tracking.track import NO_DETECTION, Track, TrackState

_NO_ROWS = np.empty(0, dtype=np.intp)
_NO_VECTORS = np.empty((0, 0), dtype=np.float32)


@dataclass
class _Table(Columns):
    """The tracks; the newest embeddings of each, shape ``(at most nn_budget, D)``, are last."""

    galleries: NDArray[np.object_]


class DeepSort:
    """The faithful Deep SORT; its interface is that of :class:`Persistent`."""

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks; the first id is 1."""
        self.settings = settings
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; the next one gets this id."""
        self.next_id = first_id
        self._table = self._begin(_NO_ROWS, np.empty((0, 4)), _NO_VECTORS, np.empty(0))
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
        if resized(self._image_size, detections.image_size):
            self.reset(self.next_id)
        self._image_size = detections.image_size or self._image_size
        measurements = boxes_to_measurements(detections.boxes)
        if self._stamp is not None and stamp > self._stamp:
            self._interval = (stamp - self._stamp) / 1e9
        self._stamp = stamp
        table = self._table
        if motion is not None:
            table.kalman = table.kalman.move(motion)
        table.kalman = table.kalman.predict()
        table.ages += 1
        table.misses += 1
        table.detections[:] = NO_DETECTION
        result = self._match(detections.boxes, measurements, embeddings)
        self._update_matched(result, measurements, embeddings, detections.scores)
        lost = result.unmatched_tracks
        kept = np.ones(len(table), dtype=bool)
        kept[lost] = table.confirmed[lost] & (table.misses[lost] <= self.settings.max_age)
        found = result.unmatched_detections
        begun = self._begin(found, measurements, embeddings, detections.scores)
        self._table = table[kept].append(begun)
        self.next_id += len(found)
        return [
            track
            for track in self.tracks
            if track.state == TrackState.CONFIRMED and track.time_since_update <= 1
        ]

    def state(self) -> NoReturn:
        """
        Refuse to save a state.

        :raises SettingsError: always.
        """
        raise SettingsError(
            'tracker.algorithm: deep_sort has no state to save or to load, only persistent'
        )

    def restore(self, state: object) -> NoReturn:
        """Refuse to load a state, see :meth:`state`."""
        self.state()

    @property
    def tracks(self) -> list[Track]:
        """All tracks that are not deleted, also tentative and invisible ones, by id."""
        table = self._table
        return table.as_tracks(np.arange(len(table)), table.boxes, self._interval)

    @property
    def embeddings(self) -> dict[int, Embeddings]:
        """The mean embedding ``(D,)`` of each track, by id; zero if it has none."""
        means = [normalise(each.sum(axis=0, keepdims=True))[0] for each in self._table.galleries]
        return dict(zip(self._table.ids.tolist(), means))

    def _match(
        self, boxes: FloatArray, measurements: FloatArray, embeddings: Embeddings
    ) -> Association:
        """Run the matching cascade (2.3), then IoU matching of the rest."""
        table = self._table
        confirmed = table.confirmed
        unmatched = np.arange(len(boxes))
        cost = self._appearance_cost(confirmed, measurements, embeddings)
        cascade: list[Association] = []
        # Recently seen tracks choose first: the longer a track is lost, the wider its gate, and
        # it would take detections from tracks with better matches.
        for misses in np.unique(table.misses[confirmed]):
            if not len(unmatched) or misses > self.settings.max_age:
                break
            level = np.flatnonzero(confirmed & (table.misses == misses))
            cascade.append(
                associate(
                    cost[np.ix_(level, unmatched)],
                    self.settings.max_cosine_distance,
                    level,
                    unmatched,
                )
            )
            unmatched = cascade[-1].unmatched_detections
        matched = np.concatenate([_NO_ROWS, *(stage.tracks for stage in cascade)])
        lost = np.setdiff1d(np.flatnonzero(confirmed), matched)
        just_missed = table.misses[lost] == 1
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
            distance = 1.0 - table.galleries[row] @ embeddings[near].T
            cost[row, near] = distance.min(axis=0)
        return cost

    def _update_matched(
        self,
        result: Association,
        measurements: FloatArray,
        embeddings: Embeddings,
        scores: FloatArray,
    ) -> None:
        table, rows, found = self._table, result.tracks, result.detections
        table.kalman[rows] = table.kalman[rows].update(measurements[found])
        table.hits[rows] += 1
        table.misses[rows] = 0
        table.detections[rows] = found
        table.scores[rows] = scores[found]
        table.confirmed[rows[table.hits[rows] >= self.settings.n_init]] = True
        for row, detection in zip(rows, found):
            gallery = np.vstack([table.galleries[row], embeddings[detection]])
            table.galleries[row] = gallery[-self.settings.nn_budget :]

    def _begin(
        self,
        found: IndexArray,
        measurements: FloatArray,
        embeddings: Embeddings,
        scores: FloatArray,
    ) -> _Table:
        """Return new tracks of some of the detections."""
        count = len(found)
        galleries = np.empty(count, dtype=object)
        for row, detection in enumerate(found):
            galleries[row] = embeddings[detection : detection + 1].copy()
        return _Table(
            kalman=States.initiate(measurements[found]),
            ids=np.arange(self.next_id, self.next_id + count),
            confirmed=np.full(count, self.settings.n_init <= 1),
            ages=np.ones(count, dtype=np.intp),
            hits=np.ones(count, dtype=np.intp),
            misses=np.zeros(count, dtype=np.intp),
            scores=scores[found],
            detections=found.astype(np.intp),
            galleries=galleries,
        )
