"""The life of a node's process, and an executor that no exception of a callback ends."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Optional

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor, await_or_execute
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.service import Service
from rclpy.signals import install_signal_handlers
from rclpy.task import Future, Task
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.core.base.errors import PersontrackError, one_line
from persontrack_ros.core.config.parameter_file import ParameterFile
from persontrack_ros.ros.compat import init
from persontrack_ros.ros.shared_memory import (
    FOLDER,
    remove_segments_of_dead,
)

# Seconds between two lines about callbacks that fail again and again.
_ERROR_PERIOD = 5.0


# Of services: the default keeps 10 requests, and the clients of further ones would wait for ever.
SERVICE_QOS = QoSProfile(depth=1000)
# Least time between two answers, in seconds. A client receives the answers to all clients of a
# service, keeps 10 of them, and waits for ever if its own one is replaced before it is taken.
_ANSWER_PERIOD = 0.01


def deepen_services(node: Node) -> None:
    """Let the services that rclpy made for a node keep as many requests as ours."""
    for service in list(node.services):
        if service.qos_profile.depth < SERVICE_QOS.depth:
            node.destroy_service(service)
            node.create_service(
                service.srv_type,
                service.srv_name,
                service.callback,
                qos_profile=SERVICE_QOS,
                callback_group=service.callback_group,
            )


class NodeExecutor(SingleThreadedExecutor):
    """
    Runs callbacks, ours and rclpy's own, and survives their exceptions.

    In rclpy, an exception in a callback, or while a message is taken, ends :meth:`spin` and with
    it the node: one unforeseen message or request would be enough. Here, the exception is logged
    and only the work of this callback fails. A client of a service gets an answer with the reason.
    """

    def __init__(self, **options: Any) -> None:
        """Begin without nodes; see :class:`SingleThreadedExecutor`."""
        super().__init__(**options)
        self._logged: dict[str, float] = {}
        self._answered = -math.inf
        self.failure: Optional[Exception] = None

    def fail(self, failure: Exception) -> None:
        """End ROS, for all of this process, because of an error, which :func:`ros` raises."""
        self.failure = failure
        self.context.try_shutdown()

    def add_node(self, node: Node) -> bool:
        """Run the callbacks of a node, whose services exist already."""
        for service in node.services:
            self._let_answer(service, node)
        return super().add_node(node)

    def _let_answer(self, service: Service, node: Node) -> None:
        """Let a service answer that it failed, and why, where its callback raises."""
        callback = service.callback

        async def answer(request: Any, response: Any) -> Any:
            try:
                return await await_or_execute(callback, request, response)
            except Exception as error:  # noqa: BLE001 - the client would wait for ever
                self._log(error, service, node)
                return _refusal(request, response, one_line(error))
            finally:
                time.sleep(max(0.0, self._answered + _ANSWER_PERIOD - time.monotonic()))
                self._answered = time.monotonic()

        service.callback = answer

    def wait_for_ready_callbacks(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """Return what is to be done next, see :class:`Executor`."""
        task, entity, node = super().wait_for_ready_callbacks(*args, **kwargs)
        return _Guarded(task, partial(self._survive, entity, node)), entity, node

    def _survive(self, entity: Any, node: Optional[Node], error: Exception) -> None:
        if getattr(entity, '_executor_event', False):
            # It failed while its message was taken: rclpy leaves it marked as being executed, and
            # would never wait for it again, nor for others of its group.
            entity._executor_event = False
            entity.callback_group.ending_execution(entity)
        if node is not None:
            self._log(error, entity, node)

    def _log(self, error: Exception, entity: Any, node: Node) -> None:
        """Log an error and its line of code; of each entity from time to time only."""
        name = getattr(entity, 'topic_name', None) or getattr(entity, 'srv_name', None)
        name = name or type(entity).__name__
        now = time.monotonic()
        # Errors after the end of ROS mean nothing.
        if node.context.ok() and now - self._logged.get(name, -math.inf) > _ERROR_PERIOD:
            self._logged[name] = now
            line = traceback.extract_tb(error.__traceback__)[-1]
            node.get_logger().error(
                f'{name}: {one_line(error)} ({Path(line.filename).name}, line {line.lineno})'
            )


class _Guarded:
    """A task for an executor, which never fails."""

    def __init__(self, task: Task, survive: Callable[[Exception], None]) -> None:
        self._task = task
        self._survive = survive

    def __call__(self) -> None:
        self._task()
        error = self._task.exception()
        if error is not None:
            self._survive(error)

    def exception(self) -> None:
        return None

    def result(self) -> None:
        return None


def _refusal(request: Any, response: Any, reason: str) -> Any:
    """Fill a response that reports a failure, if its type has fields for that."""
    result = SetParametersResult(successful=False, reason=reason)
    if isinstance(response, SetParametersAtomically.Response):
        response.result = result
    elif isinstance(response, SetParameters.Response):
        # Those before the one that failed are set.
        missing = len(request.parameters) - len(response.results)
        response.results = [*response.results, *[result] * missing]
    else:
        for name, value in (('success', False), ('message', reason)):
            if hasattr(response, name):
                setattr(response, name, value)
    return response


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
    end: Future[None] = Future()

    def spin() -> None:
        try:
            with until_shutdown(executor.context):
                executor.spin_until_future_complete(end)
        except Exception as error:  # noqa: BLE001 - it is raised again on the other thread
            executor.fail(error)

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        # By its own thread: an executor of Humble is not woken by what another one completes.
        executor.create_task(end.set_result, None)
        thread.join()


def run_publisher(
    make: Callable[[], Any], name: str, arguments: Optional[Sequence[str]] = None
) -> int:
    """
    Run a node until it has published all; return 2 if its source or a parameter is wrong.

    :param make: makes the node, whose method `publish_all` does that.
    """
    try:
        with ros(arguments) as executor:
            node = make()
            executor.add_node(node)
            with spinning(executor):
                node.publish_all()
    except PersontrackError as error:
        rclpy.logging.get_logger(name).fatal(str(error))
        return 2
    return 0
