"""A window that shows images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import cv2
import numpy as np

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.images import BgrImage

ESCAPE = '\x1b'
# Keys that end it.
QUIT = (ESCAPE, 'q')
# Width and height at first, as most screens have room for.
_LARGEST = (1280, 720)


class Window(AbstractContextManager['Window']):
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
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        cv2.namedWindow(title, flags)
        self._sized = False

    def show(self, image: BgrImage) -> bool:
        """Show an image; return False when Esc or q was pressed or the window was closed."""
        return self.key(image) not in QUIT

    def key(self, image: BgrImage, wait: int = 1) -> str:
        """
        Show an image; return the key that was pressed, nothing if none was.

        :param wait: for how long one is waited for, in milliseconds.
        :returns: one character; ESCAPE also when the window was closed.
        """
        if not self._sized:
            # Without this, the window is tiny.
            height, width = image.shape[:2]
            scale = min(1.0, *np.divide(_LARGEST, (width, height)))
            cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
            self._sized = True
        cv2.imshow(self._title, image)
        code = cv2.waitKey(wait)
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            return ESCAPE
        return '' if code < 0 else chr(code & 0xFF)

    def on_click(self, callback: Callable[[int, int], None]) -> None:
        """Call a function with column and row of each pixel that is clicked on."""

        def listen(event: int, x: int, y: int, *_: object) -> None:
            if event == cv2.EVENT_LBUTTONDOWN:
                callback(x, y)

        cv2.setMouseCallback(self._title, listen)

    def __exit__(self, *_: object) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)
