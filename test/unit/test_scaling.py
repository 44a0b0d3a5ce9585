"""Scaling of images, fast and exact."""

import cv2
import numpy as np
import pytest

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
