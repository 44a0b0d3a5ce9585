"""
The checks of a tracker node: faults of the node itself and of its connections.

Each check is a function that runs once a second and yields findings. A finding is in the
diagnostics for as long as it holds, and is logged once, when it begins. A new warning is a new
function in the list `CHECKS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NamedTuple

from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.core.base.errors import one_line
from persontrack_ros.ros.discovery import publishers_of
from persontrack_ros.ros.memory import FOLDER, free
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.state import NodeState
from persontrack_ros.ros.tracker.statistics import WINDOW

# Seconds that a frame may be worked on.
LONG, TOO_LONG = 2.0, 10.0
# Frames within the window that are needed to judge how long one takes.
_LEAST = 20
# Part of the frames that may be dropped without a warning.
_RARELY = 0.05
# Bytes of shared memory that Fast DDS takes for a process, without our profile.
_SCARCE = 2**20
# Seconds until what begins again is logged again.
_AGAIN = 60.0


class Level(IntEnum):
    """Levels of diagnostic_msgs/msg/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class Finding(NamedTuple):
    """
    One fault that a check found.

    :ivar level: OK for a note that is no fault.
    :ivar key: distinguishes findings of one check whose text changes.
    :ivar log: whether to log it; False if it was logged when it happened.
    """

    level: Level
    text: str
    key: str = ''
    log: bool = True


Check = Callable[[Node, NodeState], Iterator[Finding]]


class Checks:
    """Runs the checks of a node, and logs new findings."""

    def __init__(self, node: Node, state: NodeState) -> None:
        """Begin without findings."""
        self._node = node
        self._state = state
        self._logged: dict[tuple[Check, str], float] = {}
        self._known: set[tuple[Check, str]] = set()
        self.findings: list[Finding] = []

    def run(self) -> None:
        """Run all checks."""
        findings = {
            (check, finding.key): finding for check in CHECKS for finding in self._find(check)
        }
        now = time.monotonic()
        logger = self._node.get_logger()
        for identity, finding in findings.items():
            known = identity in self._known or now < self._logged.get(identity, 0.0) + _AGAIN
            if finding.log and not known:
                self._logged[identity] = now
                # Not one call for both: rclpy keeps a severity for each line that logs.
                if finding.level == Level.ERROR:
                    logger.error(finding.text)
                else:
                    logger.warning(finding.text)
        self._known = set(findings)
        self.findings = list(findings.values())

    def _find(self, check: Check) -> list[Finding]:
        try:
            return list(check(self._node, self._state))
        except Exception as error:  # noqa: BLE001 - one check must not cost the others
            return [Finding(Level.WARN, f'the check {check.__name__} failed: {one_line(error)}')]


