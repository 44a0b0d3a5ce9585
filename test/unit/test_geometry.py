"""Boxes: conversions, overlap and clipping, against values worked out by hand."""

import numpy as np
import pytest

from persontrack_ros.core.base.geometry import (
    as_boxes,
    boxes_to_measurements,
    iou,
    measurements_to_boxes,
    pairwise_iou,
    pixel_rectangles,
)


@pytest.mark.parametrize('empty', [[], np.empty((0, 4)), np.empty((0, 7)), ()])
def test_no_boxes_have_the_usual_shape(empty):
    boxes = as_boxes(empty)
    assert boxes.shape == (0, 4)
    assert boxes.dtype == np.float64
    assert boxes_to_measurements(boxes).shape == (0, 4)
    assert measurements_to_boxes(boxes).shape == (0, 4)
    assert iou(boxes, np.ones((3, 4))).shape == (0, 3)
    assert pixel_rectangles(boxes, 640, 480).shape == (0, 4)


@pytest.mark.parametrize('wrong', [[1, 2, 3, 4], [[1, 2, 3]], np.ones((2, 2, 4))])
def test_other_shapes_are_refused(wrong):
    with pytest.raises(ValueError, match=r'\(N, 4\)'):
        as_boxes(wrong)


def test_measurement_is_centre_aspect_height():
    measurements = boxes_to_measurements(as_boxes([[10, 20, 30, 60], [-5, 0, 10, 5]]))
    assert measurements.tolist() == [[25, 50, 0.5, 60], [0, 2.5, 2, 5]]
    boxes = np.random.default_rng(1).uniform([-50, -50, 1, 1], [600, 600, 200, 300], (200, 4))
    np.testing.assert_allclose(measurements_to_boxes(boxes_to_measurements(boxes)), boxes)


@pytest.mark.parametrize('other', [[0, 0, 0, 0], [0, 0, 10, 10], [10, 0, 10, 10]])
def test_empty_and_adjacent_boxes_do_not_overlap(other):
    box = as_boxes([[0, 0, 0, 0] if other[0] == 0 else [0, 0, 10, 10]])
    assert iou(box, as_boxes([other]))[0, 0] == iou(as_boxes([other]), box)[0, 0] == 0


def test_iou_counts_pixels():
    """Random boxes of whole pixels, against painting both and counting."""
    random = np.random.default_rng(2)
    boxes, others = (random.integers(1, 20, (12, 4)).astype(float) for _ in range(2))

    def paint(box):
        left, top, width, height = box.astype(int)
        canvas = np.zeros((40, 40), dtype=bool)
        canvas[top : top + height, left : left + width] = True
        return canvas

    expected = [
        [(paint(a) & paint(b)).sum() / (paint(a) | paint(b)).sum() for b in others] for a in boxes
    ]
    np.testing.assert_allclose(iou(boxes, others), expected)
    np.testing.assert_allclose(pairwise_iou(boxes, others), np.diag(expected))


@pytest.mark.parametrize('far', [1e5, 1e12, 1e17])
def test_iou_stays_in_its_range_however_far_away(far):
    """Where rounding is as large as the boxes."""
    random = np.random.default_rng(3)
    boxes = np.concatenate([far + random.integers(0, 9, (9, 2)), np.ones((9, 2))], axis=1)
    for found in (iou(boxes, boxes), pairwise_iou(boxes, boxes[::-1])):
        assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize(
    ('box', 'expected'),
    [
        ([10, 20, 30, 20], [10, 20, 40, 40]),
        ([10.2, 20.8, 30, 20], [10, 20, 41, 41]),
        ([-5, -5, 10, 10], [0, 0, 5, 5]),
        ([95, 45, 10, 10], [95, 45, 100, 50]),
        ([-5, -5, 500, 500], [0, 0, 100, 50]),
        # Wholly outside: the nearest pixel.
        ([200, 10, 10, 10], [99, 10, 100, 20]),
        ([-50, -50, 10, 10], [0, 0, 1, 1]),
        ([300, 300, 10, 10], [99, 49, 100, 50]),
        ([10, -100, 20, 30], [10, 0, 30, 1]),
        ([10.2, 10.2, 0.1, 0.1], [10, 10, 11, 11]),
        ([10, 10, 0, 0], [10, 10, 11, 11]),
        ([1e12, -1e12, 5, 5], [99, 0, 100, 1]),
    ],
)
def test_clipping_to_pixels(box, expected):
    assert pixel_rectangles(as_boxes([box]), 100, 50).tolist() == [expected]
