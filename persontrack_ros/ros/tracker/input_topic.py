"""A topic that the node subscribes to, in the way that its publishers allow."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any, Optional

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from persontrack_ros.core.base.errors import SettingsError, SourceError, one_line
from persontrack_ros.ros.compat import events, take_waiting
from persontrack_ros.ros.discovery import node_of

# Messages that may wait in the middleware while the executor is busy: enough for each one to be
# taken out and counted, also where they come in bursts.
QUEUE = 1000

# Of the parameter that overrides the reliability: what all publishers offer.
BEST_AVAILABLE = 'best_available'
_RELIABLE = ReliabilityPolicy.RELIABLE
_RELIABILITIES = {
    'reliable': _RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
    'system_default': ReliabilityPolicy.SYSTEM_DEFAULT,
}
# A warning needs so many missed messages, and one in so many.
_MANY = 10
_RARE = 100
# Encapsulation and stamp, with which each message that has a header begins.
_STAMP_END = 12


@dataclass(frozen=True)
class Message:
    """A message with a header, as the bytes that came: most are replaced before they are read."""

    kind: type
    data: bytes

    @property
    def stamp(self) -> int:
        """
        The stamp in nanoseconds; 0 where the bytes are no message.

        Source: DDS-XTypes 1.3, 7.4.3 (plain CDR), which the middlewares of ROS 2 use.
        """
        if len(self.data) < _STAMP_END:
            return 0
        order = '<' if self.data[1] & 1 else '>'
        seconds, nanoseconds = struct.unpack_from(f'{order}iI', self.data, 4)
        return int(seconds) * 1_000_000_000 + int(nanoseconds)

    @cached_property
    def content(self) -> Any:
        """
        The message itself.

        :raises SourceError: if the bytes are none.
        """
        try:
            # Cyclone DDS reads beyond the end of fewer bytes.
            if len(self.data) < _STAMP_END:
                raise RuntimeError(f'{len(self.data)} bytes')
            return deserialize_message(self.data, self.kind)
        except RuntimeError as error:
            raise SourceError(
                f'a message is damaged, or no {self.kind.__name__} ({one_line(error)}); correct '
                'the node that publishes it'
            ) from error


class InputTopic:
    """
    Subscribes to a topic, reliably unless a publisher offers less.

    A publisher that does not fit makes the middleware report it; then, and once a second, the
    publishers are checked, and if one offers less than is requested, a new subscription replaces
    the former one. It requests more again when nobody publishes: no message is missed by that. The
    parameter ``qos_overrides.TOPIC.subscription.reliability`` decides instead where it is set.

    :ivar name: full name.
    :ivar heard: when the last message came, or the subscription was made (`time.monotonic`).
    :ivar missed: number of messages that were missed in transport, or still waited at the end.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        take: Callable[[Iterator[Message]], None],
    ) -> None:
        """
        Subscribe.

        :param kind: type of the messages; they have a header.
        :param take: called with those that have come, in their order; it has to take all.
        :raises SettingsError: if the parameter is wrong.
        """
        self._node = node
        self._kind = kind
        self._topic = topic
        self._take = take
        self._subscription: Optional[Subscription] = None
        # Messages until the reports of a new subscription count: before, what it has missed came
        # over the former one.
        self._grace = 0
        self._received = 0
        self._missed = 0
        self._warned = False
        self.name = node.resolve_topic_name(topic)
        self.heard = time.monotonic()
        self.missed = 0
        self._override = self._declare_reliability()
        self.adapt()

    def adapt(self) -> None:
        """Check what the publishers offer; subscribe anew if one offers less than requested."""
        publishers = self._node.get_publishers_info_by_topic(self.name)
        if not all(each.qos_profile.reliability == _RELIABLE for each in publishers):
            self._subscribe(self._override or ReliabilityPolicy.BEST_EFFORT)
        elif self._subscription is None or not publishers:
            self._subscribe(self._override or _RELIABLE)

    def describe_publishers(self) -> str:
        """Name the nodes that publish it, and their quality of service; empty without any."""
        return ', '.join(
            f'{node_of(each) or "an unknown node"} ({each.qos_profile.reliability.name.lower()}, '
            f'{each.qos_profile.durability.name.lower()})'
            for each in self._node.get_publishers_info_by_topic(self.name)
        )

    def destroy(self) -> None:
        """End the subscription; messages that still wait count as missed."""
        if self._subscription is not None:
            self.missed += sum(1 for _ in islice(take_waiting(self._subscription), QUEUE))
            self._end()

    def _declare_reliability(self) -> Optional[ReliabilityPolicy]:
        """Return the value of the parameter; None if publishers decide."""
        name = f'qos_overrides.{self.name}.subscription.reliability'
        if not self._node.has_parameter(name):
            text = f'reliable, best_effort, or {BEST_AVAILABLE}: what all publishers offer'
            descriptor = ParameterDescriptor(description=text, read_only=True)
            self._node.declare_parameter(name, BEST_AVAILABLE, descriptor)
        value = self._node.get_parameter(name).value
        if value == BEST_AVAILABLE:
            return None
        if value not in _RELIABILITIES:
            known = ', '.join((BEST_AVAILABLE, *_RELIABILITIES))
            raise SettingsError(f'{name} is {value!r}; it can be {known}')
        return _RELIABILITIES[value]

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        """Subscribe, unless there is a subscription as requested."""
        if self._subscription is not None:
            if self._subscription.qos_profile.reliability == reliability:
                return
            self._take(self._waiting())
            self._end()
        create = partial(
            self._node.create_subscription,
            self._kind,
            self._topic,
            self._on_message,
            QoSProfile(depth=QUEUE, reliability=reliability),
            # Reliability is decided here.
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)
            ),
            raw=True,
        )
        try:
            self._subscription = create(
                event_callbacks=events.SubscriptionEventCallbacks(
                    # By default, rclpy warns.
                    incompatible_qos=None if self._override else lambda event: self.adapt(),
                    message_lost=self._on_missed,
                )
            )
        except events.UnsupportedEventTypeError:
            # Cyclone DDS does not report what was missed; publishers are checked once a second.
            self._subscription = create()

    def _end(self) -> None:
        self._node.destroy_subscription(self._subscription)
        self._subscription, self._grace = None, 2

    def _on_message(self, data: bytes) -> None:
        self.heard = time.monotonic()
        self._grace = max(0, self._grace - 1)
        self._take(self._waiting(data))

    def _waiting(self, *first: bytes) -> Iterator[Message]:
        """Yield a message and those that wait behind it, one by one, as they can be large."""
        for data in chain(first, islice(take_waiting(self._subscription), QUEUE)):
            self._received += 1
            yield Message(self._kind, data)

    def _on_missed(self, event: Any) -> None:
        if self._grace:
            return
        self.missed += event.total_count_change
        self._missed += event.total_count_change
        missed, sent = self._missed, self._missed + self._received
        if not self._warned and missed >= max(_MANY, self._received / _RARE):
            self._warned = True
            self._node.get_logger().warning(
                f'{missed} of {sent} messages of {self.name} were missed in transport. Start the '
                'publisher with the DDS configuration of this package, let it publish reliably, '
                'or use compressed images: docs/middleware.md'
            )
