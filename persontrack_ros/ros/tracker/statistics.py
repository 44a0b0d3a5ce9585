"""Counts and times of the recent work of a node."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

# Frames that the quantiles are taken of, and seconds that the others are taken over.
FRAMES = 1000
WINDOW = 5.0
# The level is ERROR for so many seconds after an error.
ERROR_TIME = 5.0


class Times(NamedTuple):
    """
    Times of the newest frames.

    :ivar rate: frames per second.
    :ivar busy: seconds that a frame takes; 0 where there is none.
    :ivar p50: latency in seconds, half of the frames have less.
    :ivar p99: latency in seconds, 99 % of the frames have less.
    """

    rate: float
    busy: float
    p50: float
    p99: float


class _Done(NamedTuple):
    end: float
    busy: float
    latency: float


class Statistics:
    """
    Counts and times of the work of one node; all methods can be called from any thread.

    :ivar visible: number of persons in the newest frame.
    :ivar ids: of all persons so far.
    :ivar refused: number of detections of another node that were refused.
    :ivar error: the last one.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self.error = ''
        self._error_at = -math.inf
        self.begin()

    def begin(self) -> None:
        """Forget all but the last error."""
        with self._lock:
            self._fates: Counter[str] = Counter()
            self._done: deque[_Done] = deque(maxlen=FRAMES)
            self._since = time.monotonic()
            self.visible = self.refused = 0
            self.ids: set[int] = set()

    def resume(self) -> None:
        """Take times from now on."""
        with self._lock:
            self._done.clear()
            self._since = time.monotonic()

    def processed(
        self, received: float, busy: float, visible: int, ids: Iterable[int], refused: int = 0
    ) -> None:
        """
        Count a frame that is done.

        :param received: when it came (`time.monotonic`).
        :param busy: seconds that it took.
        """
        with self._lock:
            now = time.monotonic()
            self._done.append(_Done(now, busy, now - received))
            self.refused += refused
            self.visible = visible
            self.ids.update(ids)
            # Last: if this method fails, the frame counts as failed only.
            self._fates['processed'] += 1

    def paused(self) -> None:
        """Count a frame that is not tracked because tracking is paused."""
        with self._lock:
            self._fates['paused'] += 1

    def failed(self, error: str) -> None:
        """Count a frame that is skipped because of an error."""
        with self._lock:
            self._fates['failed'] += 1
        self.erred(error)

    def erred(self, error: str) -> None:
        """Record an error."""
        self.error, self._error_at = error, time.monotonic()

    @property
    def is_error_recent(self) -> bool:
        """Whether the last error was within the last seconds."""
        return time.monotonic() - self._error_at < ERROR_TIME

    def account(self, dropped: int, in_work: int) -> dict[str, int]:
        """
        Return the number of frames that were sent, and how many of them had each fate.

        :param dropped: number of those that were not processed.
        :param in_work: number of those that wait or are being processed.
        """
        with self._lock:
            fates = {
                'processed': self._fates['processed'],
                'dropped': dropped,
                'failed': self._fates['failed'],
                'paused': self._fates['paused'],
                'in work': in_work,
            }
        return {'sent': sum(fates.values()), **fates}

    def times(self) -> Times:
        """Return the times of the newest frames."""
        with self._lock:
            now = time.monotonic()
            window = min(WINDOW, now - self._since)
            busy = [each.busy for each in self._done if now - each.end < WINDOW]
            # Not by NumPy, whose function takes milliseconds where it is called once a second.
            latencies = sorted(each.latency for each in self._done) or [0.0]
        p50, p99 = (latencies[math.ceil(part * (len(latencies) - 1))] for part in (0.5, 0.99))
        mean = sum(busy) / len(busy) if busy else 0.0
        return Times(len(busy) / window if window else 0.0, mean, p50, p99)
