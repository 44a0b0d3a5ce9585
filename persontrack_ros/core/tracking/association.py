"""Assignment of detections to tracks: the Hungarian algorithm behind every association stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray

IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Association:
    """
    Result of one association stage.

    :ivar tracks: indices of matched tracks, shape ``(K,)``.
    :ivar detections: index of the detection matched to each of them, shape ``(K,)``.
    :ivar unmatched_tracks: the other track indices.
    :ivar unmatched_detections: the other detection indices.
    """

    tracks: IndexArray
    detections: IndexArray
    unmatched_tracks: IndexArray
    unmatched_detections: IndexArray


def associate(
    cost: FloatArray, max_cost: float, tracks: IndexArray, detections: IndexArray
) -> Association:
    """
    Match tracks to detections with the smallest sum of costs.

    A pair above `max_cost` is never matched. As in the reference implementation such pairs are
    clipped to just above the limit before the assignment, so that one hopeless pair cannot push
    good ones apart, and the detections of rejected pairs follow the others in the list of
    unmatched detections (which decides the order of new track ids).

    :param cost: shape ``(len(tracks), len(detections))``; infinite where a pair is gated out.
    :param tracks: track index of each row.
    :param detections: detection index of each column.
    """
    if cost.size == 0:
        nothing = np.empty(0, dtype=np.intp)
        return Association(nothing, nothing, tracks, detections)
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.where(cost > max_cost, max_cost + 1e-5, cost))
    good = cost[rows, columns] <= max_cost
    return Association(
        tracks[rows[good]],
        detections[columns[good]],
        _rest(tracks, rows, good),
        _rest(detections, columns, good),
    )


def associate_pairs(
    cost: FloatArray, max_cost: float, rows: IndexArray, columns: IndexArray
) -> IndexArray:
    """
    Match as :func:`associate` does, faster where few pairs are possible.

    :param cost: of each possible pair, at most `max_cost`, shape ``(P,)``.
    :param rows: row of each pair, shape ``(P,)``; no pair may occur twice.
    :param columns: column of each pair, shape ``(P,)``.
    :returns: indices of the pairs that are matched.
    """
    if not len(cost):
        return rows
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    if alone.all():
        return np.flatnonzero(alone)
    chosen, rest = np.flatnonzero(alone), np.flatnonzero(~alone)
    from scipy.optimize import linear_sum_assignment

    row, column = _renumbered(rows[rest]), _renumbered(columns[rest])
    pair = np.full((row.max() + 1, column.max() + 1), -1)
    pair[row, column] = rest
    dense = np.full(pair.shape, max_cost + 1e-5)
    dense[row, column] = cost[rest]
    matched = pair[linear_sum_assignment(dense)]
    return np.concatenate([chosen, matched[matched >= 0]])


def _renumbered(indices: IndexArray) -> IndexArray:
    """Number the distinct values from 0, in their order."""
    places = np.cumsum(np.bincount(indices) > 0) - 1
    return places[indices]


def _rest(indices: IndexArray, assigned: IndexArray, good: NDArray[np.bool_]) -> IndexArray:
    never = np.ones(len(indices), dtype=bool)
    never[assigned] = False
    return np.concatenate([indices[never], indices[assigned[~good]]])
