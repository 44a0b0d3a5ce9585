"""Images: their type, their scaling, and the messages of OpenCV about them."""

import os

import cv2
import numpy as np
from numpy.typing import NDArray

# Shape (height, width, 3), as OpenCV has it.
BgrImage = NDArray[np.uint8]


def scale(
    image: NDArray[np.uint8],
    target: NDArray[np.uint8],
    exact: bool = False,
    interpolation: int = cv2.INTER_LINEAR,
) -> None:
    """
    Scale an image into another array of any size.

    :param image: uint8 BGR, shape ``(height, width, 3)``.
    :param target: uint8 BGR, of any size.
    :param exact: give the same result on every machine; otherwise OpenCV may use Intel's
        primitives, which take half of the time, and values may be off by one.
    :param interpolation: a constant of OpenCV.
    """
    # OpenCV 4.5 does not accept a single pixel as an image.
    if image.size == 3:
        image = image.repeat(2, axis=0)
    # A property of the thread.
    cv2.ipp.setUseIPP_NotExact(not exact)
    cv2.resize(image, target.shape[1::-1], dst=target, interpolation=interpolation)


def silence() -> None:
    """Silence OpenCV's messages about unreadable files: our own errors say more."""
    if 'OPENCV_LOG_LEVEL' not in os.environ:
        # OpenCV read that variable when it was imported. The function has moved between versions.
        set_level = getattr(cv2, 'setLogLevel', None) or cv2.utils.logging.setLogLevel
        set_level(0)
