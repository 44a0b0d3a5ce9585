#!/usr/bin/env python3
"""
Measure several cameras in one node, against as many nodes.

    scripts/env tools/cameras.py vtest.avi --cameras 1 2 4 8
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from arrivals import Arrivals, images_of, spin_until
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from persontrack_ros.benchmark.measure import cpu_time, percentiles, usage
from persontrack_ros.cli.options import positive
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.tools.node_process import NodeProcess, isolated

# Images that are kept in memory.
_IMAGES = 100
_START_TIMEOUT = 120.0
_PAUSE = 0.1
# Seconds that do not count yet, and those to receive the last tracks.
_WARM_UP = 3
_REST = 2.0
# Images per second of each camera, and their size.
RATE = 10
SIZE = (640, 480)


class Cameras:
    """
    Publishes images as several cameras do, each in its namespace, and receives the tracks.

    :ivar arrivals: when the tracks came.
    """

    def __init__(self, names: Sequence[str], images: Sequence[BgrImage]) -> None:
        """Start without connections."""
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
        """Publish until each camera was answered; raise a PersontrackError if a node ends."""
        end = time.monotonic() + _START_TIMEOUT
        while silent := [name for name, got in self.arrivals.latencies.items() if not got]:
            if any(node.ended for node in nodes) or time.monotonic() > end:
                raise PersontrackError(f'no tracks from {" and ".join(silent)}, see above')
            for name in silent:
                self._publish(name, 0)
            spin_until(self._executor, time.monotonic() + _PAUSE)

    def run(self, seconds: int) -> dict[str, list[int]]:
        """Publish at the rate of cameras, in turns; return the stamps of each camera."""
        names = list(self._publishers)
        stamps: dict[str, list[int]] = {name: [] for name in names}
        start = time.monotonic()
        for turn in range(seconds * RATE * len(names)):
            spin_until(self._executor, start + turn / (RATE * len(names)))
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
) -> dict[str, Any]:
    """Measure some cameras, all in one node or each in its own."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(each) for each in _processes(names, values, together)]
        cameras = Cameras(names, images)
        stack.callback(cameras.node.destroy_node)
        cameras.wait_for(nodes)
        cameras.run(_WARM_UP)
        processes = [node.process.pid for node in nodes]
        before, began = sum(map(cpu_time, processes)), usage()
        stamps = cameras.run(seconds)
        cpu = sum(map(cpu_time, processes)) - before
        wall, own, machine = (usage() - began).tolist()
        memory = memory_together(processes)
        cameras.rest()
    latencies = [
        [answered[stamp] for stamp in stamps[name] if stamp in answered]
        for name, answered in cameras.arrivals.latencies.items()
    ]
    tracked = [len(each) for each in latencies]
    return {
        'sent': [len(each) for each in stamps.values()],
        'tracked': tracked,
        'images_per_s': sum(tracked) / wall,
        **percentiles(list(itertools.chain(*latencies))),
        'cpu_ms_per_image': 1e3 * cpu / sum(tracked),
        'cores': cpu / wall,
        'others_cores': (machine - own - cpu) / wall,
        'memory_mb': memory,
        'least_to_mean': min(tracked) * len(tracked) / sum(tracked),
    }


def memory_together(processes: Iterable[int]) -> float:
    """Return the memory of processes, in which shared memory counts once; megabytes."""
    return (
        sum(
            int(line.split()[1])
            for process in processes
            for line in Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()
            if line.startswith('Pss:')
        )
        / 1024
    )


def table(cameras: dict[int, Any]) -> list[str]:
    """Return the results as text."""
    size = 'x'.join(map(str, SIZE))
    lines = [
        f'cameras, {RATE} images of {size} per second from each; CPU and MB of all nodes; '
        'shared memory counts once',
        f'{"cameras":>7}{"nodes":>7}{"images/s":>10}{"of":>4}{"p50":>9}{"p99":>8}{"CPU ms":>9}'
        f'{"cores":>7}{"MB":>7}{"least/mean":>12}{"others":>8}',
    ]
    for count, row in cameras.items():
        one, many = row['one'], row['many']
        for nodes, each in (('1', one), (count, many)):
            lines.append(
                f'{count:>7}{nodes:>7}{each["images_per_s"]:10.1f}{RATE * count:4}'
                f'{each["p50_ms"]:9.1f}{each["p99_ms"]:8.1f}{each["cpu_ms_per_image"]:9.1f}'
                f'{each["cores"]:7.2f}{each["memory_mb"]:7.0f}{each["least_to_mean"]:12.2f}'
                f'{each["others_cores"]:8.2f}'
            )
    return lines


def main() -> None:
    """Measure each number of cameras, in one node and in as many; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('video')
    parser.add_argument('--cameras', nargs='+', type=positive, default=[1, 2, 4, 8], metavar='N')
    parser.add_argument('--seconds', type=positive, default=15, metavar='S')
    options = parser.parse_args()
    images = images_of(options.video, SIZE, _IMAGES)
    results = {}
    with isolated():
        for count in options.cameras:
            names = [f'camera{number}' for number in range(1, count + 1)]
            results[count] = {
                nodes: measure(names, images, {}, options.seconds, nodes == 'one')
                for nodes in ('one', 'many')
            }
    print('\n'.join(table(results)))


if __name__ == '__main__':
    main()
