"""
The bond by which a lifecycle manager of Nav2 notices that the node does not work any more.

A manager takes the other end when it has activated the node (nav2_lifecycle_manager, bond_core).
Only this module imports the messages of bond, which not every ROS 2 has.
"""

from __future__ import annotations

import uuid

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

try:
    from bond.msg import Status as Status
except ImportError:
    Status = None

# Seconds between two heartbeats, and seconds without one after which they count as missing, as in
# the nodes of Nav2; the manager goes by its own parameter bond_timeout.
PERIOD, TIMEOUT = 0.25, 4.0


class Bond:
    """
    Publishes heartbeats, from its start until it is broken.

    A timer of the executor does it, so that they also stop where the node hangs. The messages of
    the manager need no answer: as in Nav2, a node goes on without its manager.
    """

    def __init__(self, node: Node) -> None:
        """Begin with the first heartbeat."""
        self._node = node
        # The topic is in the namespace of the node, and the id is its name, as in Nav2.
        self._publisher = node.create_publisher(Status, 'bond', QoSProfile(depth=5))
        self._instance = str(uuid.uuid4())
        self._timer = node.create_timer(
            PERIOD, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._publish()

    def _publish(self, active: bool = True) -> None:
        message = Status(
            id=self._node.get_name(),
            instance_id=self._instance,
            active=active,
            heartbeat_period=PERIOD,
            heartbeat_timeout=TIMEOUT,
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def destroy(self) -> None:
        """Break the bond."""
        self._node.destroy_timer(self._timer)
        if self._node.context.ok():
            self._publish(active=False)
        self._node.destroy_publisher(self._publisher)
