"""
Tests of the conversion between image messages and arrays.

Every message is packed here by hand from one known picture, never by the code under test.
"""

from array import array

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.media.encodings import SampleRange, image_to_bgr
from persontrack_ros.ros.images import bgr_to_image

BLUE, GREEN, RED = 0, 1, 2
CHANNELS = {'R': RED, 'G': GREEN, 'B': BLUE}
# Six flat patches (BGR) of 8x8 pixels, two rows of three: no two alike, no channel symmetric.
PATCH = 8
COLOURS = np.array(
    [
        [[200, 40, 20], [30, 180, 60], [25, 50, 210]],
        [[90, 90, 90], [220, 200, 40], [10, 120, 230]],
    ],
    dtype=np.uint8,
)
FLAT = COLOURS.repeat(PATCH, axis=0).repeat(PATCH, axis=1)
# Every pixel another colour; an odd width, so that neither order nor size can be mixed up.
NOISE = np.random.default_rng(7).integers(0, 256, (5, 7, 3), dtype=np.uint8)
NOISE16 = np.random.default_rng(8).integers(0, 65536, (5, 7, 3), dtype=np.uint16)


def pack(rows, encoding, height, width, padding=0, is_bigendian=0, pad_last=True):
    """Build a message from a list of byte rows, with rubbish in the padding."""
    rows = [np.ascontiguousarray(row).tobytes() for row in rows]
    data = b''.join(row + b'\xa5' * padding for row in rows)
    message = Image(height=height, width=width, encoding=encoding, is_bigendian=is_bigendian)
    message.step = len(rows[0]) + padding
    message.data = array('B', data if pad_last or not padding else data[:-padding])
    return message


def interleaved(picture, encoding):
    """Return the samples of a BGR picture in the order that the encoding names."""
    name = encoding.rstrip('0123456789')
    order = {'bgr': 'BGR', 'rgb': 'RGB', 'bgra': 'BGRA', 'rgba': 'RGBA'}[name]
    alpha = np.full(picture.shape[:2], 77, dtype=picture.dtype)
    return np.stack([alpha if c == 'A' else picture[..., CHANNELS[c]] for c in order], axis=-1)


def mosaic(picture, pattern):
    """Sample a picture as a sensor with this 2x2 Bayer pattern does."""
    samples = np.empty(picture.shape[:2], dtype=picture.dtype)
    for index, letter in enumerate(pattern.upper()):
        row, column = divmod(index, 2)
        samples[row::2, column::2] = picture[row::2, column::2, CHANNELS[letter]]
    return samples


def to_yuv(picture):
    """Convert BGR to Y, U and V planes by ITU-R BT.601, video range."""
    blue, green, red = np.moveaxis(picture.astype(np.float64), -1, 0)
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    return [np.rint(plane).astype(np.uint8) for plane in (luma, u, v)]


