"""Arrays of a program in Python: converted where they are clear, refused where they are not."""

import numpy as np
import pytest
from PIL import Image

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.media.conversion import MAX_SIDE, as_bgr

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
IMAGE[0, 0] = 255
GREY = IMAGE[..., 0]


@pytest.mark.parametrize(
    'given',
    [
        IMAGE,
        np.dstack([IMAGE, GREY]),
        IMAGE.astype(np.uint16) * 257,
        (IMAGE.astype(np.uint16) * 257).astype('>u2'),
        IMAGE.astype(np.uint16) << 8,
        IMAGE / 255,
        (IMAGE / 255).astype(np.float32),
        (IMAGE / 255).astype('>f8'),
        np.dstack([IMAGE / 255, GREY / 255]),
        np.asfortranarray(IMAGE),
        IMAGE.repeat(3, axis=1)[:, ::3],
    ],
)
def test_what_is_clear_is_converted(given):
    converted = as_bgr(given)
    np.testing.assert_array_equal(converted, IMAGE)
    assert converted.dtype == np.uint8
    assert converted.flags.c_contiguous


@pytest.mark.parametrize('given', [GREY, GREY[..., None], GREY / 255, GREY.astype('u2') * 257])
def test_grey(given):
    np.testing.assert_array_equal(as_bgr(given), np.dstack([GREY] * 3))


def test_an_image_that_is_right_is_not_copied():
    frozen = IMAGE.copy()
    frozen.flags.writeable = False
    assert np.shares_memory(as_bgr(frozen), frozen)


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32])
def test_black_is_clear(kind):
    assert not as_bgr(np.zeros((4, 5), kind)).any()


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 1), (1, 9, 3), (9, 1, 4), (2, MAX_SIDE, 3)])
def test_images_of_any_size(shape):
    assert as_bgr(np.zeros(shape, np.uint8)).shape == (*shape[:2], 3)


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (None, 'image is a builtins.NoneType; expected a NumPy array'),
        ('image.png', 'image is a builtins.str'),
        (Image.fromarray(IMAGE), 'image is a PIL.Image.Image; .* blue first'),
        (np.ma.array(IMAGE), 'MaskedArray'),
        (IMAGE[:0], r'\(0, 30, 3\); expected'),
        (IMAGE.transpose(2, 0, 1), r'shape \(3, 20, 30\)'),
        (IMAGE[None], r'shape \(1, 20, 30, 3\)'),
        (IMAGE[..., :2], r'shape \(20, 30, 2\)'),
        (IMAGE[0, 0], r'shape \(3,\)'),
        (np.broadcast_to(np.uint8(0), (10**6, 10**6, 3)), 'larger than 50 megapixels'),
        (np.zeros((1, MAX_SIDE + 1, 3), np.uint8), f'or {MAX_SIDE} pixels to a side'),
        (IMAGE > 9, 'type bool'),
        (IMAGE.astype(np.int8), r'type int8 .*give image.astype\("uint8"\)'),
        (IMAGE.astype(np.int64), r'type int64 .*give image.astype\("uint8"\)'),
        (IMAGE.astype(complex), 'type complex128'),
        (IMAGE.astype('M8[s]'), 'type datetime64'),
        (IMAGE.astype(np.uint16), 'uint16 with values from 0 to 255; .*white 65535'),
        (IMAGE.astype(np.uint16) << 4, 'uint16 with values from 0 to 4080'),
        (IMAGE.astype(np.float32), 'float32 with values from 0.0 to 255.0; .*white 1'),
        (IMAGE / 255 - 0.1, 'values from -0.1 to 0.9'),
        (np.where(IMAGE > 9, IMAGE / 255, np.inf), 'to inf'),
    ],
)
def test_what_is_not_clear_is_refused(given, said):
    with pytest.raises(ImageError, match=said):
        as_bgr(given)
