"""
SORT in its published configuration, to compare with: the implementation of pyxtrackers.

Source: Bewley et al.: Simple Online and Realtime Tracking, ICIP 2016.
"""

from __future__ import annotations

import numpy as np

from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.evaluation.recording import Recording
from persontrack_ros.core.geometry import FloatArray

# The defaults of the authors' code.
MAX_AGE = 1
MIN_HITS = 3
MIN_IOU = 0.3


def track_with_sort(recording: Recording, score_threshold: float, every: int = 1) -> FloatArray:
    """
    Track the persons in a recording with SORT.

    :param score_threshold: leave out detections below it; 0 means what suits the detector.
    :param every: use the first of each so many frames only.
    :returns: a row ``[frame, id, left, top, width, height, score]`` for each visible track in each
        frame, shape ``(N, 7)``; SORT has no score, it is 1.
    :raises OutputError: if pyxtrackers is not installed.
    """
    try:
        from pyxtrackers import Sort
    except ImportError as error:
        raise OutputError(
            'the baseline needs the package pyxtrackers: pip install pyxtrackers'
        ) from error
    tracker = Sort(max_age=MAX_AGE, min_hits=MIN_HITS, iou_threshold=MIN_IOU)
    rows = [np.empty((0, 7))]
    for number, _, detections in recording.replay(score_threshold, every):
        boxes = detections.boxes
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        found = np.concatenate([corners, detections.scores[:, None]], axis=1)
        tracks = np.asarray(tracker.update(found)).reshape(-1, 5)
        sizes = tracks[:, 2:4] - tracks[:, :2]
        ones = np.ones((len(tracks), 1))
        rows.append(
            np.concatenate([number * ones, tracks[:, 4:5], tracks[:, :2], sizes, ones], axis=1)
        )
    return np.concatenate(rows)
