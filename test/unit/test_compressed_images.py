"""Compressed pictures: decoded as their publishers mean them, or refused."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from test_images import FLAT, assert_picture, inner, mosaic

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.media.encodings import SampleRange, decode_image


def compressed(size, kind, mode='RGB', **options):
    """Compress a black picture with Pillow."""
    file = BytesIO()
    PilImage.new(mode, size).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'BMP', 'WEBP'])
def test_compressed_pictures(kind):
    data = compressed((30, 20), kind)
    assert decode_image(data).shape == (20, 30, 3)
    assert decode_image(data, 0.0006).shape == (20, 30, 3)
    with pytest.raises(ImageError, match='of 30x20 pixels is larger than 0.0005 megapixels'):
        decode_image(data, 0.0005)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize(
    ('encoding', 'extension', 'factor'),
    [('8; png compressed ', '.png', 1), ('8; jpeg compressed ', '.jpg', 1), ('8', '.png', 1)]
    + [('16; png compressed ', '.png', 16)],
)
def test_a_compressed_bayer_pattern(pattern, encoding, extension, factor):
    """As compressed_image_transport writes it: the pattern as if it were grey."""
    raw = mosaic(FLAT, pattern) * np.uint8(1)
    if factor > 1:
        raw = raw.astype(np.uint16) * factor
    options = [cv2.IMWRITE_JPEG_QUALITY, 100] if extension == '.jpg' else []
    data = cv2.imencode(extension, raw, options)[1].tobytes()
    image = decode_image(data, format_=f'bayer_{pattern}{encoding}')
    tolerance = 24 if extension == '.jpg' else 1
    np.testing.assert_allclose(inner(image), inner(FLAT), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ('format_', 'swapped'),
    [
        ('bayer_rggb8; jpeg compressed bgr8', False),
        ('bgr8; png compressed bgr8', False),
        ('rgb8; png compressed bgr8', False),
        ('rgb8; png compressed rgb8', True),
        ('png', False),
        ('', False),
    ],
)
def test_how_the_channels_of_a_compressed_image_lie(format_, swapped):
    stored = FLAT[..., ::-1] if swapped else FLAT
    data = cv2.imencode('.png', stored)[1].tobytes()
    assert_picture(decode_image(data, format_=format_), FLAT)


def test_a_compressed_image_of_12_bits():
    samples = SampleRange()
    for largest, expected in ((4095, 255), (2048, 128)):
        grey = np.full((3, 4), largest, dtype=np.uint16)
        data = cv2.imencode('.png', grey)[1].tobytes()
        image = decode_image(data, format_='mono16; png compressed ', samples=samples)
        assert_picture(image, np.full((3, 4, 3), expected))


def test_a_compressed_bayer_pattern_that_begins_dark():
    raw = np.zeros((8, 8), np.uint16)
    raw[:, 4:] = 2048
    image = decode_image(cv2.imencode('.png', raw)[1].tobytes(), format_='bayer_rggb16; png')
    assert image.max() == 128


def test_a_compressed_bayer_pattern_that_is_too_small():
    data = cv2.imencode('.png', np.zeros((2, 2), np.uint8))[1].tobytes()
    with pytest.raises(ImageError, match='2x2 pixels is too small'):
        decode_image(data, format_='bayer_rggb8; png compressed ')


def test_a_picture_that_would_fill_the_memory(monkeypatch):
    """A few kilobytes that hold 400 million pixels are not decoded."""
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('was decoded'))
    data = compressed((20_000, 20_000), 'PNG', '1')
    assert len(data) < 100_000
    with pytest.raises(ImageError, match='20000x20000 pixels is larger than 50 megapixels'):
        decode_image(data)


def test_a_picture_as_the_camera_was_held():
    exif = PilImage.Exif()
    exif[0x0112] = 6  # turned by a quarter
    data = compressed((30, 20), 'JPEG', exif=exif)
    assert decode_image(data).shape == (20, 30, 3)
    assert decode_image(data, oriented=True).shape == (30, 20, 3)


@settings(max_examples=150, deadline=None, database=None)
@given(st.data())
def test_damaged_pictures(data):
    """Whatever is in them, they are decoded or refused."""
    kind = data.draw(st.sampled_from(['JPEG', 'PNG', 'TIFF', 'BMP', 'WEBP']))
    content = bytearray(compressed((30, 20), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=8))
        content[place : place + data.draw(st.integers(0, 8))] = piece
        content = content or bytearray(1)
    try:
        image = decode_image(bytes(content))
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.shape[0] * image.shape[1] <= 50e6
