"""Conversion of arrays of Python programs to BGR; ambiguous ones are refused."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.media.encodings import MAX_MEGAPIXELS

# OpenCV cannot scale an image with a longer side.
MAX_SIDE = 32766

# A uint16 image of less than half of 13 bits is taken for one of 12, 10 or 8 bits.
_LEAST_OF_16_BITS = 1 << 12

_EXPECTED = 'expected a NumPy array, uint8 of shape (height, width, 3), blue first as in OpenCV'


def as_bgr(image: Any, name: str = 'image') -> BgrImage:
    """
    Convert an array to BGR.

    :param image: grey, shape ``(height, width)`` or ``(height, width, 1)``; BGR, shape
        ``(height, width, 3)``; or BGRA, shape ``(height, width, 4)``, whose last channel is left
        out. Of type uint8, 0 to 255; uint16, 0 to 65535; or floating point, 0 to 1.
    :param name: name of the image, for errors.
    :returns: uint8 BGR, shape ``(height, width, 3)``, contiguous; a copy only where needed.
    :raises ImageError: for any other array.
    """
    if not isinstance(image, np.ndarray) or isinstance(image, np.ma.MaskedArray):
        raise ImageError(
            f'{name} is a {type(image).__module__}.{type(image).__name__}; {_EXPECTED}'
        )
    shape = image.shape
    if 0 in shape or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise ImageError(f'{name} has the shape {shape}; {_EXPECTED}')
    if max(shape) > MAX_SIDE or shape[0] * shape[1] > MAX_MEGAPIXELS * 1e6:
        raise ImageError(
            f'{name} has the shape {shape}: larger than {MAX_MEGAPIXELS:.0f} megapixels or '
            f'{MAX_SIDE} pixels to a side'
        )
    pixels = np.ascontiguousarray(_as_bytes(np.asarray(image), name))
    if pixels.ndim == 2 or shape[2] == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(pixels[..., :3])


def _as_bytes(image: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Convert the values to uint8, see :func:`as_bgr`."""
    if image.dtype == np.uint8:
        return image
    least, most = (image.min(), image.max()) if image.dtype.kind in 'iuf' else (0, 0)
    if image.dtype.kind == 'f' and least >= 0 and most <= 1:
        return np.rint(np.multiply(image, 255, dtype=np.float32)).astype(np.uint8)
    if image.dtype in ('<u2', '>u2') and not 0 < most < _LEAST_OF_16_BITS:
        return (image >> 8).astype(np.uint8)
    values = f' with values from {least} to {most}' if image.dtype.kind in 'iuf' else ''
    raise ImageError(
        f'{name} has the type {image.dtype}{values}; expected uint8, uint16 with white 65535, or '
        f'floating point with white 1. Else scale to 0 to 255 and give {name}.astype("uint8")'
    )
