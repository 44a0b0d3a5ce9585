"""A thread that always works on the newest item, and the order in which several do."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Optional, TypeVar

Item = TypeVar('Item')

_HAND_OVER = 20e-6


class Turns:
    """
    Lets as many workers work at once as there are processors, the others as they asked for it.

    More would only make each other slow, and whose thread is woken first would decide who waits.
    """

    def __init__(self, count: int = len(os.sched_getaffinity(0))) -> None:
        """Begin with nobody at work."""
        self._free = count
        self._lock = threading.Lock()
        self._waiting: deque[tuple[threading.Lock, Callable[[], None]]] = deque()

    @contextmanager
    def turn(self, when_next: Callable[[], None]) -> Iterator[None]:
        """
        Wait for one's turn, and have it during the block.

        :param when_next: called, on any thread, where one has to wait and is the first in line.
        """
        self._wait(when_next)
        try:
            yield
        finally:
            self._pass_on()

    def _wait(self, when_next: Callable[[], None]) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append((mine, when_next))
            if len(self._waiting) == 1:
                when_next()
        mine.acquire()

    def _pass_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            self._waiting.popleft()[0].release()
            if self._waiting:
                self._waiting[0][1]()


class NewestItemWorker(Generic[Item]):
    """
    Calls a handler with the newest item, on a thread of its own.

    An item that arrives while the handler is busy, or waits for its turn, replaces one that is
    still waiting: queued images would only make the results stale.

    :ivar busy: whether an item is being handled, or waits behind those of other workers: what
        comes would most likely be replaced.
    """

    def __init__(
        self, handle: Callable[[Item], None], idle: Callable[[], None], turns: Turns
    ) -> None:
        """
        Start the thread.

        :param handle: must not raise.
        :param idle: called on some thread when it is no longer busy.
        :param turns: shared with other workers.
        """
        self._handle = handle
        self._idle = idle
        self._turns = turns
        self.busy = False
        self._handling = False
        self._condition = threading.Condition()
        self._item: Optional[Item] = None
        self._stopping = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Hand over an item; return at once."""
        with self._condition:
            self.dropped += self._item is not None
            self._item = item
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
        while self._wait():
            self.busy = True
            with self._turns.turn(self._stand_by):
                with self._condition:
                    if self._stopping:
                        return
                    item, self._item = self._item, None
                    self.busy = self._handling = True
                self._handle(item)
            with self._condition:
                self._handling = False
            self._stand_by()

    def _stand_by(self) -> None:
        """Let newer items come."""
        self.busy = False
        self._idle()

    def _wait(self) -> bool:
        """Wait for an item; return whether one came before the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._stopping)
            return not self._stopping
