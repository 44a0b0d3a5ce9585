"""The node's status on ``/diagnostics``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from persontrack_ros.ros.tracker.checks import Finding, Level, work
from persontrack_ros.ros.tracker.state import NodeState

# Seconds between two messages.
PERIOD = 1.0
NAME = 'tracking'


@dataclass(frozen=True)
class Report:
    """One diagnostic status; its values by name."""

    level: Level
    message: str
    values: dict[str, str]


def report(state: NodeState, findings: Sequence[Finding]) -> Report:
    """Put together what the checks found, and what the node counts."""
    what = 'tracking' if state.enabled else 'paused'
    if state.inputs is None:
        what = 'inactive'
    level = max((each.level for each in findings), default=Level.OK)
    # The worst first; notes only if nothing is wrong.
    shown = sorted(findings, key=lambda each: -each.level)
    texts = [each.text for each in shown if each.level > Level.OK or level == Level.OK]
    if level == Level.OK:
        texts.insert(0, what)
    return Report(level, '; '.join(texts), _values(state))


def _values(state: NodeState) -> dict[str, str]:
    settings, options = state.parameters.current
    statistics, times = state.statistics, state.statistics.times()
    share = state.share
    inputs, outputs, processor = state.inputs, state.outputs, state.processor
    heard = [time.monotonic() - each.heard for each in inputs.topics.values()] if inputs else []
    transforms = outputs.transforms if outputs else None
    values = {
        'rate (1/s)': f'{times.rate:.1f}',
        'latency p50 (ms)': f'{1e3 * times.p50:.1f}',
        'latency p99 (ms)': f'{1e3 * times.p99:.1f}',
        'time since last input (s)': f'{max(heard, default=0.0):.1f}',
        'time on the frame in work (s)': f'{work(state)[0]:.1f}',
        'refused detections': str(statistics.refused),
        'persons now': str(statistics.visible),
        'ids so far': str(len(statistics.ids)),
        'last error': state.problem or statistics.error,
        **{fate: str(count) for fate, count in state.account.items()},
        'unmatched': str(inputs.unmatched if inputs else 0),
        'without transform': str(transforms.missing if transforms else 0),
        'detector pattern': share.pattern or ' '.join(settings.detector.turns),
        'cores': f'{share.budget.used:.2f}' if share.limit else '',
        'target': options['target'],
    }
    target = outputs.target if outputs and options['target'] else None
    if target is not None:
        values['target id'] = '' if target.id is None else str(target.id)
        values['target status'] = target.status.value
        values['target since'] = f'{target.since / 1e9:.3f}'
    values['other classes'] = str(processor.classes.left_out if processor else 0)
    devices = {} if processor is None else processor.pipeline.devices
    for group in ('detector', 'reid'):
        values[f'{group} model'] = getattr(settings, group).model
        values[f'{group} device'] = devices.get(group, '')
    return values


def publish_diagnostics(node: Node, make_report: Callable[[], Report]) -> None:
    """Publish a report once a second, from now on."""
    publisher = node.create_publisher(DiagnosticArray, '/diagnostics', QoSProfile(depth=1))

    def publish() -> None:
        now = make_report()
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

    # A clock of its own: diagnostics go on while simulated time stands still.
    node.create_timer(PERIOD, publish, clock=Clock(clock_type=ClockType.STEADY_TIME))
