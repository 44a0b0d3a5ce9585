"""
Comparison of tracks with the ground truth.

HOTA, DetA and AssA: Luiten et al.: HOTA: A Higher Order Metric for Evaluating Multi-Object
Tracking, IJCV 2021. IDF1: Ristani et al., ECCV Workshops 2016. Both are computed by the library
motrics. MOTA and its counts: Bernardin and Stiefelhagen, CLEAR MOT, 2008, as in TrackEval 1.3;
motrics prefers an id also after frames in which it was not matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.geometry import FloatArray, iou

# TrackEval subtracts this for rounding errors.
MIN_IOU = 0.5 - np.finfo(np.float64).eps


@dataclass(frozen=True)
class Scores:
    """
    How well tracks agree with the truth.

    The first five are percentages, IDF1 and MOTA at an IoU of 0.5; the others count events over
    all frames.
    """

    hota: float
    det_a: float
    ass_a: float
    idf1: float
    mota: float
    id_switches: int
    fragmentations: int


def evaluate(sequences: Sequence[tuple[FloatArray, FloatArray]]) -> Scores:
    """
    Score the tracks of one or more sequences together.

    Several sequences count as one long sequence with different persons, so that each is weighted
    by its number of persons; this equals the combined scores of TrackEval.

    :param sequences: ground truth and result of each, rows ``[frame, id, left, top, width,
        height, ...]``. Rows of the ground truth that do not count must have been left out.
    :raises OutputError: if motrics is not installed.
    """
    try:
        import motrics
    except ImportError as error:
        raise OutputError('scores need the package motrics: pip install motrics') from error
    ids: tuple[list[list[int]], list[list[int]]] = ([], [])
    boxes: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for index, pair in enumerate(sequences):
        for frame in np.unique(np.concatenate([rows[:, 0] for rows in pair])):
            for side, rows in enumerate(pair):
                here = rows[rows[:, 0] == frame]
                # The same id in two sequences means two persons.
                ids[side].append([int(id_) + (index << 53) for id_ in here[:, 1]])
                boxes[side].append(np.ascontiguousarray(here[:, 2:6]))
    result = motrics.evaluate(
        motrics.Frames(ids[0], boxes[0]), motrics.Frames(ids[1], boxes[1]), box_format='xywh'
    )
    matches, false, switched, fragmentations = (
        sum(counts) for counts in zip(*(_clear(truth, rows) for truth, rows in sequences))
    )
    persons = sum(len(truth) for truth, _ in sequences)
    return Scores(
        hota=100 * result.hota.hota,
        det_a=100 * result.hota.deta,
        ass_a=100 * result.hota.assa,
        idf1=100 * result.identity.idf1,
        mota=100 * (matches - false - switched) / max(1, persons),
        id_switches=switched,
        fragmentations=fragmentations,
    )


def follow(truth: FloatArray, rows: FloatArray) -> dict[int, dict[int, int]]:
    """
    Return the ids under which each person was tracked.

    Persons are assigned to tracks at an IoU of at least 0.5: first under the id of the frame
    before, of those frames that have tracks, and then by overlap.

    :param truth: ground truth, rows ``[frame, id, left, top, width, height, ...]``.
    :param rows: tracks, in the same format.
    :returns: by person, in the order of appearance: the id in each frame, 0 where it was missed.
    """
    persons: dict[int, dict[int, int]] = {}
    before: dict[int, int] = {}
    for frame in np.unique(truth[:, 0]):
        here, found = (each[each[:, 0] == frame] for each in (truth, rows))
        names = here[:, 1].astype(int).tolist()
        ids = found[:, 1].astype(int).tolist()
        matched: dict[int, int] = {}
        if ids:
            overlap = iou(here[:, 2:6], found[:, 2:6])
            kept = np.array([before.get(name, 0) for name in names])[:, None] == ids
            gain = np.where(overlap >= MIN_IOU, 1000.0 * kept + overlap, 0.0)
            before = matched = {
                names[row]: ids[column]
                for row, column in zip(*linear_sum_assignment(gain, maximize=True))
                if gain[row, column] > 0
            }
        for name in names:
            persons.setdefault(name, {})[int(frame)] = matched.get(name, 0)
    return persons


def _clear(truth: FloatArray, rows: FloatArray) -> tuple[int, int, int, int]:
    """Count matches, false positives, id switches and fragmentations of one sequence."""
    rows = rows.copy()
    # 0 means "no id".
    rows[:, 1] = np.unique(rows[:, 1], return_inverse=True)[1] + 1
    persons = follow(truth, rows)
    compared = np.intersect1d(truth[:, 0], rows[:, 0]).astype(int).tolist()
    matches = switched = fragmentations = 0
    for frames in persons.values():
        ids = np.array([id_ for id_ in frames.values() if id_])
        matches += len(ids)
        switched += int((np.diff(ids) != 0).sum())
        seen = np.array([frames.get(frame, 0) > 0 for frame in compared], dtype=int)
        fragmentations += max(0, int((np.diff(seen, prepend=0) > 0).sum()) - 1)
    return matches, len(rows) - matches, switched, fragmentations
