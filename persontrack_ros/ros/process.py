"""The life of a node's process, and an executor that no exception of a callback ends."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Optional

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import install_signal_handlers
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.core.base.errors import one_line
from persontrack_ros.core.config.parameter_file import ParameterFile
from persontrack_ros.ros.compat import init
from persontrack_ros.ros.memory import FOLDER, remove_segments_of_dead

# Seconds between two lines about callbacks that fail again and again.
_ERROR_PERIOD = 5.0


class NodeExecutor(SingleThreadedExecutor):
    """
    Runs callbacks and survives their exceptions.

    In rclpy, an exception in a callback ends :meth:`spin`, and with it the node. Here, it is only
    logged.
    """

    def __init__(self, **options: Any) -> None:
        """Begin without nodes; see :class:`SingleThreadedExecutor`."""
        super().__init__(**options)
        self.failure: Optional[Exception] = None

    def fail(self, failure: Exception) -> None:
        """End ROS, for all of this process, because of an error, which :func:`ros` raises."""
        self.failure = failure
        self.context.try_shutdown()

    def add_node(self, node: Node) -> bool:
        """Run the callbacks of a node; a service that exists already answers also if it fails."""
        for service in node.services:
            service.callback = _answering(service.callback, node, service.srv_name)
        return super().add_node(node)

    def spin(self) -> None:
        """Run callbacks until ROS is shut down; rclpy's own does not call this spin_once."""
        while self.context.ok():
            self.spin_once()

    def spin_once(self, timeout_sec: Optional[float] = None) -> None:
        """Run the next callback, within a second unless another time is given."""
        # At Ctrl-C, rclpy wakes the executors and shuts ROS down only then. One that was quicker
        # waits again, and without a timeout it would wait for ever.
        try:
            super().spin_once(1.0 if timeout_sec is None else timeout_sec)
        except Exception as error:  # noqa: BLE001 - only the work of this callback fails
            for node in self.get_nodes()[:1]:
                _log(node, 'a callback', error)


def _answering(callback: Callable[[Any, Any], Any], node: Node, name: str) -> Any:
    """Return a callback of a service that never raises: the client would wait for ever."""

    def answer(request: Any, response: Any) -> Any:
        try:
            return callback(request, response)
        except Exception as error:  # noqa: BLE001 - an empty response reports no success
            _log(node, name, error)
            return response

    return answer


def _log(node: Node, name: str, error: BaseException) -> None:
    # Errors after the end of ROS mean nothing.
    if node.context.ok():
        line = traceback.extract_tb(error.__traceback__)[-1]
        node.get_logger().error(
            f'{name}: {one_line(error)} ({Path(line.filename).name}, line {line.lineno})',
            throttle_duration_sec=_ERROR_PERIOD,
        )


@contextmanager
def ros(arguments: Optional[Sequence[str]] = None) -> Iterator[NodeExecutor]:
    """
    Initialise ROS and yield an executor; shut ROS down at the end of the block.

    Raises the error of :meth:`NodeExecutor.fail`, if it was called.

    Ctrl-C shuts it down too, which ends spinning; it never raises KeyboardInterrupt. A terminal
    sends SIGINT to all processes it started and ros2 launch passes it on, so that a node gets two
    or three, and one of them would interrupt its cleaning up.

    :raises SettingsError: if an argument, or a parameter file that one names, is wrong.
    """
    given = sys.argv if arguments is None else arguments
    for option, value in pairwise(given):
        # A file is refused with the same error as on the command line.
        if option == '--params-file':
            ParameterFile(Path(value))
    # Until here Ctrl-C ends the process on the spot. rclpy's handler comes only after the
    # executor, which cannot be made in a ROS that has been shut down.
    _clean_shared_memory()
    init(arguments)
    executor = NodeExecutor()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # rclpy's own handler shuts ROS down and then calls this one.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    install_signal_handlers()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        with until_shutdown(executor.context):
            yield executor
    finally:
        rclpy.try_shutdown()
        # Python would restore the default, and a late signal would still end us with an error.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if executor.failure is not None:
        raise executor.failure


def _clean_shared_memory() -> None:
    """Remove the shared memory of killed processes, which is much with large images."""
    if 'fastrtps' in get_rmw_implementation_identifier():
        number, size = remove_segments_of_dead()
        if number:
            rclpy.logging.get_logger('persontrack_ros').info(
                f'removed {size / 2**20:.0f} MiB of shared memory that {number} killed processes '
                f'had left in {FOLDER}'
            )


@contextmanager
def until_shutdown(context: Context) -> Iterator[None]:
    """Ignore errors after ROS was shut down: all calls of it fail then."""
    try:
        yield
    except Exception:
        if context.ok():
            raise


@contextmanager
def spinning(executor: NodeExecutor) -> Iterator[None]:
    """Spin on a thread during the block."""
    end = threading.Event()

    def spin() -> None:
        while executor.context.ok() and not end.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
