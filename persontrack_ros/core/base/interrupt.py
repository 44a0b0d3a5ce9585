"""Ctrl-C, and other requests to end, while something is being written."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Optional

# Ctrl-C; `kill`, systemd and containers; a terminal or connection that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """
    Records a signal that asks for the end; raising an error could interrupt a write.

    A context manager for the main thread. SIGHUP stays ignored under nohup.

    :ivar requested: whether a signal arrived.
    """

    def __init__(self) -> None:
        """Start without a signal."""
        self.requested = False

    def __enter__(self) -> Interrupt:
        """Begin to record signals."""
        self._previous = {
            number: signal.signal(number, self._note)
            for number in SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Restore the handlers from before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self.requested = True
