"""Settings for all uses of OpenCV."""

from __future__ import annotations

import os

import cv2


def silence() -> None:
    """Silence OpenCV's messages about unreadable files: our own errors say more."""
    if 'OPENCV_LOG_LEVEL' not in os.environ:
        # OpenCV read that variable when it was imported. The function has moved between versions.
        set_level = getattr(cv2, 'setLogLevel', None) or cv2.utils.logging.setLogLevel
        set_level(0)
