"""Nodes of the tests: in a process of their own, or on a thread of the test's."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Union
from unittest import mock

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from rclpy.context import Context
from rclpy.impl import rcutils_logger
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from persontrack_ros.ros.discovery import wait_until_known_by
from persontrack_ros.ros.nodes import tracker_node
from persontrack_ros.ros.process import NodeExecutor, until_shutdown
from persontrack_ros.ros.tools import node_process

# Seconds; on a machine that is busy with other programs.
TIMEOUT = 120


class Output:
    """The lines that a node writes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False

    def _write(self, *lines: str, end: bool = False) -> None:
        with self._changed:
            self.lines += lines
            self._ended |= end
            self._changed.notify_all()

    @property
    def output(self) -> str:
        """All that was written so far."""
        return '\n'.join(self.lines)

    def wait_for(self, pattern: str, count: int = 1) -> Any:
        """Wait until so many lines match; return the node itself."""

        def seen() -> bool:
            return sum(bool(re.search(pattern, line)) for line in self.lines) >= count

        with self._changed:
            self._changed.wait_for(lambda: seen() or self._ended, TIMEOUT)
            assert seen(), f'no {pattern!r} in:\n{self.output}'
        return self


class Process(Output):
    """A node in a process of its own, whose output is collected."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding='utf-8',
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._write(line.rstrip())
        self._write(end=True)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_mapped(self, library: str) -> None:
        """Wait until the process has loaded a library, whose name says what it is doing."""
        end = time.monotonic() + TIMEOUT
        while library not in Path(f'/proc/{self.pid}/maps').read_text():
            assert self.is_alive, self.output
            assert time.monotonic() < end, f'{library} was not loaded'
            time.sleep(0.001)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        try:
            code = self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            pytest.fail(f'did not end:\n{self.output}')
        self._reader.join()
        return code

    def end(self) -> None:
        """End the process as Ctrl-C does, whatever it is doing."""
        if self.is_alive:
            self.interrupt()
            self.wait()


class Inside(Output):
    """A tracker on a thread of the test's process, as `main` runs it; its log is collected."""

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__()
        self._context = Context()
        domain = int(os.environ['ROS_DOMAIN_ID'])
        rclpy.init(args=['--ros-args', *arguments], context=self._context, domain_id=domain)
        self._executor = NodeExecutor(context=self._context)
        self._failure: Optional[Exception] = None
        self._log = rcutils_logger._rclpy.rclpy_logging_rcutils_log
        patched = mock.patch.object(
            rcutils_logger._rclpy, 'rclpy_logging_rcutils_log', self._collect
        )
        patched.start()
        self._thread = threading.Thread(target=self._run, args=[patched.stop], daemon=True)
        self._thread.start()

    def _collect(self, severity: Any, name: str, message: str, *place: Any) -> None:
        self._log(severity, name, message, *place)
        if not name.endswith('peer'):
            level = LoggingSeverity(severity).name
            self._write(*f'[{level}] [{time.time():.9f}] [{name}]: {message}'.splitlines())

    def _run(self, restore: Callable[[], None]) -> None:
        try:
            with until_shutdown(self._context):
                tracker = tracker_node.TrackerNode(context=self._context)
                tracker_node.run(tracker, self._executor)
        except Exception as error:  # noqa: BLE001 - it is raised again at the end
            self._failure = error
        finally:
            self._executor.shutdown()
            self._context.try_shutdown()
            restore()
            self._write(end=True)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """End the node as Ctrl-C does, by the end of ROS."""
        self._context.try_shutdown()
        self._thread.join(TIMEOUT)
        assert not self.is_alive, f'did not end:\n{self.output}'
        if self._failure is not None:
            raise self._failure


Start = Callable[..., Union[Process, Inside]]


def ros_arguments(parameters: Mapping[str, object]) -> list[str]:
    """Return the arguments that set parameters; `__` in a name stands for a dot."""
    dotted = {name.replace('__', '.'): value for name, value in parameters.items()}
    return node_process.ros_arguments(dotted)


