"""Counts and times of the recent work of a node."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from math import ceil
from typing import NamedTuple, Optional

# Latencies that the quantiles are taken of, and seconds that rates are taken over.
LATENCIES = 500
RATE_WINDOW = 5.0
# The level is ERROR for so many seconds after an error.
ERROR_TIME = 5.0


class Numbers(NamedTuple):
    """
    Counts and times of the recent work of a node.

    :ivar window: seconds that the rate is taken over.
    :ivar rate: frames per second.
    :ivar busy: seconds that one of these frames takes; 0 where there is none.
    :ivar p50: latency in seconds, half of the frames have less.
    :ivar p99: latency in seconds, 99 % of the frames have less.
    :ivar visible: number of persons in the newest frame.
    :ivar persons: number of ids so far.
    :ivar error: the last one.
    :ivar recent: whether that was within the last seconds.
    """

    window: float
    rate: float
    busy: float
    p50: float
    p99: float
    visible: int
    persons: int
    refused: int
    error: str
    recent: bool


class Statistics:
    """Counts and times of the work of one node; all methods can be called from any thread."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._last_error = ''
        self._error_at: Optional[float] = None
        self.begin()

    def begin(self) -> None:
        """Forget all but the last error."""
        with self._lock:
            self._processed = 0
            self._failed = 0
            self._paused = 0
            self._refused = 0
            self._done: deque[tuple[float, float]] = deque()
            self._since = time.monotonic()
            self._latencies: deque[float] = deque(maxlen=LATENCIES)
            self._visible = 0
            self._ids: set[int] = set()

    def resume(self) -> None:
        """Take the rate from now on."""
        with self._lock:
            self._done.clear()
            self._since = time.monotonic()

    def forget_ids(self) -> None:
        """Count the persons anew."""
        with self._lock:
            self._ids.clear()

    def processed(
        self, received: float, busy: float, visible: int, ids: Iterable[int], refused: int = 0
    ) -> None:
        """
        Count a frame that is done.

        :param received: when it came (`time.monotonic`).
        :param busy: seconds that it took.
        :param visible: number of persons in it.
        :param refused: number of detections of another node that were refused.
        """
        with self._lock:
            now = time.monotonic()
            self._refused += refused
            self._done.append((now, busy))
            self._latencies.append(now - received)
            self._visible = visible
            self._ids.update(ids)
            # Last: if this method fails, the frame counts as failed only.
            self._processed += 1

    def paused(self) -> None:
        """Count a frame that is not tracked because tracking is paused."""
        with self._lock:
            self._paused += 1

    def failed(self, error: str) -> None:
        """Count a frame that is skipped because of an error."""
        with self._lock:
            self._failed += 1
        self.erred(error)

    def erred(self, error: str) -> None:
        """Record an error."""
        with self._lock:
            self._last_error = error
            self._error_at = time.monotonic()

    def account(self, dropped: int, in_work: int) -> dict[str, int]:
        """
        Return the number of frames that were sent, and how many of them had each fate.

        :param dropped: number of those that were not processed.
        :param in_work: number of those that wait or are being processed.
        """
        with self._lock:
            fates = {
                'processed': self._processed,
                'dropped': dropped,
                'failed': self._failed,
                'paused': self._paused,
                'in work': in_work,
            }
        return {'sent': sum(fates.values()), **fates}

    def numbers(self) -> Numbers:
        """Return counts and times of the recent work."""
        with self._lock:
            now = time.monotonic()
            while self._done and self._done[0][0] < now - RATE_WINDOW:
                self._done.popleft()
            window = min(RATE_WINDOW, now - self._since)
            count = len(self._done)
            # Not by NumPy, whose function takes milliseconds where it is called once a second.
            latencies = sorted(self._latencies) or [0.0]
            p50, p99 = (latencies[ceil(part * (len(latencies) - 1))] for part in (0.5, 0.99))
            return Numbers(
                window,
                rate=count / window if window else 0.0,
                busy=sum(busy for _, busy in self._done) / count if count else 0.0,
                p50=p50,
                p99=p99,
                visible=self._visible,
                persons=len(self._ids),
                refused=self._refused,
                error=self._last_error,
                recent=self._error_at is not None and now - self._error_at < ERROR_TIME,
            )
