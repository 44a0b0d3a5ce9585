"""Where two runs differ."""

from __future__ import annotations

import numpy as np
import pytest

from persontrack_ros.bags.compare import Comparison, TrackedFrames
from persontrack_ros.core.evaluation.comparison import Difference, compare, rename_like
from persontrack_ros.core.evaluation.comparison_picture import draw_differences
from persontrack_ros.core.evaluation.mot import GroundTruth

BOX = np.array([10.0, 20.0, 30.0, 60.0])
ELSEWHERE = np.array([200.0, 20.0, 30.0, 60.0])


def side(frames, stamps=True, truth=None):
    times = {number: 100 * number for number in frames} if stamps else {}
    return TrackedFrames(None, frames, times, truth)


def test_the_same():
    frames = {1: {1: BOX}, 2: {}, 3: {1: BOX, 2: ELSEWHERE}}
    assert compare(frames, frames, 0.0) == []


@pytest.mark.parametrize('place', range(4))
def test_tolerance(place):
    moved = BOX.copy()
    moved[place] += 0.25
    assert compare({1: {7: BOX}}, {1: {7: moved}}, 0.25) == []
    assert compare({1: {7: BOX}}, {1: {7: moved}}, 0.24) == [Difference(1, moved={7: 0.25})]


def test_not_a_number_differs():
    (difference,) = compare({1: {7: BOX}}, {1: {7: BOX * np.nan}}, 1e9)
    assert difference.ids_a == {7}


def test_ids():
    (difference,) = compare({4: {1: BOX, 2: ELSEWHERE}}, {4: {5: BOX + 1}}, 0.01)
    assert difference == Difference(4, only_a=[2], renamed={1: 5})
    assert str(difference) == '1 is 5 in B; only in A: 2'
    assert (difference.ids_a, difference.ids_b) == ({1, 2}, {5})


def test_swapped_ids_are_moved_boxes():
    (difference,) = compare({1: {1: BOX, 2: ELSEWHERE}}, {1: {2: BOX, 1: ELSEWHERE}}, 0.01)
    assert difference.moved == {1: 190.0, 2: 190.0}


def test_frame_that_is_missing():
    (difference,) = compare({1: {}, 2: {}}, {1: {}}, 0.01)
    assert str(difference) == 'no such frame in B'


def test_rename_like():
    truth = {number: {50: BOX, 60: ELSEWHERE} for number in range(1, 6)}
    tracks = {number: {1: BOX, 2: ELSEWHERE} for number in range(1, 6)}
    tracks[5] = {3: BOX, 2: ELSEWHERE}
    renamed = rename_like(truth, tracks)
    assert list(renamed[1]) == [50, 60]
    assert list(renamed[5]) == [-3, 60]
    assert rename_like({}, tracks)[1].keys() == {-1, -2}


def test_bags_belong_together_by_stamps():
    a = side({1: {1: BOX}, 2: {1: BOX}})
    # The first image was dropped.
    b = TrackedFrames(None, {1: {1: BOX}}, {1: 200})
    comparison = Comparison(a, b, 0.01)
    assert [str(one) for one in comparison.differences] == ['no such frame in B; only in A: 1']
    assert comparison.title(comparison.differences[0]) == 'frame 1 (0.000 s)'
    assert (comparison.count, comparison.ids) == (2, [1])


def test_file_of_tracks_by_numbers():
    a = side({1: {}, 2: {1: BOX}, 3: {}})
    assert Comparison(a, side({2: {1: BOX}}, stamps=False), 0.01).differences == []
    assert len(Comparison(a, side({4: {1: BOX}}, stamps=False), 0.01).differences) == 2


def test_truth():
    pytest.importorskip('motrics')
    rows = [[n, id_, *box] for n in range(1, 11) for id_, box in ((50, BOX), (60, ELSEWHERE))]
    known = GroundTruth('MOT15', np.array(rows), np.array(rows), np.zeros(20, dtype=bool))
    truth = side({n: {50: BOX, 60: ELSEWHERE} for n in range(1, 11)}, False, known)
    run = side({n: {1: BOX + 2} if n > 2 else {} for n in range(1, 6)})
    comparison = Comparison(run, truth, 0.0)
    # Beyond the run, nothing is compared.
    assert comparison.count == 5
    assert [one.only_b for one in comparison.differences] == [[50, 60]] * 2 + [[60]] * 3
    assert comparison.scores.mota == pytest.approx(30.0)


def test_picture():
    a, b = {1: {1: BOX}, 2: {}}, {1: {2: BOX}, 2: {3: ELSEWHERE}}
    differences = compare(a, b, 0.01)
    image = np.full((100, 150, 3), 50, np.uint8)
    picture = draw_differences(differences, ['one', 'two'], a, b, {1: image})
    # Frame 2 has no image; both have a side for A and one for B.
    assert picture.shape == (100 + 4 + 480 + 4, 2 * 640 + 4, 3)
    assert (image == 50).all()
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
