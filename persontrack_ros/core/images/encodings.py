"""
Pictures as they lie in ROS image messages, converted to BGR without ROS.

What is asked of a message are the attributes of :class:`RawImage`, so that those of rclpy and
those that are read from a bag without ROS are both welcome.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any, NamedTuple, Optional, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from persontrack_ros.core.errors import ImageError
from persontrack_ros.core.images import BgrImage

# No camera of a robot has more.
MAX_MEGAPIXELS = 50.0
_FORMATS = ('BMP', 'JPEG', 'PNG', 'TIFF', 'WEBP')
# The limit is ours, not the one from which on Pillow warns.
Image.MAX_IMAGE_PIXELS = None
# What it tells of damaged files says less than our own errors.
warnings.filterwarnings('ignore', module=r'PIL\.')


class RawImage(Protocol):
    """What ``sensor_msgs/msg/Image`` says of its pixels; `data` is a buffer of bytes."""

    encoding: str
    height: int
    width: int
    step: int
    is_bigendian: int
    data: Any


class UnknownEncodingError(ImageError):
    """The encoding of an image is not in the table; something else may know it."""


class _Layout(NamedTuple):
    """How an encoding lies in memory, and the OpenCV code that turns it into BGR."""

    code: Optional[int]
    channels: int = 1
    sample_bytes: int = 1
    # Rows of step bytes for every two rows of the picture: planar formats have more than two.
    rows_per_two: int = 2
    # What OpenCV needs: multiples of width and height, and a least size (smaller Bayer pictures
    # would become black).
    multiple: tuple[int, int] = (1, 1)
    least: int = 1


_UYVY = _Layout(cv2.COLOR_YUV2BGR_UYVY, 2, multiple=(2, 1))
_YUYV = _Layout(cv2.COLOR_YUV2BGR_YUYV, 2, multiple=(2, 1))
_LAYOUTS = {
    '8UC1': _Layout(cv2.COLOR_GRAY2BGR),
    '8UC3': _Layout(None, 3),
    '8UC4': _Layout(cv2.COLOR_BGRA2BGR, 4),
    'uyvy': _UYVY,
    'yuv422': _UYVY,
    'yuyv': _YUYV,
    'yuv422_yuy2': _YUYV,
    # Height and step are those of the luma plane; the chroma plane follows without a gap.
    'nv12': _Layout(cv2.COLOR_YUV2BGR_NV12, rows_per_two=3, multiple=(2, 2)),
    'nv21': _Layout(cv2.COLOR_YUV2BGR_NV21, rows_per_two=3, multiple=(2, 2)),
    'nv24': _Layout(None, rows_per_two=6),
}
for _bytes in (1, 2):
    _LAYOUTS |= {
        f'mono{8 * _bytes}': _Layout(cv2.COLOR_GRAY2BGR, 1, _bytes),
        f'bgr{8 * _bytes}': _Layout(None, 3, _bytes),
        f'rgb{8 * _bytes}': _Layout(cv2.COLOR_RGB2BGR, 3, _bytes),
        f'bgra{8 * _bytes}': _Layout(cv2.COLOR_BGRA2BGR, 4, _bytes),
        f'rgba{8 * _bytes}': _Layout(cv2.COLOR_RGBA2BGR, 4, _bytes),
        # ROS names a Bayer pattern by its first two rows and columns, OpenCV by the second and
        # third pixel of the second row.
        f'bayer_rggb{8 * _bytes}': _Layout(cv2.COLOR_BayerBG2BGR, 1, _bytes, least=3),
        f'bayer_bggr{8 * _bytes}': _Layout(cv2.COLOR_BayerRG2BGR, 1, _bytes, least=3),
        f'bayer_gbrg{8 * _bytes}': _Layout(cv2.COLOR_BayerGR2BGR, 1, _bytes, least=3),
        f'bayer_grbg{8 * _bytes}': _Layout(cv2.COLOR_BayerGB2BGR, 1, _bytes, least=3),
    }
_DEPTH_LAYOUTS = {'16UC1': _Layout(None, 1, 2), '32FC1': _Layout(None, 1, 4)}


def image_to_bgr(image: RawImage) -> BgrImage:
    """
    Convert an image message to BGR; 16-bit samples are scaled from 0-65535 to 0-255.

    :param image: a message in one of the usual encodings.
    :returns: C-contiguous uint8 array of shape ``(height, width, 3)``, not to be written into:
        for ``bgr8`` without row padding it is a read-only view that keeps the data alive.
    :raises UnknownEncodingError: if the encoding is not known.
    :raises ImageError: if the image is depth or infrared (16UC1 or 32FC1) or has no pixels, or its
        step or data are too small for its size.
    """
    height, width = image.height, image.width
    if not (height and width):
        raise ImageError(f'{describe(image)} has no pixels; correct the node that publishes it')
    layout = _LAYOUTS.get(image.encoding)
    if image.encoding in _DEPTH_LAYOUTS:
        # Infrared of 10 bits, say, would be black if it were scaled from 16.
        raise ImageError(
            f'{describe(image)} is a depth image, or infrared of a range that the encoding does '
            'not tell; publish infrared as mono8, or scaled to all 16 bits as mono16'
        )
    if layout is None:
        raise UnknownEncodingError(
            f'{describe(image)} has an unknown encoding; publish bgr8, rgb8 or mono8 instead'
        )
    rows = _check(image, layout)
    if image.encoding == 'nv24':
        return _nv24_to_bgr(image)
    size = layout.sample_bytes
    # Strides, unlike a reshape, take any step and a last row without padding.
    pixels = np.ndarray(
        (rows, width, layout.channels),
        dtype=f'{">" if image.is_bigendian else "<"}u{size}',
        buffer=image.data,
        strides=(image.step, size * layout.channels, size),
    )
    if size == 2:
        # OpenCV reads samples in the machine's byte order only.
        pixels = cv2.convertScaleAbs(np.require(pixels, np.uint16, ['C', 'A']), alpha=255 / 65535)
    if layout.code is not None:
        return cv2.cvtColor(pixels, layout.code)
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels


def image_to_depth(image: RawImage) -> NDArray[Any]:
    """
    View a depth image as it is, see :func:`depth_to_metres` for its unit.

    :param image: a message of the encoding 16UC1 or 32FC1.
    :returns: shape ``(height, width)``, uint16 or float32 in the byte order of the message.
    :raises ImageError: if it has another encoding or no pixels, or its step or data are too small.
    """
    layout = _DEPTH_LAYOUTS.get(image.encoding)
    if layout is None:
        raise ImageError(
            f'{describe(image)} is no depth image; expected {" or ".join(_DEPTH_LAYOUTS)}'
        )
    if not (image.height and image.width):
        raise ImageError(f'{describe(image)} has no pixels; correct the node that publishes it')
    _check(image, layout)
    size = layout.sample_bytes
    kind = f'{">" if image.is_bigendian else "<"}{"u" if size == 2 else "f"}{size}'
    shape = (image.height, image.width)
    return np.ndarray(shape, dtype=kind, buffer=image.data, strides=(image.step, size))


def depth_to_metres(depth: NDArray[Any]) -> NDArray[np.float32]:
    """
    Convert depths to metres, those that are not known to NaN (REP 118).

    :param depth: integers are millimetres, 0 where unknown; others metres, NaN or infinite where
        unknown.
    """
    metres = depth.astype(np.float32)
    if depth.dtype.kind == 'u':
        metres /= 1000.0
    metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def decode_image(
    data: Any, max_megapixels: float = MAX_MEGAPIXELS, oriented: bool = False
) -> BgrImage:
    """
    Decode what ``sensor_msgs/msg/CompressedImage`` holds: a JPEG or PNG file, or one of _FORMATS.

    :param data: a buffer of bytes.
    :param max_megapixels: larger ones are not decoded: the size is read first, as half a megabyte
        can unpack to gigabytes.
    :param oriented: turn it as its file says that the camera was held. A robot's camera does not.
    :raises ImageError: if it is none, too large, or cut short beyond use.
    """
    size = len(data)
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as file:
            width, height = file.size
    except Exception as error:
        raise ImageError(f'a compressed image of {size} bytes cannot be decoded') from error
    if width * height > max_megapixels * 1e6:
        raise ImageError(
            f'a compressed image of {width}x{height} pixels is larger than {max_megapixels:g} '
            'megapixels, and is not decoded'
        )
    flags = cv2.IMREAD_COLOR | (0 if oriented else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        image: Optional[NDArray[Any]] = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f'a compressed image of {size} bytes cannot be decoded')
    return image


def describe(image: RawImage) -> str:
    """Name an image in an error."""
    return f'image {image.width}x{image.height} {image.encoding!r}'


def _check(image: RawImage, layout: _Layout) -> int:
    """Return the number of rows of ``step`` bytes, or raise ImageError if they do not fit."""
    height, width, step = image.height, image.width, image.step
    across, down = layout.multiple
    row = width * layout.channels * layout.sample_bytes
    rows = height * layout.rows_per_two // 2
    needed = step * (rows - 1) + row
    if width % across or height % down:
        fault = 'needs an even width' + (' and height' if down > 1 else '')
    elif min(width, height) < layout.least:
        fault = f'is below {layout.least}x{layout.least} pixels'
    elif step < row:
        fault = f'has a step of {step} bytes, but a row takes {row}'
    elif len(image.data) < needed:
        fault = (
            f'has {len(image.data)} bytes of data, but {rows} rows with a step of {step} bytes '
            f'take {needed}'
        )
    else:
        return rows
    raise ImageError(f'{describe(image)} {fault}; correct the node that publishes it')


def _nv24_to_bgr(image: RawImage) -> BgrImage:
    """Convert planar YUV 4:4:4, whose chroma rows are two steps long."""
    height, width, step = image.height, image.width, image.step
    luma = np.ndarray((height, width), np.uint8, image.data, 0, (step, 1))
    chroma = np.ndarray((height, width, 2), np.uint8, image.data, height * step, (2 * step, 2, 1))
    # OpenCV has no 4:4:4 of video range, but as YUYV with every pixel doubled it loses nothing.
    doubled = np.stack([luma, chroma[..., 0], luma, chroma[..., 1]], axis=-1)
    bgr = cv2.cvtColor(doubled.reshape(height, 2 * width, 2), cv2.COLOR_YUV2BGR_YUYV)
    return np.ascontiguousarray(bgr[:, ::2])
