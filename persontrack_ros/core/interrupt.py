"""Ctrl-C while something is being written."""

from __future__ import annotations

import signal
from types import FrameType
from types import TracebackType
from typing import Optional


class Interrupt:
    """
    Notes Ctrl-C instead of raising KeyboardInterrupt, which could tear a record in two.

    A context manager for the main thread.

    :ivar requested: whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        """Nothing was pressed yet."""
        self.requested = False

    def __enter__(self) -> Interrupt:
        """Begin to note it."""
        self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Handle it as before."""
        signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self.requested = True
