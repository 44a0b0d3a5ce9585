"""The publishers and subscriptions of a node, and the way back to those it had before."""

from __future__ import annotations

from rclpy.node import Node
from rosgraph_msgs.msg import Clock


class Entities:
    """
    The publishers and subscriptions that a node has at a moment.

    If a transition fails half-way, those that it made are destroyed, or there would be two of each
    when they are made again.
    """

    def __init__(self, node: Node) -> None:
        """Record the ones that exist now."""
        self._node = node
        self._publishers = list(node.publishers)
        self._subscriptions = list(node.subscriptions)

    def restore(self) -> None:
        """Destroy those that were made since then."""
        for publisher in list(self._node.publishers):
            if publisher not in self._publishers:
                self._node.destroy_publisher(publisher)
        for subscription in list(self._node.subscriptions):
            # rclpy makes that of the clock when use_sim_time is set.
            if subscription not in self._subscriptions and subscription.msg_type is not Clock:
                self._node.destroy_subscription(subscription)
