"""A thread that always works on the newest item."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic
from typing import Optional
from typing import TypeVar

Item = TypeVar('Item')

_HAND_OVER = 20e-6


class NewestItemWorker(Generic[Item]):
    """
    Calls a handler with the newest item, on a thread of its own.

    An item that arrives while the handler is busy replaces one that is still waiting: queued
    images would only make the results stale.

    :ivar busy: whether an item is waiting or being handled.
    """

    def __init__(self, handle: Callable[[Item], None], idle: Callable[[], None]) -> None:
        """
        Start the thread.

        :param handle: must not raise.
        :param idle: called on the thread of the worker when it is no longer busy.
        """
        self._handle = handle
        self._idle = idle
        self.busy = False
        self._condition = threading.Condition()
        self._item: Optional[Item] = None
        self._stopping = False
        self._handling = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Hand over an item; return at once."""
        with self._condition:
            self.dropped += self._item is not None
            self._item = item
            self.busy = True
            self._condition.notify()
        # Without a pause, the thread of the executor would keep the interpreter to itself for
        # half a millisecond, while the worker waits for it.
        time.sleep(_HAND_OVER)

    @property
    def in_work(self) -> int:
        """Number of items that are waiting or being handled."""
        with self._condition:
            return (self._item is not None) + self._handling

    def stop(self) -> None:
        """Drop what waits, let the handler finish its item and end the thread."""
        with self._condition:
            self._stopping = True
            self.dropped += self._item is not None
            self._item = None
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                while self._item is None and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                item, self._item = self._item, None
                self._handling = True
            self._handle(item)
            with self._condition:
                self._handling = False
                self.busy = self._item is not None
            if not self.busy:
                self._idle()
