"""Depth images that belong to images, by their stamps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, Optional

from sensor_msgs.msg import CameraInfo, Image

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.ros.tracker.input_topic import Message

# Seconds for which depth images are kept for images that come later, and images wait for depth;
# and bytes that the depth images may take.
PATIENCE = 1.0
MEMORY = 256 * 2**20

Depth = tuple[Image, CameraInfo]


class _Kept(NamedTuple):
    arrival: float
    message: Message


class _Waiting(NamedTuple):
    arrival: float
    stamp: int
    depth: Future[Depth]


class DepthInput:
    """
    Finds the depth image nearest in time to each image; for one thread, the executor's.

    Only 3D positions wait for depth: an image is tracked at once.

    :ivar unmatched: number of images for which there was none.
    :ivar fault: why there was none for the last image; empty where there was.
    """

    def __init__(
        self,
        tolerance: float,
        kept: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Begin empty.

        :param tolerance: largest difference of the stamps, in seconds.
        :param kept: seconds for which depth images are kept: longer where images are expected only
            when their detections have come.
        :param clock: returns the time of arrival in seconds.
        """
        self._tolerance = tolerance
        self._kept_for = kept
        self._clock = clock
        self._info: Optional[CameraInfo] = None
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._waiting: deque[_Waiting] = deque()
        self.unmatched = 0
        self.fault = ''

    def expect(self, stamp: int) -> Future[Depth]:
        """Return the depth of an image with this stamp; it raises SourceError if there is none."""
        future: Future[Depth] = Future()
        self._waiting.append(_Waiting(self._clock(), stamp, future))
        self._settle()
        return future

    def add_depth(self, message: Message) -> None:
        """Take a depth image."""
        if self._kept and message.stamp < self._kept[-1].message.stamp:
            # Time went back.
            self._kept.clear()
            self._bytes = 0
        self._kept.append(_Kept(self._clock(), message))
        self._bytes += len(message.data)
        self._settle()

    def add_info(self, message: CameraInfo) -> None:
        """Take the calibration."""
        self._info = message
        self._settle()

    def _settle(self) -> None:
        """Decide about the images for which no nearer depth can come, or has come in time."""
        now = self._clock()
        while self._kept and (
            now - self._kept[0].arrival > self._kept_for
            or (self._bytes > MEMORY and len(self._kept) > 1)
        ):
            self._bytes -= len(self._kept.popleft().message.data)
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            known = self._info is not None and self._kept
            decided = known and each.stamp <= self._kept[-1].message.stamp
            if decided or now - each.arrival > PATIENCE:
                self._decide(each.stamp, each.depth)
            else:
                self._waiting.append(each)

    def _decide(self, stamp: int, depth: Future[Depth]) -> None:
        try:
            message = self._find(stamp)
            depth.set_result((message.content, self._info))
        except SourceError as error:
            self.unmatched += 1
            self.fault = str(error)
            depth.set_exception(error)
        else:
            self.fault = ''

    def _find(self, stamp: int) -> Message:
        """
        Return the depth image that belongs to a stamp.

        :raises SourceError: if there is none; its text has the reason.
        """
        if self._info is None:
            raise SourceError('no camera_info has come')
        if not self._kept:
            raise SourceError(f'no depth image has come for {PATIENCE:g} s')
        # The newest one where stamps are equal: those of some drivers do not advance.
        nearest = min(
            (each.message for each in reversed(self._kept)),
            key=lambda each: abs(each.stamp - stamp),
        )
        # How much newer it is than the image, in seconds.
        newer = (nearest.stamp - stamp) / 1e9
        if abs(newer) <= self._tolerance:
            return nearest
        older = newer < 0
        cause = ''
        if nearest is self._kept[-1 if older else 0].message:
            late, limit = ('depth images', PATIENCE) if older else ('images', self._kept_for)
            cause = f': {late} come more than {limit:g} s late, depth is rare, or clocks differ'
        raise SourceError(
            f'the nearest depth image is {abs(newer):.3f} s {"older" if older else "newer"} than '
            f'the image, by their stamps, and depth_tolerance is {self._tolerance:g} s{cause}'
        )
