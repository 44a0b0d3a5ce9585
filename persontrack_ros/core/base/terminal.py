"""Terminals: progress bars, and requests to end such as Ctrl-C."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from types import FrameType
from typing import Any, Optional

import tqdm as library

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


class tqdm(library.tqdm):  # type: ignore[misc]  # noqa: N801 - as in the library
    """
    A progress bar.

    :cvar quiet: whether there are none, with ``--quiet``.
    """

    quiet = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Begin a bar, with the arguments of the library."""
        hidden = self.quiet or not sys.stderr.isatty()
        super().__init__(*arguments, mininterval=0.5, disable=hidden, **options)
