"""A thread that always works on the newest item, and the order in which several do."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Optional, TypeVar

from persontrack_ros.core.inference.budget import Budget

Item = TypeVar('Item')

_HAND_OVER = 20e-6


class Turns:
    """
    Lets as many workers work at once as there are processors, in the order of their requests.

    More would only slow each other down, in an order that the scheduler decides.

    :ivar budget: of the processor time of all workers.
    """

    def __init__(self, count: int = len(os.sched_getaffinity(0))) -> None:
        """Begin with all places free."""
        self._free = count
        self.budget = Budget()
        self._condition = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and hold it during the block."""
        mine = object()
        with self._condition:
            self._waiting.append(mine)
            self._condition.wait_for(lambda: self._free and self._waiting[0] is mine)
            self._waiting.popleft()
            self._free -= 1
            self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._free += 1
                self._condition.notify_all()


class NewestItemWorker(Generic[Item]):
    """
    Calls a handler with the newest item, on a thread of its own.

    An item that arrives while the handler is busy, or waits for its turn, replaces one that is
    still waiting: queued images would only make the results stale.

    :ivar current: the item that is being handled, and since when (`time.monotonic`).
    :ivar failure: the exception that ended the thread, if one did.
    :ivar dropped: number of items that were not handled.
    """

    def __init__(
        self,
        handle: Callable[[Item], None],
        failed: Callable[[Item, BaseException], None],
        turns: Turns,
        admits: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Start the thread.

        :param handle: an exception in it fails this item only.
        :param failed: called with the item and what was raised; if it raises too, the thread ends.
        :param turns: shared with other workers.
        :param admits: returns whether to handle the next item, unless it replaces one.
        """
        self._handle = handle
        self._failed = failed
        self._turns = turns
        self._admits = admits
        self.current: Optional[tuple[Item, float]] = None
        self.failure: Optional[BaseException] = None
        self._condition = threading.Condition()
        self._item: Optional[Item] = None
        self._stopping = False
        self._leaving = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name='tracker worker', daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Hand over an item; return at once."""
        admitted = self._admits()
        with self._condition:
            replaces = self._item is not None
            self.dropped += replaces or not admitted
            if replaces or admitted:
                self._item = item
                self._condition.notify()
        # Without a pause, the thread of the executor would keep the interpreter to itself for
        # half a millisecond, while the worker waits for it.
        time.sleep(_HAND_OVER)

    @property
    def in_work(self) -> int:
        """Number of items that are waiting or being handled."""
        with self._condition:
            return (self._item is not None) + (self.current is not None)

    def stop(self, patience: float) -> bool:
        """
        Drop what waits, let the handler finish its item and end the thread.

        :param patience: seconds to wait for the handler.
        :returns: whether the thread has ended; if not, the worker goes on.
        """
        with self._condition:
            self._stopping = True
            self.dropped += self._item is not None
            self._item = None
            self._condition.notify()
        self._thread.join(patience)
        with self._condition:
            if self._thread.is_alive() and not self._leaving:
                self._stopping = False
                return False
        self._thread.join()
        return True

    def _run(self) -> None:
        try:
            while self._wait():
                with self._turns.turn():
                    item = self._take()
                    if item is not None:
                        self._work(item)
                with self._condition:
                    self.current = None
        except BaseException as error:  # noqa: BLE001 - a check reports it
            self.failure = error
            self.current = None

    def _work(self, item: Item) -> None:
        try:
            self._handle(item)
        except BaseException as error:  # noqa: BLE001 - one item must not cost those after it
            self._failed(item, error)

    def _take(self) -> Optional[Item]:
        """Return the newest item, or None if it is not wanted any more."""
        with self._condition:
            item, self._item = self._item, None
            if item is not None:
                self.current = item, time.monotonic()
            return item

    def _wait(self) -> bool:
        """Wait for an item; return whether one came before the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._stopping)
            self._leaving = self._stopping
            return not self._stopping
