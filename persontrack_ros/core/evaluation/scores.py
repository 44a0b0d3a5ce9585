"""
Comparison of tracks with the truth.

HOTA, DetA and AssA: Luiten et al.: HOTA: A Higher Order Metric for Evaluating Multi-Object
Tracking, IJCV 2021. IDF1: Ristani et al., ECCV Workshops 2016. MOTA: Bernardin and Stiefelhagen,
CLEAR MOT, 2008. All are computed by the library motrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.geometry import FloatArray


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

    Several sequences count as one long one in which nobody appears twice, so that each weighs
    as much as it has persons in it; this equals the combined scores of TrackEval.

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
                # Ids of one sequence are no ids of another one.
                ids[side].append([int(id_) + (index << 53) for id_ in here[:, 1]])
                boxes[side].append(np.ascontiguousarray(here[:, 2:6]))
    result = motrics.evaluate(
        motrics.Frames(ids[0], boxes[0]), motrics.Frames(ids[1], boxes[1]), box_format='xywh'
    )
    return Scores(
        hota=100 * result.hota.hota,
        det_a=100 * result.hota.deta,
        ass_a=100 * result.hota.assa,
        idf1=100 * result.identity.idf1,
        mota=100 * result.clear.mota,
        id_switches=result.clear.num_switches,
        fragmentations=result.clear.frag,
    )
