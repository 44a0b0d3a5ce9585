"""The life of a node's process, and the one rule for what may leave a callback: nothing."""

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


# Of services: the default keeps 10 requests, and the clients of others would wait for ever.
SERVICE_QOS = QoSProfile(depth=1000)
# Least time between two answers, in seconds. A client receives the answers to all clients of a
# service, keeps 10 of them, and waits for ever if its own one is replaced before it looks.
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
    Runs callbacks out of which nothing comes, be they ours or rclpy's own.

    rclpy lets an exception of a callback, and of what it does itself before it calls one, end
    :meth:`spin`, and with it the node: any message or request that nobody foresaw could do that.
    Here it costs a line in the log and what the callback was called for. Whoever waits for the
    answer of a service gets one that says why. What does end :meth:`spin` is no callback.
    """

    def __init__(self, **options: Any) -> None:
        """Begin without nodes; see :class:`SingleThreadedExecutor`."""
        super().__init__(**options)
        self._told: dict[str, float] = {}
        self._answered = -math.inf
        self.failure: Optional[Exception] = None

    def fail(self, failure: Exception) -> None:
        """End ROS, for all of this process, because of a failure that comes out of :func:`ros`."""
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
            except Exception as error:  # noqa: BLE001 - whoever asked would wait for ever
                self._tell(error, service, node)
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
            self._tell(error, entity, node)

    def _tell(self, error: Exception, entity: Any, node: Node) -> None:
        """Say on one line what failed, and where; of each entity from time to time only."""
        name = getattr(entity, 'topic_name', None) or getattr(entity, 'srv_name', None)
        name = name or type(entity).__name__
        now = time.monotonic()
        # What fails because ROS has ended means nothing.
        if node.context.ok() and now - self._told.get(name, -math.inf) > _ERROR_PERIOD:
            self._told[name] = now
            place = traceback.extract_tb(error.__traceback__)[-1]
            node.get_logger().error(
                f'{name}: {one_line(error)} ({Path(place.filename).name}, line {place.lineno})'
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
    """Let a response say no, if it is of a kind that can."""
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

    Raises what :meth:`NodeExecutor.fail` was told.

    Ctrl-C shuts it down too, which ends spinning; it never raises KeyboardInterrupt. A terminal
    sends SIGINT to all processes it started and ros2 launch passes it on, so that a node gets two
    or three, and one of them would interrupt its cleaning up.

    :raises SettingsError: if an argument, or a parameter file that one names, is wrong.
    """
    given = sys.argv if arguments is None else arguments
    for option, value in pairwise(given):
        # What the command line refuses is refused here, too, and in the same words.
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
    """Give back what killed processes left, which with large images is much."""
    if 'fastrtps' in get_rmw_implementation_identifier():
        number, size = remove_segments_of_dead()
        if number:
            rclpy.logging.get_logger('persontrack_ros').info(
                f'removed {size / 2**20:.0f} MiB of shared memory that {number} killed processes '
                f'had left in {FOLDER}'
            )


@contextmanager
def until_shutdown(context: Context) -> Iterator[None]:
    """Ignore errors that come after ROS was shut down: whatever is being done with it fails."""
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
