"""Messages of several topics that belong together, by their stamps; for the executor's thread."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple, Optional

from sensor_msgs.msg import CameraInfo, Image

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.ros.tracker.input_topic import Message

# Seconds for which images and detections wait for each other, and images and depth images.
PATIENCE = 2.0
DEPTH_PATIENCE = 1.0
# Bytes that waiting messages may take.
MEMORY = 256 * 2**20

Depth = tuple[Image, CameraInfo]


class _Set(NamedTuple):
    arrival: float
    messages: dict[str, Message]


class StampMatcher:
    """
    Joins messages of several topics that have exactly the same stamp.

    :ivar unmatched: number of messages whose counterparts did not come in time, by topic.
    """

    def __init__(
        self, topics: Mapping[str, str], emit: Callable[[dict[str, Message]], None]
    ) -> None:
        """
        Begin empty.

        :param topics: full names of the topics, by what they bring.
        :param emit: called with one message of each.
        """
        self._topics = topics
        self._emit = emit
        self._waiting: dict[int, _Set] = {}
        self._bytes = 0
        # Topics of messages that waited too long since the last complete set.
        self._unpaired: set[str] = set()
        self.unmatched: Counter[str] = Counter()

    @property
    def fault(self) -> str:
        """What is wrong with the messages now and what to do, or empty."""
        if self._unpaired < set(self._topics):
            return ''
        return (
            f'no messages of {" and ".join(self._topics.values())} with the same stamps come '
            f'within {PATIENCE:g} s of each other, or {MEMORY >> 20} MiB of them: the node that '
            'publishes detections has to copy the header of the image, and to answer in time'
        )

    def add(self, name: str, message: Message) -> None:
        """Take a message; drop those older than a complete set, or waiting for too long."""
        now, stamp = time.monotonic(), message.stamp
        messages = self._waiting.setdefault(stamp, _Set(now, {})).messages
        if name in messages:
            self.unmatched[name] += 1
            self._bytes -= len(messages[name].data)
        messages[name] = message
        self._bytes += len(message.data)
        if len(messages) == len(self._topics):
            # Older ones may be a part of time that went back: order of arrival is what counts.
            while (oldest := next(iter(self._waiting))) != stamp:
                self._drop(oldest)
            self._remove(stamp)
            self._unpaired.clear()
            self._emit(messages)
        while self._waiting:
            oldest = next(iter(self._waiting))
            arrival, messages = self._waiting[oldest]
            if now - arrival <= PATIENCE and self._bytes <= MEMORY:
                break
            self._unpaired.update(messages)
            self._drop(oldest)

    def waiting(self, name: str) -> int:
        """Return the number of messages of a topic that wait for their counterparts."""
        return sum(name in each.messages for each in self._waiting.values())

    def _drop(self, stamp: int) -> None:
        self.unmatched.update(self._remove(stamp).keys())

    def _remove(self, stamp: int) -> dict[str, Message]:
        messages = self._waiting.pop(stamp).messages
        self._bytes -= sum(len(each.data) for each in messages.values())
        return messages


class _Kept(NamedTuple):
    arrival: float
    message: Message


class _Waiting(NamedTuple):
    arrival: float
    stamp: int
    depth: Future[Depth]


class DepthInput:
    """
    Finds the depth image nearest in time to each image.

    Only 3D positions wait for depth: an image is tracked at once.

    :ivar unmatched: number of images for which there was none.
    :ivar fault: why there was none for the last image; empty where there was.
    """

    def __init__(self, tolerance: float, kept: float = DEPTH_PATIENCE) -> None:
        """
        Begin empty.

        :param tolerance: largest difference of the stamps, in seconds.
        :param kept: seconds for which depth images are kept: longer where images are expected only
            when their detections have come.
        """
        self._tolerance = tolerance
        self._kept_for = kept
        self._info: Optional[CameraInfo] = None
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._waiting: deque[_Waiting] = deque()
        self.unmatched = 0
        self.fault = ''

    def expect(self, stamp: int) -> Future[Depth]:
        """Return the depth of an image with this stamp; it raises SourceError if there is none."""
        future: Future[Depth] = Future()
        self._waiting.append(_Waiting(time.monotonic(), stamp, future))
        self._settle()
        return future

    def add_depth(self, message: Message) -> None:
        """Take a depth image."""
        if self._kept and message.stamp < self._kept[-1].message.stamp:
            # Time went back.
            self._kept.clear()
            self._bytes = 0
        self._kept.append(_Kept(time.monotonic(), message))
        self._bytes += len(message.data)
        self._settle()

    def add_info(self, message: CameraInfo) -> None:
        """Take the calibration."""
        self._info = message
        self._settle()

    def _settle(self) -> None:
        """Decide about the images for which no nearer depth can come, or has come in time."""
        now = time.monotonic()
        while self._kept and (
            now - self._kept[0].arrival > self._kept_for
            or (self._bytes > MEMORY and len(self._kept) > 1)
        ):
            self._bytes -= len(self._kept.popleft().message.data)
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            known = self._info is not None and self._kept
            decided = known and each.stamp <= self._kept[-1].message.stamp
            if decided or now - each.arrival > DEPTH_PATIENCE:
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
        if self._info is None:
            raise SourceError('no camera_info has come')
        if not self._kept:
            raise SourceError(f'no depth image has come for {DEPTH_PATIENCE:g} s')
        # The newest one where stamps are equal: those of some drivers do not advance.
        nearest = min(
            (each.message for each in reversed(self._kept)),
            key=lambda each: abs(each.stamp - stamp),
        )
        # How much newer it is than the image, in seconds.
        newer = (nearest.stamp - stamp) / 1e9
        if abs(newer) <= self._tolerance:
            return nearest
        raise SourceError(
            f'the nearest depth image is {abs(newer):.3f} s {"newer" if newer > 0 else "older"} '
            f'than the image, by their stamps, and depth_tolerance is {self._tolerance:g} s: one '
            f'of them comes more than {DEPTH_PATIENCE:g} s late, depth is rare, or clocks differ'
        )
