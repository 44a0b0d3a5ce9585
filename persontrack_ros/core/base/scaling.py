"""Scaling of images."""

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ImageError


def scale(
    image: NDArray[np.uint8],
    target: NDArray[np.uint8],
    exact: bool = False,
    interpolation: int = cv2.INTER_LINEAR,
) -> None:
    """
    Scale an image to the size of another one, and write it there.

    :param image: uint8 BGR, shape ``(height, width, 3)``.
    :param target: likewise, of any size.
    :param exact: whether the result may not depend on the machine; otherwise, where OpenCV has
        Intel's primitives, it takes half of the time, and values may be off by one.
    :param interpolation: of OpenCV.
    :raises ImageError: if the image is empty, or not uint8 of as many channels as the target.
    """
    # OpenCV would write to an array of its own, and the target would keep the image before.
    if image.dtype != target.dtype or image.shape[2:] != target.shape[2:] or not image.size:
        raise ImageError(
            f'an image is {image.dtype} of shape {image.shape}, expected {target.dtype} of shape '
            f'{("height", "width", *target.shape[2:])}'
        )
    # OpenCV 4.5 takes a single pixel for something else than an image.
    if image.size == 3:
        image = image.repeat(2, axis=0)
    # A property of the thread.
    cv2.ipp.setUseIPP_NotExact(not exact)
    cv2.resize(image, target.shape[1::-1], dst=target, interpolation=interpolation)
