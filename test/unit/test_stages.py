"""The stages of the persistent tracker's association, and its exit rule, one by one."""

import numpy as np
import pytest

from persontrack_ros.core.base.geometry import boxes_to_measurements
from persontrack_ros.core.tracking.kalman_filter import States
from persontrack_ros.core.tracking.leaving import leaving, record_drift
from persontrack_ros.core.tracking.persistent import WALKING
from persontrack_ros.core.tracking.stages import (
    MAX_RIVALS,
    REACH,
    Matching,
    by_everything,
    candidate_pairs,
    reunite,
    unambiguous,
)
from persontrack_ros.core.tracking.table import Detected, Table

SIZE = (640, 480)
RED, BLUE, NOTHING = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)


def table_of(*boxes, embeddings=None, seen_at=0.0):
    """Return a table of confirmed tracks that were last seen in these boxes."""
    count = len(boxes)
    states = States.initiate(boxes_to_measurements(np.array(boxes, dtype=float)), WALKING)
    embeddings = (
        np.zeros((count, 2), dtype=np.float32) if embeddings is None else np.array(embeddings)
    )
    table = Table.start(1, states, np.ones(count), embeddings, np.arange(count), seen_at)
    table.confirmed[:] = True
    return table


def detected_in(*boxes, embeddings):
    """Return boxes, and detections in them, with these embeddings."""
    boxes, embeddings = np.array(boxes, dtype=float), np.array(embeddings)
    measurements = boxes_to_measurements(boxes)
    return boxes, Detected(measurements, np.ones(len(boxes)), embeddings, embeddings.any(axis=1))


def test_a_track_competes_for_the_nearest_detections_only():
    table = table_of((1000, 100, 40, 100), (3000, 100, 40, 100))
    # Further and further to the right of the first track, and one on the second.
    offsets = np.arange(MAX_RIVALS + 50) * 0.05
    boxes = np.array(
        [[1000 + offset, 100, 40, 100] for offset in offsets] + [[3000, 100, 40, 100]]
    )
    order = np.random.default_rng(1).permutation(len(boxes))
    pairs = candidate_pairs(table, boxes[order], boxes_to_measurements(boxes[order]))
    of_first = pairs.detections[pairs.tracks == 0]
    assert sorted(order[of_first]) == list(range(MAX_RIVALS))
    assert order[pairs.detections[pairs.tracks == 1]].tolist() == [len(boxes) - 1]


def test_who_is_neither_in_the_gate_nor_overlaps_is_no_pair():
    table = table_of((100, 100, 40, 100))
    boxes = np.array([(102.0, 100, 40, 100), (500, 100, 40, 100), (100, 600, 40, 100)])
    pairs = candidate_pairs(table, boxes, boxes_to_measurements(boxes))
    assert pairs.detections.tolist() == [0]
    assert pairs.overlap[0] > 0.9
    assert pairs.in_gate.tolist() == [True]


def test_who_is_in_the_gate_need_not_overlap():
    """After a while without a detection, the filter is that uncertain."""
    table = table_of((100, 100, 40, 100))
    table.kalman = table.kalman.predict(3.0, WALKING)
    boxes = np.array([(150.0, 100, 40, 100)])
    pairs = candidate_pairs(table, boxes, boxes_to_measurements(boxes))
    assert pairs.overlap.tolist() == [0.0]
    assert pairs.in_gate.tolist() == [True]


@pytest.mark.parametrize(
    ('boxes', 'fresh', 'expected'),
    [
        ([(102, 100, 40, 100)], True, [(0, 0)]),
        ([(102, 100, 40, 100)], False, []),
        # Overlaps too little.
        ([(118, 100, 40, 100)], True, []),
        # Two that may be the same person.
        ([(102, 100, 40, 100), (98, 105, 40, 100)], True, []),
    ],
)
def test_unambiguous(boxes, fresh, expected):
    table = table_of((100, 100, 40, 100))
    boxes = np.array(boxes, dtype=float)
    pairs = candidate_pairs(table, boxes, boxes_to_measurements(boxes))
    tracks, detections = unambiguous(pairs, np.array([fresh]))
    assert list(zip(tracks.tolist(), detections.tolist())) == expected


@pytest.mark.parametrize('crowd', [0, 40])
@pytest.mark.parametrize(
    ('embeddings', 'expected'),
    [(RED, 0), (BLUE, -1), (NOTHING, 0)],
    ids=['same', 'other', 'unknown'],
)
def test_looks_decide_who_is_in_the_same_place(crowd, embeddings, expected):
    """Whether few pairs are compared, or so many that all are at once."""
    others = [(1000.0 + 100 * index, 100, 40, 100) for index in range(crowd)]
    table = table_of((100, 100, 40, 100), *others, embeddings=[RED] * (1 + crowd))
    boxes, detected = detected_in(
        (104, 100, 40, 100), *others, embeddings=[embeddings] + [RED] * crowd
    )
    pairs = candidate_pairs(table, boxes, detected.measurements)
    matching = Matching(len(table), len(boxes))
    by_everything(matching, table, pairs, detected)
    assert matching.detection_of[0] == expected
    assert matching.detection_of[1:].tolist() == list(range(1, 1 + crowd))


