"""Transitions of a node that succeed, or leave the state before them and say why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.node import Node

from persontrack_ros.core.base.errors import one_line
from persontrack_ros.ros.tracker.state import NodeState


class Transitions:
    """
    Takes the steps of transitions.

    rclpy makes a node unconfigured where one raises, without a line in the log.
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
        Do it, or say why not; the node then is as before.

        :param undo: what takes the first part of an action back; where there is none, the action
            raises before it has changed anything.
        """
        state = self._state
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node must stay usable
            problem = f'{transition}: {one_line(error)}'
            # Whatever fails because of Ctrl-C means nothing.
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
        """Take each step, whatever the others raise: what is left over must not be in use."""
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - the steps after it are needed as well
                self.report(f'{transition}: {one_line(error)}; the rest of it is done')

    def report(self, error: str) -> None:
        """Log an error, and let the diagnostics have it."""
        self._state.statistics.erred(error)
        self.logger.error(error)

    @property
    def logger(self) -> Any:
        """The logger of the node; after Ctrl-C, one that does not try to publish."""
        logger = self._node.get_logger()
        return logger if self._node.context.ok() else get_logger(f'{logger.name}.end')
