"""Depth images that belong to images, by their stamps."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Optional

from sensor_msgs.msg import CameraInfo, Image

from persontrack_ros.core.messages import stamp_to_nanoseconds

# Depth images that are kept for an image which comes later, and images that wait for depth.
KEPT = 5
WAITING = 10

Depth = tuple[Image, CameraInfo]


class DepthInput:
    """
    Finds the depth image that was taken nearest to each image; for one thread, the executor's.

    Nobody waits for depth but what needs it: an image is tracked at once.

    :ivar unmatched: number of images for which there was none.
    """

    def __init__(self, tolerance: float) -> None:
        """
        Begin empty.

        :param tolerance: largest difference of the stamps, in seconds.
        """
        self._tolerance = round(1e9 * tolerance)
        self._info: Optional[CameraInfo] = None
        self._depths: deque[tuple[int, Image]] = deque(maxlen=KEPT)
        self._waiting: deque[tuple[int, Future[Depth]]] = deque()
        self.unmatched = 0

    def expect(self, stamp: int) -> Future[Depth]:
        """Return the depth of an image with this stamp; it is cancelled if there is none."""
        future: Future[Depth] = Future()
        self._waiting.append((stamp, future))
        self._settle()
        if len(self._waiting) > WAITING:
            self._give_up(self._waiting.popleft()[1])
        return future

    def add_depth(self, message: Image) -> None:
        """Take a depth image."""
        stamp = stamp_to_nanoseconds(message.header)
        if self._depths and stamp < self._depths[-1][0]:
            # Time went back.
            self._depths.clear()
        self._depths.append((stamp, message))
        self._settle()

    def add_info(self, message: CameraInfo) -> None:
        """Take the calibration."""
        self._info = message
        self._settle()

    def _settle(self) -> None:
        """Decide about the images for which no nearer depth can come."""
        if self._info is None or not self._depths:
            return
        waiting, self._waiting = self._waiting, deque()
        for stamp, future in waiting:
            if stamp > self._depths[-1][0]:
                self._waiting.append((stamp, future))
                continue
            nearest, depth = min(self._depths, key=lambda each: abs(each[0] - stamp))
            if abs(nearest - stamp) <= self._tolerance:
                future.set_result((depth, self._info))
            else:
                self._give_up(future)

    def _give_up(self, future: Future[Depth]) -> None:
        self.unmatched += 1
        future.cancel()
