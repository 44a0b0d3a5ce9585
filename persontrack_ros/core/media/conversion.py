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
    kind = f'{type(image).__module__}.{type(image).__qualname__}'
    if kind.startswith('PIL.'):
        raise ImageError(
            f"{name} is a {kind}: give numpy.array({name}.convert('RGB'))[..., ::-1], as OpenCV "
            'has blue first'
        )
    if not isinstance(image, np.ndarray) or isinstance(image, np.ma.MaskedArray):
        raise ImageError(f'{name} is {"None" if image is None else f"a {kind}"}; {_EXPECTED}')
    _check_shape(image.shape, name)
    pixels = _as_bytes(np.asarray(image), name)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(pixels[..., :3])


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    has = f'{name} has the shape {shape}'
    if 0 in shape:
        raise ImageError(f'{has}: it is empty')
    if len(shape) == 4:
        raise ImageError(f'{has}, as several images have: give one at a time')
    if len(shape) == 3 and shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
        raise ImageError(
            f'{has}: the channels are first. Give {name}.transpose(1, 2, 0), blue first'
        )
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise ImageError(f'{has}; {_EXPECTED}')
    if max(shape) > MAX_SIDE or shape[0] * shape[1] > MAX_MEGAPIXELS * 1e6:
        raise ImageError(
            f'{has}: larger than {MAX_MEGAPIXELS:.0f} megapixels or {MAX_SIDE} pixels to a side'
        )


def _as_bytes(image: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Convert the values to uint8, see :func:`as_bgr`."""
    kind, size = image.dtype.kind, image.dtype.itemsize
    if (kind, size) == ('u', 1):
        return np.ascontiguousarray(image)
    if kind not in 'uf' or (kind == 'u' and size != 2):
        hint = f'. Where white is 255, give {name}.astype("uint8")' if kind in 'iu' else ''
        raise ImageError(f'{name} has the type {image.dtype}; {_EXPECTED}{hint}')
    least, most = image.min(), image.max()
    if kind == 'u':
        if 0 < most < _LEAST_OF_16_BITS:
            raise ImageError(
                f'{name} is uint16 with values up to {most}, and white is 65535: give uint8, as '
                f'({name} >> 4).astype("uint8") of 12 bits'
            )
        return np.ascontiguousarray(image >> 8, dtype=np.uint8)
    if not (np.isfinite(least) and np.isfinite(most)):
        raise ImageError(f'{name} has values that are infinite or not a number')
    if least < 0 or most > 1:
        raise ImageError(
            f'{name} is {image.dtype} with values from {least:.4g} to {most:.4g}, expected 0 to '
            f'1. Where white is 255, give {name}.clip(0, 255).astype("uint8")'
        )
    return np.rint(np.multiply(image, 255, dtype=np.float32)).astype(np.uint8)
