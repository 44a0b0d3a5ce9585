"""A window that shows images."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Optional

import cv2

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.errors import OutputError


class Window:
    """
    A pop-up window that shows images.

    A context manager; leaving it closes the window.
    """

    def __init__(self, title: str) -> None:
        """
        Open the window.

        :raises OutputError: if there is no display or OpenCV was built without windows.
        """
        self._title = title
        # In another process: without a display, Qt ends the one that asks for a window.
        trial = [sys.executable, '-c', 'import cv2; cv2.namedWindow("trial")']
        if subprocess.run(trial, capture_output=True).returncode:
            raise OutputError(
                'cannot open a window: this OpenCV has none (install opencv-python instead of '
                'opencv-python-headless) or there is no display'
            )
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def show(self, image: BgrImage) -> bool:
        """Show an image; return False when Esc or q was pressed or the window was closed."""
        cv2.imshow(self._title, image)
        if cv2.waitKey(1) & 0xFF in (27, ord('q')):
            return False
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def __enter__(self) -> Window:
        """Return the window."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)