def yuv_rows(encoding, picture):
    """Return the rows of step bytes of a YUV message of the picture."""
    luma, u, v = to_yuv(picture)
    height, width = luma.shape
    if encoding in ('nv12', 'nv21'):
        pair = (u, v) if encoding == 'nv12' else (v, u)
        return [*luma, *np.stack([p[::2, ::2] for p in pair], -1).reshape(height // 2, width)]
    packed = np.empty((height, width, 2), dtype=np.uint8)
    luma_first = encoding in ('yuyv', 'yuv422_yuy2')
    packed[..., 0 if luma_first else 1] = luma
    packed[:, ::2, 1 if luma_first else 0] = u[:, ::2]
    packed[:, 1::2, 1 if luma_first else 0] = v[:, ::2]
    return list(packed)


def inner(picture):
    """Cut off the pixels at the borders of the patches, where colours mix."""
    height, width = picture.shape[:2]
    keep = np.array([i for i in range(max(height, width)) if 2 <= i % PATCH < PATCH - 2])
    return picture[np.ix_(keep[keep < height], keep[keep < width])].astype(int)


def assert_picture(image, expected, tolerance=0):
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    np.testing.assert_allclose(image.astype(int), expected.astype(int), rtol=0, atol=tolerance)


padded = pytest.mark.parametrize(
    'layout',
    [{}, {'padding': 5}, {'padding': 64}, {'padding': 5, 'pad_last': False}],
    ids=['tight', 'odd step', 'wide step', 'bare last row'],
)


@padded
@pytest.mark.parametrize(
    ('encoding', 'like'),
    [(name, name) for name in ('bgr8', 'rgb8', 'bgra8', 'rgba8')]
    + [('8UC3', 'bgr8'), ('8UC4', 'bgra8')],
)
def test_8_bit_colour(encoding, like, layout):
    message = pack(interleaved(NOISE, like), encoding, 5, 7, **layout)
    assert_picture(image_to_bgr(message), NOISE)


@padded
@pytest.mark.parametrize('is_bigendian', [0, 1])
@pytest.mark.parametrize('encoding', ['bgr16', 'rgb16', 'bgra16', 'rgba16'])
def test_16_bit_colour(encoding, is_bigendian, layout):
    samples = interleaved(NOISE16, encoding).astype('>u2' if is_bigendian else '<u2')
    message = pack(samples, encoding, 5, 7, is_bigendian=is_bigendian, **layout)
    assert_picture(image_to_bgr(message), np.rint(NOISE16 / 257))


@padded
@pytest.mark.parametrize(
    ('encoding', 'kind', 'is_bigendian'),
    [('mono8', 'u1', 0), ('8UC1', 'u1', 0), ('mono16', '<u2', 0), ('mono16', '>u2', 1)],
)
def test_grey(encoding, kind, is_bigendian, layout):
    grey = NOISE[..., 1] if kind == 'u1' else NOISE16[..., 1]
    message = pack(grey.astype(kind), encoding, 5, 7, is_bigendian=is_bigendian, **layout)
    expected = np.stack([grey] * 3, axis=-1) / (1 if kind == 'u1' else 257)
    assert_picture(image_to_bgr(message), np.rint(expected))


@padded
@pytest.mark.parametrize(('bits', 'kind'), [(8, 'u1'), (16, '<u2'), (16, '>u2')])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer(pattern, bits, kind, layout):
    samples = (mosaic(FLAT, pattern).astype(np.uint16) * (1 if bits == 8 else 257)).astype(kind)
    encoding = f'bayer_{pattern}{bits}'
    message = pack(samples, encoding, *FLAT.shape[:2], is_bigendian=int(kind[0] == '>'), **layout)
    np.testing.assert_array_equal(inner(image_to_bgr(message)), inner(FLAT))


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'rgba16', 'bayer_grbg16'])
def test_sensors_of_fewer_bits(encoding, bits):
    samples = SampleRange()

    def convert(largest):
        shape = (4, 4, {'rgb16': 3, 'rgba16': 4}.get(encoding, 1))
        pixels = np.full(shape, largest, dtype='<u2')
        pixels[..., 3:] = 65535  # alpha
        return image_to_bgr(pack(pixels, encoding, 4, 4), samples).max()

    assert convert(2**bits - 1) == 255
    # It does not flicker where it gets darker,
    assert convert(2**bits // 4) == pytest.approx(64, abs=1)
    # and anew with other pictures.
    assert image_to_bgr(pack(np.full((2, 2), 255, '<u2'), 'mono16', 2, 2), samples).max() == 255


def test_more_bits_than_thought():
    samples = SampleRange()
    found = [
        image_to_bgr(pack(np.full((1, 1), level, '<u2'), 'mono16', 1, 1), samples).max()
        for level in (0, 200, 300, 1023, 1024, 300)
    ]
    assert found == [0, 200, 75, 255, 64, 19]


@padded
@pytest.mark.parametrize('encoding', ['uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2', 'nv12', 'nv21'])
def test_subsampled_yuv(encoding, layout):
    message = pack(yuv_rows(encoding, FLAT), encoding, *FLAT.shape[:2], **layout)
    assert_picture(image_to_bgr(message), FLAT, tolerance=4)


@pytest.mark.parametrize('padding', [0, 5])
def test_nv24(padding):
    # Full resolution chroma: every pixel of its own colour, and odd sizes, come back.
    picture = np.random.default_rng(9).integers(20, 236, (5, 7, 3), dtype=np.uint8)
    luma, u, v = to_yuv(picture)
    message = pack(luma, 'nv24', 5, 7, padding)
    chroma = pack(np.stack([u, v], axis=-1), '', 5, 7, 2 * padding)
    message.data.extend(chroma.data)
    assert_picture(image_to_bgr(message), picture, tolerance=4)


def test_trailing_data_is_ignored():
    # Drivers hand over whole buffers, whose size is rounded up to pages.
    message = pack(yuv_rows('nv12', FLAT), 'nv12', *FLAT.shape[:2])
    message.data.extend(b'\xff' * 100)
    assert_picture(image_to_bgr(message), FLAT, tolerance=4)


def test_tight_bgr8_is_a_read_only_view():
    message = pack(NOISE, 'bgr8', 5, 7)
    image = image_to_bgr(message)
    assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))
    with pytest.raises(ValueError, match='read-only'):
        image[0, 0] = 0
    del message
    assert_picture(image, NOISE)


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_depth_and_infrared_of_unknown_range(encoding):
    message = Image(encoding=encoding, height=2, width=2, step=8, data=bytes(16))
    with pytest.raises(ImageError, match='publish infrared as mono8, or .* as mono16'):
        image_to_bgr(message)


