"""The stages of the persistent tracker's association, one by one."""

from __future__ import annotations

import numpy as np

from persontrack_ros.core.geometry import boxes_to_measurements
from persontrack_ros.core.tracking.kalman_filter import States
from persontrack_ros.core.tracking.persistent import WALKING
from persontrack_ros.core.tracking.stages import MAX_RIVALS
from persontrack_ros.core.tracking.stages import near
from persontrack_ros.core.tracking.table import Table


def table_of(*boxes):
    """Return a table of tracks that were just seen in these boxes."""
    count = len(boxes)
    states = States.initiate(boxes_to_measurements(np.array(boxes, dtype=float)), WALKING)
    looks = np.zeros((count, 0), dtype=np.float32)
    return Table.start(1, states, np.ones(count), looks, np.arange(count), 0.0)


def test_a_track_competes_for_the_nearest_detections_only():
    table = table_of((1000, 100, 40, 100), (3000, 100, 40, 100))
    # Further and further to the right of the first track, and one on the second.
    offsets = np.arange(MAX_RIVALS + 50) * 0.05
    boxes = np.array(
        [[1000 + offset, 100, 40, 100] for offset in offsets] + [[3000, 100, 40, 100]]
    )
    order = np.random.default_rng(1).permutation(len(boxes))
    pairs = near(table, boxes[order], boxes_to_measurements(boxes[order]))
    of_first = pairs.detections[pairs.tracks == 0]
    assert sorted(order[of_first]) == list(range(MAX_RIVALS))
    assert order[pairs.detections[pairs.tracks == 1]].tolist() == [len(boxes) - 1]


def test_who_is_neither_in_the_gate_nor_overlaps_is_no_pair():
    table = table_of((100, 100, 40, 100))
    boxes = np.array([(102.0, 100, 40, 100), (500, 100, 40, 100), (100, 600, 40, 100)])
    pairs = near(table, boxes, boxes_to_measurements(boxes))
    assert pairs.detections.tolist() == [0]
    assert pairs.overlap[0] > 0.9
    assert pairs.in_gate.tolist() == [True]
