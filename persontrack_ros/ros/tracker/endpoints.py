"""What is wrong between the topics of this node and those at their other ends."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from persontrack_ros.ros.discovery import is_known, node_of
from persontrack_ros.ros.tracker.listener import Listener

# What middlewares give for it differs by less than a second.
_INFINITE = 2**63 - 10**9
# How many looks to wait for the name of a node.
_PATIENCE = 5


def mismatches(offered: QoSProfile, requested: QoSProfile) -> list[tuple[str, str, str]]:
    """
    Return the policies because of which nothing is received: name, offered and requested value.

    Source: the rules of DDS 1.4, section 2.2.3.
    """
    faults = [
        (name, theirs.name.lower(), ours.name.lower())
        for name, theirs, ours, too_weak, too_strong in (
            (
                'reliability',
                offered.reliability,
                requested.reliability,
                ReliabilityPolicy.BEST_EFFORT,
                ReliabilityPolicy.RELIABLE,
            ),
            (
                'durability',
                offered.durability,
                requested.durability,
                DurabilityPolicy.VOLATILE,
                DurabilityPolicy.TRANSIENT_LOCAL,
            ),
            (
                'liveliness',
                offered.liveliness,
                requested.liveliness,
                LivelinessPolicy.AUTOMATIC,
                LivelinessPolicy.MANUAL_BY_TOPIC,
            ),
        )
        if (theirs, ours) == (too_weak, too_strong)
    ]
    for name in ('deadline', 'liveliness_lease_duration'):
        theirs, ours = (_seconds(getattr(profile, name)) for profile in (offered, requested))
        if theirs > ours:
            faults.append((name, f'{theirs:g} s', f'{ours:g} s'))
    return faults


def describe(endpoints: Iterable[TopicEndpointInfo]) -> str:
    """Name the nodes at the other end of a topic and their quality of service."""
    return ', '.join(
        f'{node_of(each)} ({each.qos_profile.reliability.name.lower()}, '
        f'{each.qos_profile.durability.name.lower()})'
        for each in endpoints
    )


class QosWatch:
    """Warns of each endpoint that does not fit ours, once."""

    def __init__(self, node: Node) -> None:
        """Begin without any."""
        self._node = node
        self._told: set[tuple[str, bytes]] = set()
        self._looks: Counter[bytes] = Counter()

    def check(self, listeners: Iterable[Listener], publishers: Iterable[Publisher]) -> None:
        """Look at the other ends of these, and warn of what is new."""
        for listener in listeners:
            for other in listener.publishers:
                faults = mismatches(other.qos_profile, listener.qos_profile)
                self._warn(listener.topic_name, other, faults, 'subscription', 'publisher')
        for publisher in publishers:
            topic = publisher.topic_name
            for other in self._node.get_subscriptions_info_by_topic(topic):
                faults = mismatches(publisher.qos_profile, other.qos_profile)
                self._warn(topic, other, faults, 'publisher', 'subscription')

    def _warn(
        self,
        topic: str,
        other: TopicEndpointInfo,
        faults: list[tuple[str, str, str]],
        our_kind: str,
        their_kind: str,
    ) -> None:
        key = (topic, bytes(other.endpoint_gid))
        if not faults or key in self._told:
            return
        if not is_known(other) and self._looks[key[1]] < _PATIENCE:
            self._looks[key[1]] += 1
            return
        self._told.add(key)
        told = ', '.join(
            f'{name}: {offered} is offered, {requested} requested'
            for name, offered, requested in faults
        )
        self._node.get_logger().warning(
            f'nothing comes over {topic} with the {their_kind} of {node_of(other)}, whose '
            f'quality of service does not fit our {our_kind} ({told}); change theirs, or '
            f'qos_overrides.{topic}.{our_kind}.{faults[0][0]} of this node'
        )


def _seconds(duration: Duration) -> float:
    """Return a duration in seconds; 0, which is the default, and the largest mean infinity."""
    return duration.nanoseconds / 1e9 if 0 < duration.nanoseconds < _INFINITE else math.inf
