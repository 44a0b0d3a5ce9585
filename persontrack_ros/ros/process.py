"""The life of a node's process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Optional

import rclpy


@contextmanager
def ros(arguments: Optional[Sequence[str]] = None) -> Iterator[None]:
    """
    Initialise ROS, and shut it down at the end of the block.

    Ctrl-C shuts it down too, which ends spinning; it never raises KeyboardInterrupt. A terminal
    sends SIGINT to all processes it started and ros2 launch passes it on, so that a node gets two
    or three, and one of them would interrupt its cleaning up.
    """
    # rclpy's own handler shuts ROS down and then calls this one.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    rclpy.init(args=arguments)
    try:
        yield
    except Exception:
        # Whatever is being done with ROS when it is shut down fails, and means nothing.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()
        # Python would restore the default, and a late signal would still end us with an error.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
