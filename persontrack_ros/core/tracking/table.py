"""The tracks of the persistent tracker, in columns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray, measurements_to_boxes
from persontrack_ros.core.tracking.appearance import Embeddings, known
from persontrack_ros.core.tracking.association import IndexArray
from persontrack_ros.core.tracking.kalman_filter import States
from persontrack_ros.core.tracking.track import Track, TrackState, make_tracks

# By whether a track is confirmed.
_STATES = (TrackState.TENTATIVE, TrackState.CONFIRMED)


@dataclass
class Table:
    """All tracks, one row each, in the order of their ids."""

    kalman: States
    ids: NDArray[np.intp]
    confirmed: NDArray[np.bool_]
    ages: NDArray[np.intp]
    hits: NDArray[np.intp]
    misses: NDArray[np.intp]
    seen_at: FloatArray
    embedded_at: FloatArray
    scores: FloatArray
    best_scores: FloatArray
    embeddings: Embeddings
    embedding_counts: NDArray[np.intp]
    detections: IndexArray
    drifts: FloatArray

    @classmethod
    def start(
        cls,
        first_id: int,
        kalman: States,
        scores: FloatArray,
        embeddings: Embeddings,
        detected: IndexArray,
        now: float,
    ) -> Table:
        """
        Make a tentative track of each detection.

        :param kalman: the states of the tracks.
        :param detected: index of each detection.
        """
        count = len(detected)
        return cls(
            kalman=kalman,
            ids=np.arange(first_id, first_id + count),
            confirmed=np.zeros(count, dtype=bool),
            ages=np.ones(count, dtype=np.intp),
            hits=np.ones(count, dtype=np.intp),
            misses=np.zeros(count, dtype=np.intp),
            seen_at=np.full(count, now),
            embedded_at=np.full(count, now),
            scores=scores,
            best_scores=scores,
            embeddings=embeddings,
            embedding_counts=known(embeddings).astype(np.intp),
            detections=detected,
            drifts=np.zeros((count, 2)),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def embedded(self) -> NDArray[np.bool_]:
        """Which tracks have an embedding."""
        return self.embedding_counts > 0

    @property
    def boxes(self) -> FloatArray:
        """The boxes of the tracks, shape ``(N, 4)``."""
        return measurements_to_boxes(self.kalman.position)

    def lost_time(self, now: float) -> FloatArray:
        """Return the seconds since the last detection of each track, shape ``(N,)``."""
        return now - self.seen_at

    def __getitem__(self, index: NDArray[Any]) -> Table:
        return Table(self.kalman[index], *(column[index] for column in self._arrays()))

    def append(self, other: Table) -> Table:
        """Return the rows of this table and those of another one."""
        pairs = zip(self._arrays(), other._arrays())
        return Table(self.kalman.append(other.kalman), *(np.concatenate(pair) for pair in pairs))

    def copy(self) -> Table:
        """Return a copy that can be changed in place; the embeddings are shared."""
        columns = (
            (column if column is self.embeddings else column.copy()) for column in self._arrays()
        )
        return Table(self.kalman.copy(), *columns)

    def _arrays(self) -> list[NDArray[Any]]:
        return [getattr(self, each.name) for each in dataclasses.fields(self)[1:]]

    def as_tracks(self, rows: IndexArray, boxes: FloatArray) -> list[Track]:
        """
        Return some of the tracks.

        :param boxes: of all.
        """
        return make_tracks(
            self.ids[rows],
            boxes[rows],
            self.kalman.velocity[rows, :2],
            self.scores[rows],
            [_STATES[confirmed] for confirmed in self.confirmed[rows].tolist()],
            self.ages[rows],
            self.hits[rows],
            self.misses[rows],
            self.detections[rows],
        )
