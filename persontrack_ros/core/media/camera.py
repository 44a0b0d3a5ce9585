"""Cameras of this computer."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.images import silence
from persontrack_ros.core.media.reader import Image, Reader


class Camera(Reader):
    """A webcam or another device of Video4Linux."""

    ends = False

    def __init__(self, device: str) -> None:
        """
        Open a camera.

        :param device: its number, or the path of its device.
        :raises SourceError: if it does not exist, is in use, or is no camera.
        """
        silence()
        path = f'/dev/video{device}' if device.isdecimal() else device
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise SourceError(
                f'camera {device} is not there or in use, or is no camera; see ls /dev/video*'
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        # Some report 0, nan or absurd rates.
        self.rate = rate if 0 < rate <= 1000 else 0.0

    def __iter__(self) -> Iterator[Image]:
        """Read images until the camera stops."""
        number = 0
        while True:
            read, image = self._capture.read()
            if not read:
                return
            number += 1
            yield number, None, image

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()
