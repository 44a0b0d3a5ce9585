"""A subscription that fits whoever publishes its topic."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Optional

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.ros.compat import (
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
    take_waiting,
    with_number,
)
from persontrack_ros.ros.tracker.losses import LossCounter

# Of the parameter that overrides the reliability: what all publishers offer.
BEST_AVAILABLE = 'best_available'
_RELIABILITIES = {
    'reliable': ReliabilityPolicy.RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
    'system_default': ReliabilityPolicy.SYSTEM_DEFAULT,
}


class Listener:
    """
    Subscribes to a topic as well as its publishers allow, and again when they change.

    Reliable where all of them are, best effort where one is not or nobody publishes yet: rclpy
    itself decides that once (`BEST_AVAILABLE`, from Iron on). The parameter
    ``qos_overrides.TOPIC.subscription.reliability`` decides where it is set. A new subscription
    replaces the former one when its first message has come, so that none is lost in between.

    :ivar topic_name: full name.
    :ivar heard: when the last message came, or the subscription was made (`time.monotonic`).
    :ivar losses: what did not come.
    :ivar publishers: those at the newest look.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        depth: int,
        take: Callable[[Any], None],
        group: Optional[CallbackGroup] = None,
        latched: bool = False,
    ) -> None:
        """
        Subscribe.

        :param kind: type of the messages; they have a header.
        :param depth: of the queue.
        :param take: called with each message.
        :param latched: whether to want what was published before, where publishers keep it.
        :raises SettingsError: if the parameter is wrong.
        """
        self._node = node
        self._kind = kind
        self._topic = topic
        self._depth = depth
        self._take = take
        self._group = group
        self._latched = latched
        self._generation = 0
        self._stamp = 0
        self._newest: Optional[Subscription] = None
        self._former: Optional[Subscription] = None
        self.topic_name = node.resolve_topic_name(topic)
        self.losses = LossCounter(lambda: _ids(node.get_publishers_info_by_topic(self.topic_name)))
        self.heard = time.monotonic()
        self.publishers: list[TopicEndpointInfo] = []
        self._reliability = self._declare_reliability()
        self.adapt()

    @property
    def qos_profile(self) -> QoSProfile:
        """What is asked for."""
        return self._newest.qos_profile

    @property
    def has_latched(self) -> bool:
        """Whether a message has come from publishers that need not send another one."""
        latched = self.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        return latched and self.losses.received > 0

    def adapt(self) -> None:
        """Look who publishes, and subscribe anew where that does not fit them as it could."""
        self.publishers = self._node.get_publishers_info_by_topic(self.topic_name)
        if self._newest is not None and not self.publishers:
            return
        wanted = self._fitting()
        if self._newest is None or wanted != (
            self.qos_profile.reliability,
            self.qos_profile.durability,
        ):
            self._subscribe(*wanted)

    def destroy(self) -> None:
        """End the subscription; what still waits to be taken is lost."""
        oldest = self._former or self._newest
        if oldest is not None:
            self.losses.drop(take_waiting(oldest))
        for subscription in (self._former, self._newest):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._former = self._newest = None

    def _declare_reliability(self) -> Optional[ReliabilityPolicy]:
        """Return what the parameter says, as rclpy's overrides do; None if publishers decide."""
        name = f'qos_overrides.{self.topic_name}.subscription.reliability'
        if not self._node.has_parameter(name):
            description = (
                f'reliability for subscription `{self.topic_name}`: reliable, best_effort, or '
                f'{BEST_AVAILABLE}, what all of its publishers offer'
            )
            descriptor = ParameterDescriptor(description=description, read_only=True)
            self._node.declare_parameter(name, BEST_AVAILABLE, descriptor)
        value = self._node.get_parameter(name).value
        if value == BEST_AVAILABLE:
            return None
        if value not in _RELIABILITIES:
            known = ', '.join((BEST_AVAILABLE, *_RELIABILITIES))
            raise SettingsError(f'{name} is {value!r}; it can be {known}')
        return _RELIABILITIES[value]

    def _fitting(self) -> tuple[ReliabilityPolicy, DurabilityPolicy]:
        """Return the most that all publishers offer."""
        offered = [each.qos_profile for each in self.publishers]
        reliability = self._reliability
        if reliability is None:
            reliable = all(each.reliability == ReliabilityPolicy.RELIABLE for each in offered)
            reliability = (
                ReliabilityPolicy.RELIABLE
                if offered and reliable
                else ReliabilityPolicy.BEST_EFFORT
            )
        kept = all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in offered)
        return reliability, (
            DurabilityPolicy.TRANSIENT_LOCAL
            if self._latched and offered and kept
            else DurabilityPolicy.VOLATILE
        )

    def _subscribe(self, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> None:
        if self._former is not None:
            self._node.destroy_subscription(self._former)
        self._former, self._newest = self._newest, None
        self._generation += 1
        create = partial(
            self._node.create_subscription,
            self._kind,
            self._topic,
            with_number(partial(self._on_message, self._generation)),
            QoSProfile(depth=self._depth, reliability=reliability, durability=durability),
            # Reliability is decided here.
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)
            ),
            callback_group=self._group,
        )
        try:
            self._newest = create(
                event_callbacks=SubscriptionEventCallbacks(
                    incompatible_qos=lambda event: self.adapt(),
                    message_lost=partial(self._on_lost, self._generation),
                )
            )
        except UnsupportedEventTypeError:
            self._node.get_logger().info(
                f'the middleware does not tell of lost messages of {self.topic_name}'
            )
            self._newest = create()

    def _on_message(self, generation: int, message: Any, number: Optional[int]) -> None:
        self.heard = time.monotonic()
        if not self.publishers:
            # Somebody new.
            self.adapt()
        stamp = stamp_to_nanoseconds(message.header)
        if self._former is not None and generation == self._generation:
            self._node.destroy_subscription(self._former)
            self._former = None
            if stamp <= self._stamp:
                # It came over the former one as well.
                return
        self._stamp = stamp
        self.losses.add(number)
        self._take(message)

    def _on_lost(self, generation: int, event: Any) -> None:
        if generation == self._generation:
            self.losses.add_strayed(event.total_count_change)


def _ids(endpoints: list[TopicEndpointInfo]) -> set[bytes]:
    return {bytes(each.endpoint_gid) for each in endpoints}
