"""Time that goes back: bag loops and jumps of the clock."""

from __future__ import annotations

import threading
from typing import Optional

# A clock that leaps ahead as far as this was set, or its bag was wound on; seconds.
FORWARD_JUMP = 60.0


class Timeline:
    """
    Notices when time goes back, and tells of it once.

    Bags without a clock never make it jump, therefore the stamps of the images count too. The
    clock and the images arrive in any order: whoever notices first tells.
    """

    def __init__(self) -> None:
        """Begin without a stamp."""
        self._lock = threading.Lock()
        self._newest: Optional[int] = None
        self._jumped = False
        self._stale = False  # whether images from before a jump back may still come

    def clock_jumped(self, before: int, now: int, threshold: float) -> bool:
        """
        Take note of a jump of the clock from `before` to `now`, in nanoseconds.

        :param threshold: the least jump back that counts, in seconds.
        :returns: whether this is news, because of which the next image begins anew.
        """
        # Simulated time is zero until the first message of the clock, which is no jump.
        if before == 0:
            return False
        delta = (now - before) / 1e9
        with self._lock:
            if self._newest is None or -threshold <= delta <= FORWARD_JUMP:
                return False
            if delta < 0 and self._newest <= now + threshold * 1e9:
                return False
            self._jumped = True
            self._stale = delta < 0
            return True

    def advance(self, stamp: int, threshold: float) -> tuple[bool, float]:
        """
        Take note of the stamp of the next image, in nanoseconds.

        :param threshold: the least jump back that counts, in seconds.
        :returns: whether the tracks end before this image; and if that is news, by how many
            seconds the stamps went back, else 0.
        """
        with self._lock:
            back = 0.0 if self._newest is None else (self._newest - stamp) / 1e9
            self._newest = stamp
            went_back = back > threshold
            told, self._jumped = self._jumped or (went_back and self._stale), False
            self._stale &= not went_back
            return told or went_back, back if went_back and not told else 0.0
