"""Where two runs differ."""

import numpy as np
import pytest

from persontrack_ros.core.evaluation.comparison import TrackedFrames, compare, draw_differences

BOX = np.array([10.0, 20.0, 30.0, 60.0])
ELSEWHERE = np.array([200.0, 20.0, 30.0, 60.0])


def side(frames, stamps=True):
    return TrackedFrames(frames, {number: 100 * number for number in frames} if stamps else {})


def moved(place, by=0.25):
    box = BOX.copy()
    box[place] += by
    return {7: box}


@pytest.mark.parametrize(
    ('a', 'b', 'text'),
    [
        ({}, {}, ''),
        ({1: BOX, 2: ELSEWHERE}, {2: ELSEWHERE, 1: BOX}, ''),
        *(({7: BOX}, moved(place), '') for place in range(4)),
        *(({7: BOX}, moved(place, 0.26), '7 moved by 0.26 px') for place in range(4)),
        ({7: BOX}, {7: BOX * np.nan}, '7 moved by nan px'),
        ({1: BOX, 2: ELSEWHERE}, {5: BOX + 1}, '1 is 5 in B; only in A: 2'),
        ({1: BOX}, {1: BOX, 2: ELSEWHERE}, 'only in B: 2'),
        # Swapped ids.
        (
            {1: BOX, 2: ELSEWHERE},
            {2: BOX, 1: ELSEWHERE},
            '1 moved by 190.00 px; 2 moved by 190.00 px',
        ),
    ],
)
def test_one_frame(a, b, text):
    differences, count = compare(side({1: a}), side({1: b}), 0.25)
    assert [one.text for one in differences] == [f'frame 1 (0.000 s): {text}'] * bool(text)
    assert count == 1


def test_bags_belong_together_by_stamps():
    # The first image was dropped.
    b = TrackedFrames({1: {1: BOX}}, {1: 200})
    (difference,), count = compare(side({1: {1: BOX}, 2: {1: BOX}}), b, 0.01)
    assert difference.text == 'frame 1 (0.000 s): no such frame in B; only in A: 1'
    assert count == 2


def test_file_of_tracks_by_numbers():
    a = side({1: {}, 2: {1: BOX}, 3: {}})
    assert compare(a, side({2: {1: BOX}}, stamps=False), 0.01) == ([], 3)
    differences, count = compare(a, side({4: {1: BOX}}, stamps=False), 0.01)
    assert [one.text.split(':')[0] for one in differences] == ['frame 2 (0.000 s)', 'frame 4']
    assert count == 4


def test_picture():
    a, b = side({1: {1: BOX}, 2: {2: BOX}}), side({1: {2: BOX}, 2: {2: BOX, 3: ELSEWHERE}})
    image = np.full((100, 250, 3), 50, np.uint8)
    picture = draw_differences(compare(a, b, 0.01)[0], {100: image, 200: image})
    # A and B beside each other, both frames below each other.
    assert picture.shape == (200, 500, 3)
    assert (image == 50).all()
    a_2, b_2 = picture[100:, :250], picture[100:, 250:]
    assert (a_2[60, 10] == b_2[60, 10]).all()
    assert (a_2[60, 200] == 50).all()
    assert len(set(b_2[60, 200].tolist())) > 1
