"""Tables of tracks, in columns, and the check of stored ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from persontrack_ros.core.base.geometry import FloatArray, measurements_to_boxes
from persontrack_ros.core.tracking.appearance import Embeddings, known
from persontrack_ros.core.tracking.association import IndexArray
from persontrack_ros.core.tracking.kalman_filter import States
from persontrack_ros.core.tracking.track import NO_DETECTION, Track, TrackState

_logger = logging.getLogger(__name__)

# By whether a track is confirmed.
_STATES = (TrackState.TENTATIVE, TrackState.CONFIRMED)

_Table = TypeVar('_Table', bound='Columns')


@dataclass
class Columns:
    """All tracks, one row each, in the order of their ids."""

    kalman: States
    ids: NDArray[np.intp]
    confirmed: NDArray[np.bool_]
    ages: NDArray[np.intp]
    hits: NDArray[np.intp]
    misses: NDArray[np.intp]
    scores: FloatArray
    detections: IndexArray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self: _Table, index: NDArray[Any]) -> _Table:
        return type(self)(*(column[index] for column in vars(self).values()))

    @property
    def boxes(self) -> FloatArray:
        """The boxes of the tracks, shape ``(N, 4)``."""
        return measurements_to_boxes(self.kalman.position)

    def append(self: _Table, other: _Table) -> _Table:
        """Return the rows of this table and those of another one."""
        kalman, *columns = zip(vars(self).values(), vars(other).values())
        joined = [np.concatenate(pair) for pair in columns]
        return type(self)(kalman[0].append(kalman[1]), *joined)

    def as_tracks(self, rows: IndexArray, boxes: FloatArray, time: float = 1.0) -> list[Track]:
        """
        Return some of the tracks.

        :param boxes: of all.
        :param time: the unit of time of the filter, in seconds.
        """
        columns = zip(
            self.ids[rows].tolist(),
            boxes[rows],
            self.kalman.velocity[rows, :2] / time,
            self.scores[rows].tolist(),
            [_STATES[confirmed] for confirmed in self.confirmed[rows].tolist()],
            self.ages[rows].tolist(),
            self.hits[rows].tolist(),
            self.misses[rows].tolist(),
            [None if row == NO_DETECTION else row for row in self.detections[rows].tolist()],
        )
        return list(map(Track._make, columns))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the columns."""
        arrays = {**vars(self), **vars(self.kalman)}
        del arrays['kalman']
        return {name: each.copy() for name, each in arrays.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """
        Return the columns that :meth:`state` of a table of this kind returned.

        :raises KeyError: if an array is missing.
        :raises ValueError: see :func:`checked`.
        """
        columns = {}
        for name, column in self.state().items():
            # Embeddings may come from a model with another dimension.
            widths = (None,) if name == 'embeddings' else column.shape[1:]
            columns[name] = checked(state, name, column.dtype, (len(state['ids']), *widths))
        kalman = States(*(columns.pop(name) for name in vars(self.kalman)))
        return {**columns, 'kalman': kalman}


def checked(
    state: Mapping[str, NDArray[Any]],
    name: str,
    kind: DTypeLike,
    shape: tuple[Optional[int], ...],
) -> NDArray[Any]:
    """
    Return an array of a stored state.

    :param shape: None for any length.
    :raises KeyError: if it is missing.
    :raises ValueError: if it has another type or shape, or numbers that are not finite.
    """
    array = state[name]
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(array.shape, shape)
    )
    if not fits or array.dtype != kind:
        raise ValueError(f'{name} is not what it should be: {array.dtype} of shape {array.shape}')
    if not np.isfinite(array).all():
        raise ValueError(f'{name} has numbers that are not finite')
    return array.copy()


def resized(before: Optional[tuple[int, int]], now: Optional[tuple[int, int]]) -> bool:
    """Return whether all tracks end: boxes in pixels of another resolution match nothing."""
    if before is None or now is None or before == now:
        return False
    _logger.warning('the images have %dx%d pixels now: all tracks end', *now)
    return True


@dataclass(frozen=True)
class Detected:
    """Detections of one frame. Embeddings that were not requested are zero vectors."""

    measurements: FloatArray
    scores: FloatArray
    embeddings: Embeddings
    known: NDArray[np.bool_]


@dataclass
class Table(Columns):
    """The tracks of the persistent tracker."""

    seen_at: FloatArray
    embedded_at: FloatArray
    best_scores: FloatArray
    embeddings: Embeddings
    embedding_counts: NDArray[np.intp]
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

    @property
    def embedded(self) -> NDArray[np.bool_]:
        """Which tracks have an embedding."""
        return self.embedding_counts > 0

    def lost_time(self, now: float) -> FloatArray:
        """Return the seconds since the last detection of each track, shape ``(N,)``."""
        return now - self.seen_at
