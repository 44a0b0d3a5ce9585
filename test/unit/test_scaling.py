"""Scaling of images, fast and exact."""

import cv2
import numpy as np
import pytest

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.images import scale


@pytest.mark.parametrize('interpolation', [cv2.INTER_LINEAR, cv2.INTER_AREA])
def test_exact_where_asked_for_and_off_by_one_at_most_otherwise(interpolation):
    image = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    cv2.ipp.setUseIPP_NotExact(False)
    expected = cv2.resize(image, (64, 48), interpolation=interpolation)
    fast, exact = np.zeros((2, 48, 64, 3), dtype=np.uint8)
    scale(image, fast, interpolation=interpolation)
    scale(image, exact, exact=True, interpolation=interpolation)
    np.testing.assert_array_equal(exact, expected)
    assert np.abs(fast.astype(int) - expected).max() <= 1


def test_a_part_of_another_image_may_be_the_target():
    target = np.zeros((50, 60, 3), dtype=np.uint8)
    scale(np.full((20, 20, 3), 9, dtype=np.uint8), target[10:40, 20:30])
    assert (target[10:40, 20:30] == 9).all()
    assert target.sum() == 30 * 10 * 3 * 9


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((20, 20, 3), np.float32),
        np.zeros((20, 20, 3), np.uint16),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((20, 20), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
    ],
)
def test_an_image_of_another_kind_leaves_nothing_of_the_one_before(image):
    """With OpenCV, it would be written elsewhere."""
    with pytest.raises(ImageError, match=r'expected uint8 of shape'):
        scale(image, np.zeros((5, 5, 3), np.uint8))
