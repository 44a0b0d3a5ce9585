"""Ctrl-C, and other requests to end, while something is being written."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from types import FrameType
from typing import Optional

# Ctrl-C; `kill`, systemd and containers; a terminal or connection that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt(ExitStack):
    """
    Records a signal that asks for the end; raising an error could interrupt a write.

    A context manager for the main thread. SIGHUP stays ignored under nohup.

    :ivar requested: whether a signal arrived.
    """

    requested = False

    def __enter__(self) -> Interrupt:
        """Begin to record signals; the handlers from before return at the end."""
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self.callback(signal.signal, number, signal.signal(number, self._note))
        return self

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self.requested = True
