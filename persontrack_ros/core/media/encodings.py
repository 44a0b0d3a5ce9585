"""
Conversion of ROS image messages to BGR, without ROS.

A message is any object with the attributes of :class:`RawImage`, from rclpy or from a bag.
"""

from __future__ import annotations

import re
import warnings
from io import BytesIO
from typing import Any, NamedTuple, Optional, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.images import BgrImage

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
_BAYER = re.compile(r'(bayer_(?:rggb|bggr|gbrg|grbg))(?:8|16)\b')
_DEPTH_LAYOUTS = {'16UC1': _Layout(None, 1, 2), '32FC1': _Layout(None, 1, 4)}
# What sensors have; their samples of more than 8 bits come in 16.
_BITS = (8, 10, 12, 14, 16)


class SampleRange:
    """
    The range of the 16-bit samples of a stream; a camera may use the lower bits only.

    The range fits the largest sample so far, so that the scale changes only for an image that
    needs more bits. With another encoding or size, it begins anew.
    """

    def __init__(self) -> None:
        """Start without an image."""
        self._kind: Any = None
        self._bits = 0

    def to_8_bit(self, samples: NDArray[np.uint16], encoding: str) -> NDArray[np.uint8]:
        """Scale samples ``(height, width)`` or ``(height, width, channels)``; a 4th is alpha."""
        kind = (encoding, samples.shape)
        if kind != self._kind:
            self._kind, self._bits = kind, _BITS[0]
        if self._bits < _BITS[-1]:
            colors = samples[..., :3] if samples.ndim == 3 else samples
            bits = int(colors.max()).bit_length()
            self._bits = next(each for each in _BITS if each >= max(bits, self._bits))
        return cv2.convertScaleAbs(samples, alpha=255 / (2**self._bits - 1))


def image_to_bgr(image: RawImage, samples: Optional[SampleRange] = None) -> BgrImage:
    """
    Convert an image message to BGR.

    :param image: a message in one of the usual encodings.
    :param samples: of the stream, for 16-bit samples; by default, the image is one of its own.
    :returns: C-contiguous uint8 array of shape ``(height, width, 3)``, not to be written into:
        for ``bgr8`` without row padding it is a read-only view that keeps the data alive.
    :raises ImageError: if the encoding is not known, the image is depth or infrared (16UC1 or
        32FC1) or has no pixels, or its step or data are too small for its size.
    """
    layout = _LAYOUTS.get(image.encoding)
    if image.encoding in _DEPTH_LAYOUTS:
        # The encoding is the same for both.
        raise ImageError(
            f'{describe(image)} is a depth image, or infrared, which the encoding does not tell '
            'apart; publish infrared as mono8, or unscaled as mono16'
        )
    if layout is None:
        raise ImageError(
            f'{describe(image)} has an unknown encoding; publish bgr8, rgb8 or mono8 instead'
        )
    rows = _check(image, layout)
    size = layout.sample_bytes
    # Strides, unlike a reshape, take any step and a last row without padding.
    pixels = np.ndarray(
        (rows, image.width, layout.channels),
        dtype=f'{">" if image.is_bigendian else "<"}u{size}',
        buffer=image.data,
        strides=(image.step, size * layout.channels, size),
    )
    if image.encoding == 'nv24':
        luma, step = pixels[: image.height], image.step
        # Chroma rows are two steps long. OpenCV reads none, but loses nothing of doubled YUYV.
        shape, strides = (*luma.shape[:2], 2), (2 * step, 2, 1)
        chroma = np.ndarray(shape, np.uint8, image.data, image.height * step, strides)
        doubled = np.concatenate([luma, chroma[..., :1], luma, chroma[..., 1:]], axis=2)
        yuyv = doubled.reshape(image.height, -1, 2)
        return np.ascontiguousarray(cv2.cvtColor(yuyv, cv2.COLOR_YUV2BGR_YUYV)[:, ::2])
    if size == 2:
        # OpenCV reads samples in the machine's byte order only.
        pixels = np.require(pixels, np.uint16, ['C', 'A'])
        pixels = (samples or SampleRange()).to_8_bit(pixels, image.encoding)
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
    data: Any,
    max_megapixels: float = MAX_MEGAPIXELS,
    oriented: bool = False,
    format_: str = '',
    samples: Optional[SampleRange] = None,
) -> BgrImage:
    """
    Decode what ``sensor_msgs/msg/CompressedImage`` holds: a JPEG or PNG file, or one of _FORMATS.

    :param data: a buffer of bytes.
    :param max_megapixels: larger ones are not decoded: the size is read first, as half a megabyte
        can unpack to gigabytes.
    :param oriented: turn it as its file says that the camera was held. A robot's camera does not.
    :param format_: of the message, as compressed_image_transport writes it: the encoding of the
        image, and how its channels lie in the file. A Bayer pattern lies there as it is.
    :param samples: as for :func:`image_to_bgr`.
    :raises ImageError: if it is none, too large, or cut short beyond use.
    """
    size = len(data)
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as file:
            width, height = file.size
            channels = len(file.getbands())
    except Exception as error:
        raise ImageError(f'a compressed image of {size} bytes cannot be decoded') from error
    if width * height > max_megapixels * 1e6:
        raise ImageError(
            f'a compressed image of {width}x{height} pixels is larger than {max_megapixels:g} '
            'megapixels, and is not decoded'
        )
    bayer = _BAYER.match(format_) if channels == 1 else None
    flags = cv2.IMREAD_GRAYSCALE if bayer else cv2.IMREAD_COLOR
    if not oriented:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image: Optional[NDArray[Any]] = cv2.imdecode(
            np.frombuffer(data, dtype=np.uint8), flags | cv2.IMREAD_ANYDEPTH
        )
    except cv2.error:
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ImageError(f'a compressed image of {size} bytes cannot be decoded')
    if image.dtype == np.uint16:
        image = (samples or SampleRange()).to_8_bit(image, format_)
    if bayer:
        layout = _LAYOUTS[f'{bayer[1]}8']
        if min(width, height) < layout.least:
            raise ImageError(f'a compressed image of {width}x{height} pixels is too small')
        return cv2.cvtColor(image, layout.code)
    return image[..., ::-1].copy() if ' compressed rgb' in format_ and channels > 1 else image


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
    if not (height and width):
        fault = 'has no pixels'
    elif width % across or height % down:
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