def transition(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether the node could not be configured or activated."""
    if state.problem:
        yield Finding(Level.ERROR, state.problem, log=False)


def dead_worker(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether the worker's thread has ended; the node then ends the process."""
    if state.worker is not None and state.worker.failure is not None:
        yield Finding(
            Level.ERROR, f'the thread of the tracker ended: {one_line(state.worker.failure)}'
        )


def errors(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether a frame failed just now, or a transition."""
    if state.statistics.is_error_recent:
        yield Finding(Level.ERROR, state.statistics.error, log=False)


def long_frame(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether a frame takes very long: inference hangs, or a device is overloaded."""
    age, text = work(state)
    if age > LONG:
        yield Finding(Level.ERROR if age > TOO_LONG else Level.WARN, text)


def silence(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether no messages come over a topic."""
    inputs = state.inputs
    if inputs is None or not state.enabled:
        return
    options = state.parameters.current.options
    for topic in inputs.topics.values():
        seconds = time.monotonic() - topic.heard
        for level in (Level.ERROR, Level.WARN):
            limit = options[f'diagnostics.silence_{level.name.lower()}']
            if limit and seconds > limit:
                publishers = topic.describe_publishers()
                who = f'it is published by {publishers}' if publishers else 'no node publishes it'
                text = f'nothing came over {topic.name} for {seconds:.1f} s; {who}'
                yield Finding(level, text, topic.name)
                break


def counterparts(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether images, detections, depth and transforms do not come together."""
    inputs = state.inputs
    if inputs is None or not state.enabled:
        return
    faults = inputs.faults
    if 'detections' in faults:
        yield Finding(Level.WARN, faults['detections'], 'detections')
    if 'depth' in faults:
        # Space logs it with each kind of result.
        yield Finding(Level.WARN, f'no tracks_3d: {faults["depth"]}', 'depth', log=False)
    outputs = state.outputs
    if outputs is not None and outputs.space is not None and outputs.space.fault:
        yield Finding(Level.ERROR, outputs.space.fault, 'space', log=False)
    if outputs is not None and outputs.transforms is not None and outputs.transforms.fault:
        yield Finding(Level.WARN, outputs.transforms.fault, 'tf', log=False)


def slow(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether a frame takes longer than it is until the next one comes."""
    times, incoming = state.statistics.times(), state.incoming_rate()
    enough = state.inputs is not None and state.enabled and times.rate * WINDOW >= _LEAST
    if enough and times.busy * incoming > 1.0:
        yield Finding(
            Level.OK,
            f'a frame takes {1e3 * times.busy:.0f} ms, and one comes every '
            f'{1e3 / incoming:.0f} ms: not all are tracked; see docs/tuning.md',
        )


def cores(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether `inference.cores` is less than any pattern of detectors takes."""
    share, budget = state.share, state.share.budget
    if share.limit and budget.lacking and share.dropped > _RARELY:
        yield Finding(
            Level.WARN,
            f'inference.cores {share.limit:g} is too low: "{share.pattern}", the '
            f'cheapest detector.pattern, takes {budget.lacking:.2f} cores, {budget.rest:.2f} of '
            f'them beside the frames, as receiving does; {share.dropped:.0%} of the frames are '
            'dropped. Raise it, or lower the rate or the size of the images',
        )


def classes(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether another detector gives persons another class than the one that is tracked."""
    if state.processor is not None and state.inputs is not None:
        fault = state.processor.classes.fault
        if fault:
            yield Finding(Level.WARN, f'{name_publishers(node, state, "detections")}: {fault}')


def same_name(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether another node has the same name: both publish, and either answers services."""
    own = (node.get_name(), node.get_namespace())
    count = node.get_node_names_and_namespaces().count(own)
    if count > 1:
        yield Finding(
            Level.WARN,
            f'{count} nodes have the name {node.get_fully_qualified_name()}: give each a name or '
            'namespace of its own (-r __node:=NAME, -r __ns:=/NAMESPACE). A node that was killed '
            'counts for up to 20 s',
        )


def shared_memory(node: Node, state: NodeState) -> Iterator[Finding]:
    """Whether Fast DDS has too little shared memory."""
    left = free()
    if left < _SCARCE and 'fastrtps' in get_rmw_implementation_identifier():
        yield Finding(
            Level.WARN,
            f'{FOLDER} has {left / 2**20:.1f} MiB left: nodes that start now send over UDP, or '
            'end by SIGBUS. Remove what fills it, or give it more (docker run --shm-size=1g)',
        )


# In the order in which they stand in a message.
CHECKS: tuple[Check, ...] = (
    transition,
    dead_worker,
    errors,
    long_frame,
    silence,
    counterparts,
    slow,
    cores,
    classes,
    same_name,
    shared_memory,
)


def work(state: NodeState) -> tuple[float, str]:
    """Return for how long the frame in work has been worked on, in seconds, and a text with it."""
    current = state.worker.current if state.worker is not None else None
    if current is None:
        return 0.0, 'other cameras have their turn'
    frame, since = current
    seconds = time.monotonic() - since
    return seconds, f'the frame {name_frame(frame)} has been worked on for {seconds:.1f} s'


def name_frame(frame: Frame) -> str:
    """Return the stamp of a frame."""
    return f'{frame.stamp / 1e9:.3f}'


def name_publishers(node: Node, state: NodeState, source: str) -> str:
    """Return the topic of a source, `image` or `detections`, and the nodes that publish it."""
    topic = state.inputs.topics[source].name if state.inputs else source
    names = ' and '.join(publishers_of(node, topic)) if state.inputs else ''
    return f'{topic}, published by {names or "an unknown node"}'
