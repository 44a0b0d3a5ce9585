"""Scaling of images."""

import cv2
import numpy as np
from numpy.typing import NDArray


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
    """
    # A property of the thread.
    cv2.ipp.setUseIPP_NotExact(not exact)
    cv2.resize(image, target.shape[1::-1], dst=target, interpolation=interpolation)
