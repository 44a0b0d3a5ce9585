"""The life of a node's process."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Optional

import rclpy
from rclpy.context import Context
from rclpy.executors import Executor
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import install_signal_handlers
from rclpy.task import Future
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.core.parameter_file import ParameterFile
from persontrack_ros.ros.compat import init
from persontrack_ros.ros.shared_memory import FOLDER
from persontrack_ros.ros.shared_memory import remove_segments_of_dead


@contextmanager
def ros(arguments: Optional[Sequence[str]] = None) -> Iterator[Executor]:
    """
    Initialise ROS and yield an executor; shut ROS down at the end of the block.

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
    executor = SingleThreadedExecutor()
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
def spinning(executor: Executor) -> Iterator[None]:
    """Spin on a thread during the block."""
    end: Future[None] = Future()

    def spin() -> None:
        with until_shutdown(executor.context):
            executor.spin_until_future_complete(end)

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        # By its own thread: an executor of Humble is not woken by what another one completes.
        executor.create_task(end.set_result, None)
        thread.join()
