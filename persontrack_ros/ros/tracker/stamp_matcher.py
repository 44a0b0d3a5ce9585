"""Messages of several topics that belong together, by their stamps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from persontrack_ros.ros.tracker.input_topic import Message

# Seconds for which messages wait for their counterparts, and bytes that waiting ones may take.
PATIENCE = 2.0
MEMORY = 256 * 2**20
# Number of stamps of dropped messages that are kept, to know how late their counterparts are.
_REMEMBERED = 2000
# Seconds for which a delay is a fault.
_RECENT = 5.0


class _Waiting(NamedTuple):
    arrival: float
    messages: dict[str, Message]


class StampMatcher:
    """
    Joins messages of several topics that have exactly the same stamp.

    :ivar unmatched: number of messages whose counterparts did not come in time, by topic.
    """

    def __init__(
        self,
        topics: Mapping[str, str],
        emit: Callable[[dict[str, Message]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Begin empty.

        :param topics: full names of the topics, by what they bring.
        :param emit: called with one message of each.
        :param clock: returns the time of arrival in seconds.
        """
        self._topics = topics
        self._emit = emit
        self._clock = clock
        self._waiting: dict[int, _Waiting] = {}
        self._bytes = 0
        # Names of dropped messages by their stamps, and when they had come.
        self._dropped: dict[int, tuple[str, float]] = {}
        # Names of messages dropped since the last complete set.
        self._unpaired: set[str] = set()
        self._late = ''
        self._late_at = -_RECENT
        self.unmatched: Counter[str] = Counter()

    @property
    def fault(self) -> str:
        """What is wrong with the messages now and what to do, or empty."""
        if self._late and self._clock() - self._late_at < _RECENT:
            return self._late
        if self._unpaired < set(self._topics):
            return ''
        return (
            f'no stamps are the same in {" and ".join(self._topics.values())}: the node that '
            'publishes detections has to copy the header of the image'
        )

    def add(self, name: str, message: Message) -> None:
        """Take a message; drop those older than a complete set, or waiting for too long."""
        now, stamp = self._clock(), message.stamp
        other, arrival = self._dropped.get(stamp, (name, now))
        if other != name:
            self._record_delay(name, other, now - arrival)
        messages = self._waiting.setdefault(stamp, _Waiting(now, {})).messages
        if name in messages:
            self.unmatched[name] += 1
            self._bytes -= len(messages[name].data)
        messages[name] = message
        self._bytes += len(message.data)
        if len(messages) == len(self._topics):
            # Older ones may be a part of time that went back: order of arrival is what counts.
            while (oldest := next(iter(self._waiting))) != stamp:
                self._drop(oldest)
            self._remove(stamp)
            self._unpaired.clear()
            self._emit(messages)
        while self._waiting:
            oldest = next(iter(self._waiting))
            arrival, messages = self._waiting[oldest]
            if now - arrival <= PATIENCE and self._bytes <= MEMORY:
                break
            for each in messages:
                self._dropped[oldest] = (each, arrival)
                self._unpaired.add(each)
            self._drop(oldest)
        while len(self._dropped) > _REMEMBERED:
            del self._dropped[next(iter(self._dropped))]

    def waiting(self, name: str) -> int:
        """Return the number of messages of a topic that wait for their counterparts."""
        return sum(name in each.messages for each in self._waiting.values())

    def _drop(self, stamp: int) -> None:
        self.unmatched.update(self._remove(stamp).keys())

    def _remove(self, stamp: int) -> dict[str, Message]:
        messages = self._waiting.pop(stamp).messages
        self._bytes -= sum(len(each.data) for each in messages.values())
        return messages

    def _record_delay(self, name: str, other: str, delay: float) -> None:
        limit = f'{PATIENCE:g} s' if delay > PATIENCE else f'{MEMORY >> 20} MiB of messages'
        self._late_at = self._clock()
        self._late = (
            f'{self._topics[name]} comes {delay:.1f} s after {self._topics[other]} with the same '
            f'stamps, and the node waits for at most {limit}: most frames are dropped. Use a '
            'faster detector, or fewer or smaller images'
        )
