"""Nodes of this package in processes of their own, apart from all other nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional
from unittest.mock import patch

import rclpy
from rclpy.context import Context

from persontrack_ros.ros.compat import local_discovery
from persontrack_ros.ros.discovery import own_domain

_STOP_TIMEOUT = 10.0


@contextmanager
def isolated(context: Optional[Context] = None) -> Iterator[Path]:
    """
    Start ROS in a domain of its own, without a robot nearby or another test.

    :returns: a temporary directory, which has the logs of ROS.
    """
    with TemporaryDirectory() as logs, own_domain() as domain:
        variables = {'ROS_DOMAIN_ID': str(domain), 'ROS_LOG_DIR': logs, **local_discovery()}
        with patch.dict(os.environ, variables):
            rclpy.init(args=[], context=context)
            try:
                yield Path(logs)
            finally:
                rclpy.try_shutdown(context=context)


def ros_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """Return the ROS arguments that set parameters."""
    arguments = []
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(value, str):
            # A string stays one: the source '0' does not become an integer.
            text = "'" + text.replace("'", "''") + "'"
        arguments += ['-p', f'{name}:={text}']
    return arguments


class NodeProcess:
    """A node that runs until it ends by itself; leaving the context ends it as Ctrl-C does."""

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Any],
        remappings: Iterable[str] = (),
        arguments: Iterable[str] = (),
        within: Iterable[str] = (),
        **options: Any,
    ) -> None:
        """
        Start the node.

        :param name: of the executable, as `tracker_node`.
        :param remappings: ``OLD:=NEW``.
        :param arguments: more ROS arguments, as ``--params-file FILE``; parameters win over them.
        :param within: a command that runs another one in its place, as ``ip netns exec NAME``.
        :param options: of ``subprocess.Popen``.
        """
        command = [*within, sys.executable, '-m', 'persontrack_ros.ros', name, '--ros-args']
        command += arguments
        command += ros_arguments(parameters)
        for remapping in remappings:
            command += ['-r', remapping]
        self.process = subprocess.Popen(command, start_new_session=True, **options)

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def __enter__(self) -> NodeProcess:
        """Return the process."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        if not self.ended:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
