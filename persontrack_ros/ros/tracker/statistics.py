"""What the node did lately, and how good that is."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from math import ceil
from typing import Any, Optional

# Latencies that the quantiles are taken of, and seconds that the rate is taken over.
LATENCIES = 500
RATE_WINDOW = 5.0
# The level is ERROR for so many seconds after an error.
ERROR_TIME = 5.0
# Ids that are remembered, for them to be counted once.
REMEMBERED_IDS = 10_000


class Level(IntEnum):
    """Levels of diagnostic_msgs/msg/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Report:
    """
    One diagnostic status.

    :ivar values: what is told, by name.
    """

    level: Level
    message: str
    values: dict[str, str]


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
            self._done: deque[float] = deque()
            self._since = time.monotonic()
            self._latencies: deque[float] = deque(maxlen=LATENCIES)
            self._people = 0
            self._forget_ids()

    def resume(self) -> None:
        """Take the rate from now on."""
        with self._lock:
            self._done.clear()
            self._since = time.monotonic()

    def forget_ids(self) -> None:
        """Count the persons anew."""
        with self._lock:
            self._forget_ids()

    def _forget_ids(self) -> None:
        self._persons = 0
        # Ordered: those last that were seen last.
        self._ids: dict[int, None] = {}

    def processed(
        self, received: float, people: int, ids: Iterable[int], refused: int = 0
    ) -> None:
        """
        Take note of an image that is done.

        :param received: when it came (`time.monotonic`).
        :param refused: number of detections of another node that were.
        """
        with self._lock:
            now = time.monotonic()
            self._processed += 1
            self._refused += refused
            self._done.append(now)
            self._latencies.append(now - received)
            self._people = people
            for each in ids:
                self._persons += each not in self._ids
                self._ids.pop(each, None)
                self._ids[each] = None
            while len(self._ids) > REMEMBERED_IDS:
                del self._ids[next(iter(self._ids))]

    def paused(self) -> None:
        """Take note of an image that is left out because tracking is paused."""
        with self._lock:
            self._paused += 1

    def failed(self, error: str) -> None:
        """Take note of an image that is skipped because of an error."""
        with self._lock:
            self._failed += 1
            self._last_error = error
            self._error_at = time.monotonic()

    def account(self, dropped: int, in_work: int) -> dict[str, int]:
        """
        Tell what became of all images that were sent: what became of each is one of the others.

        :param dropped: number of those that never came to be worked on.
        :param in_work: number of those that it is not decided of yet.
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

    def report(self, limits: Mapping[str, Any], silence: float) -> Report:
        """
        Judge by the parameters ``diagnostics.*``.

        :param silence: seconds since the last input.
        """
        with self._lock:
            now = time.monotonic()
            while self._done and self._done[0] < now - RATE_WINDOW:
                self._done.popleft()
            window = min(RATE_WINDOW, now - self._since)
            rate = len(self._done) / window if window else 0.0
            # Not by NumPy, whose function takes milliseconds where it is called once a second.
            latencies = sorted(self._latencies) or [0.0]
            p50, p99 = (latencies[ceil(part * (len(latencies) - 1))] for part in (0.5, 0.99))
            faults = [
                _judge(limits, 'silence', silence, f'no input for {silence:.1f} s'),
                _judge(limits, 'latency', p99, f'latency {p99:.3f} s (p99)'),
            ]
            # A few images say nothing; and here, low is bad.
            if window == RATE_WINDOW:
                text = f'{rate:.1f} images per second'
                faults.append(_judge(limits, 'rate', -rate, text, sign=-1))
            if self._error_at is not None and now - self._error_at < ERROR_TIME:
                faults.append((Level.ERROR, self._last_error))
            values = {
                'rate (1/s)': f'{rate:.1f}',
                'latency p50 (ms)': f'{1e3 * p50:.1f}',
                'latency p99 (ms)': f'{1e3 * p99:.1f}',
                'time since last input (s)': f'{silence:.1f}',
                'refused detections': str(self._refused),
                'people now': str(self._people),
                'ids so far': str(self._persons),
                'last error': self._last_error,
            }
        level = max(level for level, _ in faults)
        message = '; '.join(text for fault, text in faults if fault == level != Level.OK)
        return Report(level, message or 'tracking', values)


def _judge(
    limits: Mapping[str, Any], name: str, value: float, text: str, sign: int = 1
) -> tuple[Level, str]:
    for level in (Level.ERROR, Level.WARN):
        limit = limits[f'diagnostics.{name}_{level.name.lower()}']
        if limit and value > sign * limit:
            return level, text
    return Level.OK, ''