def header():
    result = Header(frame_id='camera')
    result.stamp.sec, result.stamp.nanosec = 12, 34
    return result


@pytest.mark.parametrize(
    'image', [NOISE, NOISE[:, ::-1], NOISE[::2, 1:5], np.asfortranarray(NOISE)]
)
def test_bgr_to_image(image):
    message = bgr_to_image(image, header())
    height, width = image.shape[:2]
    assert message.header == header()
    assert (message.height, message.width, message.step) == (height, width, 3 * width)
    assert (message.encoding, message.is_bigendian) == ('bgr8', 0)
    assert isinstance(message.data, array)
    assert message.data.tolist() == image.ravel().tolist()
    assert not np.shares_memory(np.frombuffer(message.data, np.uint8), image)


@pytest.mark.parametrize(
    ('encoding', 'size', 'step', 'needed', 'fault'),
    [
        ('bgr8', (0, 7), 21, 0, 'no pixels'),
        ('nv12', (4, 0), 1, 0, 'no pixels'),
        ('yuyv', (4, 7), 14, 56, 'even width;'),
        ('yuv422', (4, 7), 14, 56, 'even width;'),
        ('nv12', (4, 7), 7, 42, 'even width and height'),
        ('nv21', (5, 8), 8, 60, 'even width and height'),
        ('bayer_rggb8', (2, 8), 8, 16, '3x3'),
        ('bayer_gbrg16', (8, 2), 4, 32, '3x3'),
        ('bgr8', (4, 8), 23, 999, 'step of 23 .*takes 24;'),
        ('mono16', (4, 8), 15, 999, 'step of 15 .*takes 16;'),
        ('nv12', (4, 8), 7, 999, 'step of 7 .*takes 8;'),
        ('nv24', (4, 8), 8, 96, ''),
        ('bgr8', (4, 8), 30, 114, ''),
        ('mono16', (4, 8), 16, 64, ''),
        ('bayer_rggb8', (4, 8), 8, 32, ''),
        ('uyvy', (4, 8), 16, 64, ''),
        ('nv21', (4, 8), 10, 58, ''),
    ],
)
def test_layouts_that_do_not_fit(encoding, size, step, needed, fault):
    """Where there is no other fault, a byte is missing, and then none."""
    height, width = size
    message = Image(height=height, width=width, encoding=encoding, step=step)
    message.data = array('B', bytes(needed if fault else needed - 1))
    fault = fault or f'has {needed - 1} bytes.* {needed};'
    with pytest.raises(ImageError, match=rf"{width}x{height} '{encoding}'.* ?{fault}"):
        image_to_bgr(message)
    if 'bytes' in fault:
        message.data = array('B', bytes(needed))
        assert image_to_bgr(message).shape == (4, 8, 3)
