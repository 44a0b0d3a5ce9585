"""The state of a tracker node, for its checks, diagnostics and services, and its transitions."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.node import Node

from persontrack_ros.core.base.errors import SettingsError, SourceError, one_line
from persontrack_ros.core.config.node_options import EMBEDDING_SUFFIX, target_id
from persontrack_ros.core.inference.budget import Share
from persontrack_ros.ros.parameters import NodeParameters
from persontrack_ros.ros.tracker.inputs import Frame, Inputs
from persontrack_ros.ros.tracker.outputs import Outputs
from persontrack_ros.ros.tracker.processing import Processor
from persontrack_ros.ros.tracker.statistics import WINDOW, Statistics
from persontrack_ros.ros.tracker.worker import NewestItemWorker


@dataclass
class NodeState:
    """
    The parts and counts of a tracker node.

    :ivar share: of the processor time that `inference.cores` limits.
    :ivar processor: from configure to cleanup, like `outputs`.
    :ivar worker: from activate to deactivate, like `inputs`.
    :ivar enabled: whether frames are tracked; not while ``~/enable`` has paused it.
    :ivar dropped: number of frames before this activation that were not processed.
    :ivar problem: why the last transition failed, if it did.
    """

    parameters: NodeParameters
    share: Share
    statistics: Statistics = field(default_factory=Statistics)
    processor: Optional[Processor] = None
    outputs: Optional[Outputs] = None
    worker: Optional[NewestItemWorker[Frame]] = None
    inputs: Optional[Inputs] = None
    enabled: bool = True
    dropped: int = 0
    problem: str = ''
    _sent: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def dropped_now(self) -> int:
        """Number of frames since the activation that were not processed."""
        return sum(each.dropped for each in (self.inputs, self.worker) if each is not None)

    @property
    def in_work(self) -> int:
        """Number of frames that wait or are being processed."""
        inputs = self.inputs.waiting if self.inputs else 0
        return inputs + (self.worker.in_work if self.worker else 0)

    @property
    def account(self) -> dict[str, int]:
        """How many frames were sent since configure, and how many had each fate."""
        return self.statistics.account(self.dropped + self.dropped_now, self.in_work)

    def incoming_rate(self) -> float:
        """
        Return how many frames are sent per second; to be called once a second.

        It is 0 while it is unknown.
        """
        now, sent = time.monotonic(), self.account['sent']
        if self._sent and sent < self._sent[-1][1]:
            self._sent.clear()  # it was configured anew
        self._sent.append((now, sent))
        while now - self._sent[0][0] > 2 * WINDOW:
            self._sent.popleft()
        since, before = self._sent[0]
        return (sent - before) / (now - since) if now - since >= WINDOW else 0.0

    @property
    def tracking_processor(self) -> Processor:
        """
        The processor, if it has a tracker.

        :raises SettingsError: if there is none.
        """
        if self.processor is None:
            raise SettingsError('the node is not configured: there is no tracker')
        if not self.processor.tracks:
            raise SettingsError('tracker.algorithm is none: there is no tracker')
        return self.processor

    def end_tracks(self) -> None:
        """Delete markers and trails, as all tracks have ended."""
        if self.outputs is not None:
            self.outputs.clear()

    def check(self, values: Mapping[str, Any]) -> None:
        """
        Check that there are so many cores, and that a target exists.

        A new person with its id would be followed, or no person ever.

        :param values: parameters that are to be set, by name.
        :raises SettingsError: if no person has had the id yet, or the file cannot be used.
        """
        cores, there_are = values.get('inference.cores', 0.0), len(os.sched_getaffinity(0))
        if cores > there_are:
            raise SettingsError(
                f'inference.cores: {cores:g} is more than the {there_are} of this process'
            )
        target = values.get('target', '')
        wanted = target_id(target)
        if wanted is not None and wanted >= self.tracking_processor.tracker.next_id:
            raise SettingsError(f'target: no person has had the id {wanted} yet')
        if target.endswith(EMBEDDING_SUFFIX):
            try:
                self.tracking_processor.load_target(target)
            except (SourceError, RuntimeError) as error:
                raise SettingsError(f'target: {one_line(error)}') from error


class Transitions:
    """
    Runs the steps of transitions.

    If one raises, rclpy makes the node unconfigured without a line in the log.
    """

    def __init__(self, node: Node, state: NodeState) -> None:
        """Begin before the first one."""
        self._node = node
        self._state = state

    def attempt(
        self,
        transition: str,
        action: Callable[[], None],
        undo: Optional[Callable[[], None]] = None,
    ) -> TransitionCallbackReturn:
        """
        Run an action; if it fails, report the error and leave the node as before.

        :param undo: takes back the first part of the action; without it, the action raises before
            it has changed anything.
        """
        state = self._state
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node must stay usable
            problem = f'{transition}: {one_line(error)}'
            # Errors after Ctrl-C mean nothing.
            if self._node.context.ok():
                self._node.get_logger().error(problem)
            if undo is None:
                state.statistics.erred(problem)
            else:
                state.problem = problem
                self.each(transition, undo)
            return TransitionCallbackReturn.FAILURE
        state.problem = ''
        return TransitionCallbackReturn.SUCCESS

    def each(self, transition: str, *steps: Callable[[], Any]) -> None:
        """Run each step, also after one that failed."""
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - the steps after it are needed as well
                self.report(f'{transition}: {one_line(error)}; the other steps are done')

    def report(self, error: str) -> None:
        """Log an error, also in the diagnostics."""
        self._state.statistics.erred(error)
        self.logger.error(error)

    @property
    def logger(self) -> Any:
        """The logger of the node; after Ctrl-C, one that does not try to publish."""
        logger = self._node.get_logger()
        return logger if self._node.context.ok() else get_logger(f'{logger.name}.end')
