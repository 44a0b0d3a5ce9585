"""The node's status on ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.timer import Timer

from persontrack_ros.ros.tracker.statistics import Report

# Seconds between two messages.
PERIOD = 1.0
NAME = 'tracking'


def publish_diagnostics(node: Node, report: Callable[[], Report]) -> None:
    """
    Publish what `report` returns, once a second, from now on.

    With diagnostic_updater where it is installed, so that its parameters work as everywhere; its
    message is made here otherwise, and is the same.
    """
    try:
        from diagnostic_updater import Updater
    except ImportError:
        _publish_alone(node, report)
        return

    def fill(status: Any) -> Any:
        now = report()
        status.summary(bytes([now.level]), now.message)
        for key, value in now.values.items():
            status.add(key, value)
        return status

    updater = Updater(node, period=PERIOD)
    updater.setHardwareID(node.get_fully_qualified_name())
    updater.add(NAME, fill)
    node.destroy_timer(updater.timer)
    updater.timer = _create_timer(node, updater.period, updater.update)


def _publish_alone(node: Node, report: Callable[[], Report]) -> None:
    publisher = node.create_publisher(DiagnosticArray, '/diagnostics', QoSProfile(depth=1))

    def publish() -> None:
        now = report()
        status = DiagnosticStatus(
            level=bytes([now.level]),
            name=f'{node.get_name()}: {NAME}',
            message=now.message,
            hardware_id=node.get_fully_qualified_name(),
            values=[KeyValue(key=key, value=value) for key, value in now.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    _create_timer(node, PERIOD, publish)


def _create_timer(node: Node, period: float, publish: Callable[[], None]) -> Timer:
    # A clock of its own: simulated time may stand still, and that should be seen.
    return node.create_timer(period, publish, clock=Clock(clock_type=ClockType.STEADY_TIME))
