"""Assignment: by the sum of costs, gated, and complete."""

import numpy as np
import pytest

from persontrack_ros.core.tracking.association import associate, associate_pairs

INF = np.inf


def solve(cost, max_cost, tracks=None, detections=None):
    cost = np.asarray(cost, dtype=np.float64)
    tracks = np.arange(cost.shape[0]) if tracks is None else np.array(tracks)
    detections = np.arange(cost.shape[1]) if detections is None else np.array(detections)
    return associate(cost, max_cost, tracks, detections)


def pairs(result):
    return dict(zip(result.tracks.tolist(), result.detections.tolist()))


@pytest.mark.parametrize(
    ('cost', 'max_cost', 'expected'),
    [
        # The sum counts: greedy choice would take the 1 and then pay 100.
        ([[1, 2], [3, 100]], 1000, {0: 1, 1: 0}),
        ([[0.2, 0.9], [0.9, 0.7]], 0.5, {0: 0}),
        # The limit itself is allowed.
        ([[0.5]], 0.5, {0: 0}),
        ([[np.nextafter(0.5, 1)]], 0.5, {}),
        ([[INF, 0.4], [INF, 0.1]], 0.5, {1: 1}),
        ([[INF, INF], [INF, INF]], 0.5, {}),
        # Unclipped, the sum would be smallest for (0, 1) and (1, 0), both too expensive.
        ([[0.1, 0.6], [0.6, 50.0]], 0.5, {0: 0}),
        (np.empty((0, 3)), 0.5, {}),
        (np.empty((3, 0)), 0.5, {}),
    ],
)
def test_limits(cost, max_cost, expected):
    result = solve(cost, max_cost)
    assert pairs(result) == expected
    rows, columns = np.shape(cost)
    assert sorted(result.unmatched_tracks) == sorted(set(range(rows)) - expected.keys())
    assert sorted(result.unmatched_detections) == sorted(
        set(range(columns)) - set(expected.values())
    )


def test_indices_of_rows_and_columns_are_those_given():
    result = solve([[9, 0.1, 9], [9, 9, 9]], 0.5, tracks=[7, 4], detections=[30, 10, 20])
    assert pairs(result) == {7: 10}
    assert result.unmatched_tracks.tolist() == [4]
    assert sorted(result.unmatched_detections.tolist()) == [20, 30]


@pytest.mark.parametrize('seed', range(40))
def test_pairs_are_matched_as_the_whole_matrix_is(seed):
    random = np.random.default_rng(seed)
    cost = random.uniform(0, 2, random.integers(0, 12, 2))
    cost[random.random(cost.shape) < random.uniform(0, 1)] = INF
    possible = cost <= 1.2
    rows, columns = np.nonzero(possible)
    chosen = associate_pairs(cost[possible], 1.2, rows, columns)
    expected = associate(cost, 1.2, np.arange(len(cost)), np.arange(cost.shape[1]))
    assert set(zip(rows[chosen], columns[chosen])) == set(
        zip(expected.tracks, expected.detections)
    )
