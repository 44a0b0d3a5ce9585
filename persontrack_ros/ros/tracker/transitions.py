"""Transitions of a node that succeed, or log an error and leave the state before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from persontrack_ros.core.base.errors import one_line
from persontrack_ros.ros.tracker.state import NodeState


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
