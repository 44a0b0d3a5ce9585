"""Scaling of images."""

import cv2
import numpy as np
from numpy.typing import NDArray


def scale(
    image: NDArray[np.uint8], target: NDArray[np.uint8], interpolation: int = cv2.INTER_LINEAR
) -> None:
    """
    Scale an image to the size of another one, and write it there.

    :param image: uint8 BGR, shape ``(height, width, 3)``.
    :param target: likewise, of any size.
    :param interpolation: of OpenCV.
    """
    # Half of the time, or a fifth with INTER_AREA, where OpenCV has Intel's primitives; values may
    # be off by one. It holds for a thread.
    cv2.ipp.setUseIPP_NotExact(True)
    cv2.resize(image, target.shape[1::-1], dst=target, interpolation=interpolation)
