"""Live sources: cameras, and streams from a server."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Optional, Union

from persontrack_ros.core.base.errors import SourceError, without_passwords
from persontrack_ros.core.media.reader import Image, Reader

# Seconds before a stream that broke is opened again: doubled each time, up to the second.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0

# Longest time after a signal until the iteration ends.
_POLL = 0.1

_logger = logging.getLogger(__name__)


class LiveReader(Reader):
    """
    Reads a source on its own thread, so that waiting for it can be interrupted.

    A broken camera or stream is opened again, with growing pauses, until :meth:`close`.
    """

    def __init__(
        self, name: str, open_reader: Callable[[], Reader], stopped: Callable[[], bool]
    ) -> None:
        """
        Open the source.

        :param name: of the source, for the log.
        :param open_reader: opens the source; called again when it breaks.
        :param stopped: returns whether to end the iteration; called while waiting for an image.
        :raises SourceError: if it cannot be opened.
        """
        self._name = without_passwords(name)
        self._open = open_reader
        self._stopped = stopped
        self._stop = threading.Event()
        self._items: queue.Queue[Union[Reader, Image, Exception, None]] = queue.Queue(1)
        self._thread = threading.Thread(target=self._run, name='source', daemon=True)
        self._thread.start()
        opened = self._next()
        if opened is None:
            raise SourceError(f'it was ended before {name} was open')
        assert not isinstance(opened, tuple)
        self.rate = opened.rate
        self.ends = opened.ends
        self.frame_count = opened.frame_count

    def __iter__(self) -> Iterator[Image]:
        """
        Return the images until the source ends or is stopped.

        Their time is that of a file, or of their arrival in seconds since 1970.

        :raises SourceError: if a file is damaged, or the connection to its server breaks.
        """
        while (item := self._next()) is not None:
            assert isinstance(item, tuple)
            yield item

    def close(self) -> None:
        """End the thread; if a server or driver blocks it, it ends by itself later."""
        self._stop.set()
        self._thread.join(10 * _POLL)

    def _next(self) -> Union[Reader, Image, None]:
        while not (self._stop.is_set() or self._stopped()):
            try:
                item = self._items.get(timeout=_POLL)
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                raise item
            return item
        return None

    def _put(self, item: Union[Reader, Image, Exception, None]) -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._items.put(item, timeout=_POLL)
                break

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - raised in the waiting thread
            self._put(error)

    def _read(self) -> None:
        pause = FIRST_PAUSE
        opened: Optional[Reader] = None
        number = 0
        while not self._stop.is_set():
            try:
                with closing(self._open()) as reader:
                    if opened is None:
                        opened = reader
                        self._put(reader)
                    for position, seconds, image in reader:
                        number += 1
                        pause = FIRST_PAUSE
                        arrived = (number, time.time(), image)
                        self._put((position, seconds, image) if reader.ends else arrived)
                        if self._stop.is_set():
                            return
                    reader.check()
                if reader.ends:
                    self._put(None)
                    return
                problem = f'{self._name} gives no more images'
            except SourceError as error:
                if opened is None or opened.ends:
                    raise
                problem = str(error)
            _logger.warning('%s; trying again in %g s', problem, pause)
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
