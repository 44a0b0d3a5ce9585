"""Several cameras in one node, against as many nodes: ``persontrack benchmark cameras``."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from persontrack_ros.benchmark.budget import Budget
from persontrack_ros.benchmark.measure import (
    SEVERAL_RATE,
    SEVERAL_SIZE,
    Usage,
    cpu_time,
    images_of,
    memory_together,
    percentiles,
)
from persontrack_ros.core.errors import PersontrackError
from persontrack_ros.core.images import BgrImage
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.tools.arrivals import Arrivals, spin_until
from persontrack_ros.ros.tools.node_process import NodeProcess

# Images that are kept in memory.
_IMAGES = 100
_START_TIMEOUT = 120.0
_PAUSE = 0.1
# Seconds that do not count yet, and those to receive the last tracks.
_WARM_UP = 3
_REST = 2.0
# What each measurement takes besides, to start the nodes above all, and how long it is at least.
_OVERHEAD = 10.0
_LEAST_SECONDS = 3.0


class Cameras:
    """
    Publishes images as several cameras do, each in its namespace, and receives the tracks.

    :ivar arrivals: when the tracks came.
    """

    def __init__(self, names: Sequence[str], images: Sequence[BgrImage]) -> None:
        """Connect to nobody yet."""
        self.node = Node('benchmark', start_parameter_services=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        # Reliable: what is not tracked was left out by its node, and not lost on the way.
        self._publishers = {
            name: self.node.create_publisher(Image, f'{name}/image_raw', QoSProfile(depth=1))
            for name in names
        }
        self._messages = [bgr_to_image(image, Header(frame_id='camera')) for image in images]
        self.arrivals = Arrivals(self.node, names)

    def wait_for(self, nodes: Sequence[NodeProcess]) -> None:
        """
        Publish until each camera was answered.

        :raises PersontrackError: if a node ends or does not answer.
        """
        end = time.monotonic() + _START_TIMEOUT
        while silent := [name for name, got in self.arrivals.latencies.items() if not got]:
            if any(node.ended for node in nodes) or time.monotonic() > end:
                raise PersontrackError(f'no tracks from {" and ".join(silent)}, see above')
            for name in silent:
                self._publish(name, 0)
            spin_until(self._executor, time.monotonic() + _PAUSE)

    def run(self, seconds: int, budget: Budget) -> dict[str, list[int]]:
        """
        Publish at the rate of cameras, one after the other, unless Ctrl-C comes.

        :returns: the stamps of each camera.
        """
        names = list(self._publishers)
        stamps: dict[str, list[int]] = {name: [] for name in names}
        start = time.monotonic()
        for turn in range(seconds * SEVERAL_RATE * len(names)):
            if budget.interrupted:
                break
            spin_until(self._executor, start + turn / (SEVERAL_RATE * len(names)))
            number, camera = divmod(turn, len(names))
            # Each is elsewhere in the video.
            number += camera * len(self._messages) // len(names)
            stamps[names[camera]].append(self._publish(names[camera], number))
        return stamps

    def rest(self) -> None:
        """Receive what is still on its way."""
        spin_until(self._executor, time.monotonic() + _REST)

    def _publish(self, name: str, number: int) -> int:
        """Send an image; return its stamp."""
        message = self._messages[number % len(self._messages)]
        stamp = time.time_ns()
        message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
        self._publishers[name].publish(message)
        return stamp


def _processes(names: Sequence[str], values: dict[str, Any], together: bool) -> list[NodeProcess]:
    """Start one node for all cameras, or a node for each."""
    # What they say is no part of the results.
    options = {'arguments': ('--log-level', 'warn'), 'stdout': sys.stderr}
    if together:
        return [NodeProcess('cameras_node', {**values, 'cameras': ' '.join(names)}, **options)]
    return [NodeProcess('tracker_node', values, [f'__ns:=/{name}'], **options) for name in names]


def measure(
    names: Sequence[str],
    images: Sequence[BgrImage],
    values: dict[str, Any],
    seconds: int,
    together: bool,
    budget: Budget,
) -> dict[str, Any]:
    """Measure some cameras, all in one node or each in its own; nothing if Ctrl-C comes."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(each) for each in _processes(names, values, together)]
        cameras = Cameras(names, images)
        stack.callback(cameras.node.destroy_node)
        cameras.wait_for(nodes)
        cameras.run(_WARM_UP, budget)
        processes = [node.process.pid for node in nodes]
        before, began = sum(map(cpu_time, processes)), Usage.now()
        stamps = cameras.run(seconds, budget)
        cpu, used = sum(map(cpu_time, processes)) - before, Usage.now() - began
        memory = memory_together(processes)
        cameras.rest()
    if budget.interrupted:
        return {}
    latencies = [
        [answered[stamp] for stamp in stamps[name] if stamp in answered]
        for name, answered in cameras.arrivals.latencies.items()
    ]
    tracked = [len(each) for each in latencies]
    return {
        'sent': [len(each) for each in stamps.values()],
        'tracked': tracked,
        'images_per_s': sum(tracked) / used.wall,
        **percentiles(list(itertools.chain(*latencies))),
        'cpu_ms_per_image': 1e3 * cpu / sum(tracked),
        'cores': cpu / used.wall,
        'others_cores': (used.machine - used.cpu - cpu) / used.wall,
        'memory_mb': memory,
        'least_to_mean': min(tracked) * len(tracked) / sum(tracked),
    }


def measure_cameras(
    video: str, values: dict[str, Any], budget: Budget, seconds: int, *counts: int
) -> dict[str, Any]:
    """Measure each number of cameras, in one node and in as many."""
    images = images_of(video, SEVERAL_SIZE, _IMAGES)
    results: dict[str, Any] = {}
    ways = list(itertools.product(counts, ('one', 'many')))
    for number, (count, nodes) in enumerate(budget.steps('cameras', ways, len(ways))):
        names = [f'camera{number}' for number in range(1, count + 1)]
        left = budget.share(len(ways) - number).seconds - _OVERHEAD
        measured = round(min(seconds, max(_LEAST_SECONDS, left)))
        result = measure(names, images, values, measured, nodes == 'one', budget)
        if result:
            results.setdefault(str(count), {})[nodes] = result
    # One is nothing without the other.
    return {count: both for count, both in results.items() if len(both) > 1}
