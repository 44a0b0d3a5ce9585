"""Messages that got lost on the way: how many, and what helps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier

if TYPE_CHECKING:
    from persontrack_ros.ros.tracker.listener import Listener

# RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED of rmw/types.h: what a middleware says that does not
# number messages.
UNNUMBERED = 2**64 - 1

# A warning needs so many losses, and one in so many messages. Of packets, one image has hundreds.
_LOSSES = 10
_RARE = 100
_PACKETS = 100


class LossCounter:
    """
    Counts the messages of a topic that never came.

    Some get lost on the way, and others are replaced by newer ones before they are taken out of
    the middleware. The numbers that their publisher gave them tell of both; of the former, most
    middlewares tell by themselves.

    :ivar received: how many came.
    :ivar strayed: how many the middleware says got lost on the way.
    :ivar lost: how many never came, as far as that is known.
    :ivar counts: whether it is: Humble and some middlewares tell no numbers, and of several
        publishers, each has its own. Only those that got lost on the way are counted then.
    """

    def __init__(self, publishers: Callable[[], Set[bytes]]) -> None:
        """
        Begin with whatever comes first.

        :param publishers: returns the identifiers of those there are.
        """
        self._publishers = publishers
        self._last: Optional[int] = None
        self._owners: Set[bytes] = frozenset()
        self.received = 0
        self.strayed = 0
        self.lost = 0
        self.counts = True

    def add(self, number: Optional[int]) -> None:
        """Take note of the number of a message, None where rclpy does not tell it."""
        self.received += 1
        if number is None or number == UNNUMBERED:
            self._last, self.counts = None, False
            return
        if self.counts and self._last is not None and number == self._last + 1:
            self._last = number
            return
        # A message does not say who published it. Numbers follow each other if there was one
        # publisher at both, and the same.
        owners = self._publishers()
        same = self._last is not None and owners == self._owners and len(owners) == 1
        if same and number > self._last:
            self.lost += number - self._last - 1
        # No publisher counts backwards: somebody has come and gone.
        self._last = None if same and number <= self._last else number
        self._owners = owners
        self.counts = self._last is not None and len(owners) == 1

    def add_strayed(self, number: int) -> None:
        """Take note of so many messages that the middleware says are lost."""
        self.strayed += number
        if not self.counts:
            self.lost += number

    def drop(self, numbers: Iterable[Optional[int]]) -> None:
        """
        Take note of messages that nobody will take any more.

        Who publishes is not looked up: ROS may have ended.
        """
        for number in numbers:
            if self.counts and self._last is not None and number is not None:
                self.lost += max(0, number - self._last - 1)
            self._last = number
            self.lost += 1


class LossWatch:
    """Warns, once, that messages get lost on the way."""

    def __init__(self, node: Node) -> None:
        """Begin without any."""
        self._node = node
        self._told = False
        self._packets = dropped_packets()

    def check(self, listeners: Iterable[Listener]) -> None:
        """See what these have lost so far, and warn of it if that is new."""
        if self._told:
            return
        losses = [
            f'{each.losses.strayed} of {each.losses.strayed + each.losses.received} messages of '
            f'{each.topic_name} got lost on the way'
            for each in listeners
            if each.losses.strayed >= max(_LOSSES, each.losses.received / _RARE)
        ]
        packets = dropped_packets() - self._packets
        if packets >= _PACKETS:
            losses.append(
                f'for want of room in its receive buffers, this process lost {packets} packets of '
                'messages, which come late for it, or never'
            )
        if losses:
            self._told = True
            self._node.get_logger().warning(f'{"; ".join(losses)}. {_remedies()}')


def dropped_packets() -> int:
    """
    Return how many UDP packets for this process the kernel dropped, as their socket was full.

    It is 0 where that is not told. Source: proc(5) of Linux, the column `drops` of
    ``/proc/net/udp``.
    """
    sockets = set()
    for link in Path('/proc/self/fd').glob('*'):
        try:
            sockets.add(os.readlink(link))
        except OSError:
            # Closed meanwhile.
            continue
    dropped = 0
    for table in (Path('/proc/net/udp'), Path('/proc/net/udp6')):
        if table.exists():
            rows = (line.split() for line in table.read_text().splitlines()[1:])
            dropped += sum(int(row[12]) for row in rows if f'socket:[{row[9]}]' in sockets)
    return dropped


def _remedies() -> str:
    """Say what helps, in the order in which to try it."""
    steps = [
        'give the kernel larger buffers (sudo sysctl -w net.core.rmem_max=67108864)',
        'let the publisher offer reliable',
        'use compressed images',
    ]
    middleware = get_rmw_implementation_identifier()
    if 'fastrtps' in middleware:
        steps.insert(
            0,
            'start the publisher too with FASTRTPS_DEFAULT_PROFILES_FILE (from Kilted on '
            'FASTDDS_DEFAULT_PROFILES_FILE) set to config/fastdds_large_images.xml of this '
            'package',
        )
    elif 'cyclonedds' in middleware:
        steps.insert(
            0,
            'start this node with CYCLONEDDS_URI set to config/cyclonedds_large_images.xml of '
            'this package, as its launch files do',
        )
    listed = ', '.join(f'{number}. {step}' for number, step in enumerate(steps, 1))
    return f'What helps, to be tried in this order: {listed}; see docs/middleware.md'