def test_as_many_as_possible_are_matched():
    """None overlaps; the second detection looks otherwise than the second track."""
    table = table_of((100, 100, 40, 100), (160, 100, 40, 100), embeddings=[NOTHING, RED])
    table.kalman = table.kalman.predict(3.0, WALKING)
    boxes, detected = detected_in(
        (50, 100, 40, 100), (210, 100, 40, 100), embeddings=[NOTHING, BLUE]
    )
    matching = Matching(2, 2)
    by_everything(matching, table, candidate_pairs(table, boxes, detected.measurements), detected)
    assert matching.detection_of.tolist() == [1, 0]


@pytest.mark.parametrize(('heights', 'detected'), [(0.9 * REACH, True), (1.1 * REACH, False)])
@pytest.mark.parametrize('seconds', [1.0, 4.0])
def test_reach_grows_with_the_square_root_of_the_time(heights, detected, seconds):
    table = table_of((100, 100, 40, 100), embeddings=[RED])
    away = 100 * heights * seconds**0.5
    both = table.append(table_of((100 + away, 100, 40, 100), embeddings=[RED], seen_at=seconds))
    same, new = reunite(both, np.array([0]), np.array([1]), seconds)
    assert list(zip(same, new)) == [(0, 1)] * detected


@pytest.mark.parametrize(('distance', 'same'), [(0.45, True), (0.6, False)])
def test_lost_persons_are_reunited_by_appearance(distance, same):
    other = np.array([1 - distance, np.sqrt(1 - (1 - distance) ** 2)], dtype=np.float32)
    table = table_of((100, 100, 40, 100), embeddings=[RED])
    table = table.append(table_of((110, 100, 40, 100), embeddings=[other], seen_at=1.0))
    assert len(reunite(table, np.array([0]), np.array([1]), 1.0)[0]) == same


# A box that is at the border of the image, and the velocity that leads out there.
BORDERS = {
    'left': ((0, 200, 40, 100), (-50, 0)),
    'right': ((600, 200, 40, 100), (50, 0)),
    'top': ((300, 0, 40, 100), (0, -50)),
    'bottom': ((300, 380, 40, 100), (0, 50)),
}


@pytest.mark.parametrize('border', BORDERS)
@pytest.mark.parametrize(
    ('speed', 'lost', 'drift', 'gone'),
    [
        (1, 0.6, 0, True),
        # Detected a moment ago; comes in; stands.
        (1, 0.4, 0, False),
        (-1, 0.6, 0, False),
        (0, 0.6, 0, False),
        # The camera turns, faster than the person walks or more slowly.
        (1, 0.6, 60, False),
        (1, 0.6, 40, True),
        # Further than the camera turns, from more than a body's width within.
        (1, 2.0, 60, True),
    ],
)
def test_who_walks_out_of_the_image_has_left(border, speed, lost, drift, gone):
    box, velocity = BORDERS[border]
    table = table_of(box, (300, 200, 40, 100))
    # The other one is seen.
    table.seen_at[1] = lost
    table.kalman.velocity[:, :2] = speed * np.array(velocity)
    table.drifts[:] = np.sign(np.abs(velocity)) * drift
    assert leaving(table, SIZE, lost, 0.1).tolist() == [gone, False]


def test_who_vanishes_within_the_image_has_not_left():
    table = table_of((300, 200, 40, 100))
    table.kalman.velocity[:, 0] = 50
    assert leaving(table, SIZE, 5.0, 0.1).tolist() == [False]


def test_who_is_carried_over_another_border_has_not_left():
    """The person walks out on the right, while the camera tilts and takes them to the top."""
    table = table_of((600, 0, 40, 100))
    table.kalman.velocity[:, :2] = (50, -5)
    assert leaving(table, SIZE, 0.6, 0.1).tolist() == [True]
    table.drifts[:] = (0, 100)
    assert leaving(table, SIZE, 0.6, 0.1).tolist() == [False]


def test_the_drift_is_the_mean_over_the_last_second():
    table = table_of((300, 200, 40, 100), (100, 200, 40, 100))
    table.misses[1] = 1
    for _ in range(40):
        record_drift(table, np.full((2, 2), [3.0, -1.0]), 0.1)
    # Of who is not seen, it stays.
    np.testing.assert_allclose(table.drifts, [[30, -10], [0, 0]], rtol=0.05)
    for _ in range(10):
        record_drift(table, np.zeros((2, 2)), 0.1)
    np.testing.assert_allclose(table.drifts[0], np.array([30, -10]) / np.e, rtol=0.05)