@contextmanager
def starting(inside: bool) -> Iterator[Start]:
    """Yield a function that starts nodes, which end with the block; trackers may run inside."""
    started: list[Union[Process, Inside]] = []

    def start(node: str, *arguments: str, **parameters: object) -> Union[Process, Inside]:
        given = [*arguments, *ros_arguments(parameters)]
        if inside and node == 'tracker_node':
            started.append(Inside(given))
        else:
            command = [sys.executable, '-m', 'persontrack_ros.ros', node, '--ros-args', *given]
            started.append(Process(command))
        return started[-1]

    try:
        yield start
    finally:
        # The last one first, whose log the one before it gets, too.
        for each in reversed(started):
            each.end()
    for each in started:
        assert 'Traceback' not in each.output, each.output


class Rig:
    """A tracker and a peer that one executor spins, without a thread."""

    def __init__(self, **parameters: object) -> None:
        self.context = Context()
        arguments = ['--ros-args', *ros_arguments(parameters)]
        domain = int(os.environ['ROS_DOMAIN_ID'])
        rclpy.init(context=self.context, args=arguments, domain_id=domain)
        self.executor = NodeExecutor(context=self.context)
        self.tracker = tracker_node.TrackerNode(context=self.context)
        self.peer = Node('peer', context=self.context, use_global_arguments=False)
        for node in (self.tracker, self.peer):
            self.executor.add_node(node)
        self.publishers: dict[str, Any] = {}
        self.tracks = self.hear(Detection2DArray, 'tracks')
        self._seconds = 1000.0

    def close(self) -> None:
        self.tracker.destroy_node()
        self.peer.destroy_node()
        self.executor.shutdown()
        rclpy.try_shutdown(context=self.context)

    def change(self, *transitions: str, result: Any = TransitionCallbackReturn.SUCCESS) -> None:
        for each in transitions:
            assert getattr(self.tracker, f'trigger_{each}')() == result

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end
            self.executor.spin_once(timeout_sec=0.02)

    def hear(self, kind: type, topic: str, quality: Union[int, QoSProfile] = 100) -> list[Any]:
        """Return a list that gets the messages of a topic."""
        messages: list[Any] = []
        self.peer.create_subscription(kind, topic, messages.append, quality)
        return messages

    def advertise(self, **topics: type) -> None:
        """Make publishers, by the names of their topics."""
        self.publishers |= {
            topic: self.peer.create_publisher(kind, topic, 10) for topic, kind in topics.items()
        }

    def activate(self, *transitions: str) -> None:
        """Activate the tracker by transitions; then it and the peer know each other's topics."""
        self.change(*transitions)
        for each in self.publishers.values():
            self.until(each.get_subscription_count)
        self.until(lambda: self.peer.count_publishers('tracks'))
        wait_until_known_by('person_tracker', self.peer, self.until)

    def header(self, seconds: float = 0.1) -> Header:
        """Return the header of the next frame, some time after the last one."""
        self._seconds += seconds
        return Header(frame_id='lens', stamp=stamp(self._seconds))

    def call(self, name: str) -> Any:
        """Call a service of the tracker."""
        client = self.peer.create_client(Trigger, f'person_tracker/{name}')
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        assert future.result().success, future.result().message


def found(header: Header, *boxes: Sequence[float], class_id: str = 'person') -> Detection2DArray:
    """Return detections; each is left, top, width, height, score."""
    message = Detection2DArray(header=header)
    for left, top, width, height, score in boxes:
        detection = Detection2D(header=header)
        centre = detection.bbox.center.position
        centre.x, centre.y = left + width / 2, top + height / 2
        detection.bbox.size_x, detection.bbox.size_y = float(width), float(height)
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, score
        detection.results.append(result)
        message.detections.append(detection)
    return message


def pixels(message: Image) -> np.ndarray:
    """Return the pixels of a message, which has three colours."""
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def stamp(seconds: float) -> Time:
    """Return a time as a stamp."""
    whole, part = divmod(round(seconds * 1e9), 10**9)
    return Time(sec=whole, nanosec=part)
