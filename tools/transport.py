#!/usr/bin/env python3
"""
Measure how a driver's images of up to 4K get to the node, by the middleware of ROS.

    scripts/env tools/transport.py vtest.avi

The middleware is configured as the environment says at neither of the two, at the node alone, or
at both. The driver is a process of its own, because a middleware reads its configuration once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import rclpy
from rcl_interfaces.srv import GetParameterTypes
from rclpy.qos import ReliabilityPolicy
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.benchmark.measure import images_of, percentiles
from persontrack_ros.cli.options import positive
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.ros.discovery import Introduction
from persontrack_ros.ros.memory import FOLDER, keep_freed_memory
from persontrack_ros.ros.tools.benchmark import Camera, alone, running

# Images per second: slow enough for the node, and faster than it can work.
DRIVER_RATES = (10, 60)
_SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))
_NODE = 'person_tracker'
_TIMEOUT = 60.0
# Variables that name the configuration of a middleware.
_CONFIGURATION = (
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'CYCLONEDDS_URI',
)
# Images before those that count, of the driver, as the node sees once a second what it offers, and
# of each size.
_FIRST = 15
_WARM_UP = 3
# Time to receive tracks even where publishing takes all of it, and after the last image; seconds.
_LEAST_REST = 0.005
_LAST_REST = 1.0


class Driver:
    """Publishes images at a given rate, and calls a service of the node meanwhile."""

    def __init__(self, reliability: ReliabilityPolicy) -> None:
        """
        Find the node.

        :raises PersontrackError: if there is none.
        """
        began = time.perf_counter()
        self._camera = Camera(reliability)
        introduction = Introduction(self._camera.node, _NODE)
        self._client = self._camera.node.create_client(
            GetParameterTypes, f'{_NODE}/get_parameter_types'
        )
        if not self._camera.spin_until(introduction.is_done, _TIMEOUT):
            raise PersontrackError('the node does not answer')
        # Until the node has answered a call: it knows this one then.
        self.discovery = time.perf_counter() - began

    def send(self, image: BgrImage, count: int, rate: float) -> dict[str, Any]:
        """Publish an image so many times; return what came of it, times in milliseconds."""
        camera = self._camera
        camera.publishing.clear()
        stamps, calls = [], []
        due = time.perf_counter()
        for _ in range(count):
            stamps.append(camera.publish(image))
            called = time.perf_counter()
            self._client.call_async(GetParameterTypes.Request()).add_done_callback(
                lambda _, called=called: calls.append(time.perf_counter() - called)
            )
            # One that is late is published at once, and the schedule starts from there.
            due = max(due + 1 / rate, time.perf_counter())
            camera.rest(max(_LEAST_REST, due - time.perf_counter()))
        camera.spin_until(lambda: camera.answered.keys() >= set(stamps), _LAST_REST)
        latencies = [camera.latency(stamp) for stamp in stamps if stamp in camera.answered]
        return {
            'sent': count,
            'tracked': len(latencies),
            'latency': percentiles(latencies) if latencies else None,
            'publishing': percentiles(camera.publishing),
            'call': percentiles(calls) if calls else None,
        }

    def measure(self, video: str, count: int) -> dict[str, Any]:
        """Measure each size of images at each rate."""
        sizes: dict[str, Any] = {}
        self.send(np.zeros((48, 64, 3), np.uint8), _FIRST, DRIVER_RATES[0])
        for size in _SIZES:
            (image,) = images_of(video, size, 1)
            self.send(image, _WARM_UP, DRIVER_RATES[0])
            rates = {str(rate): self.send(image, count, rate) for rate in DRIVER_RATES}
            sizes['x'.join(map(str, size))] = rates
        return {'discovery_s': self.discovery, 'sizes': sizes}


def shared_memory(processes: Iterable[int]) -> float:
    """Return what processes have of ``/dev/shm``, in MiB; source: proc(5), `maps`."""
    files = {
        Path(line.split(maxsplit=5)[5])
        for process in processes
        for line in Path(f'/proc/{process}/maps').read_text().splitlines()
        if f' {FOLDER}/' in line
    }
    return sum(file.stat().st_size for file in files if file.exists()) / 2**20


def drive(video: str, reliability: str, count: int, node: int) -> dict[str, Any]:
    """Run the driver; `node` is the process of the node."""
    keep_freed_memory()
    rclpy.init(args=[])
    try:
        result = Driver(ReliabilityPolicy[reliability.upper()]).measure(video, count)
        return {**result, 'shared_memory_mib': shared_memory((os.getpid(), node))}
    finally:
        rclpy.try_shutdown()


def measure(video: str, count: int, values: dict[str, Any]) -> dict[str, Any]:
    """Run the driver at each configuration and reliability, without re-identification."""
    ours = dict(os.environ)
    bare = {name: value for name, value in ours.items() if name not in _CONFIGURATION}
    environments = {'none': (bare, bare)}
    if ours != bare:
        environments |= {'node': (ours, bare), 'both': (ours, ours)}
    runs = []
    for configuration, (of_node, of_driver) in environments.items():
        with running({**values, 'reid.model': 'none'}, of_node) as node:
            camera = Camera()
            camera.wait_for_node(node, images_of(video, _SIZES[0], 1)[0])
            camera.node.destroy_node()
            for reliability in ('reliable', 'best_effort'):
                command = [sys.executable, __file__, video, '--count', str(count)]
                command += ['--drive', reliability, str(node.process.pid)]
                done = subprocess.run(command, env=of_driver, stdout=subprocess.PIPE, text=True)
                if done.returncode:
                    raise PersontrackError('the driver ended, see above')
                about = {'configuration': configuration, 'reliability': reliability}
                runs.append({**about, **json.loads(done.stdout)})
    middleware = get_rmw_implementation_identifier()
    return {'distribution': os.environ['ROS_DISTRO'], 'middleware': middleware, 'runs': runs}


def table(transport: dict[str, Any]) -> list[str]:
    """Return the results as text."""

    def times(summary: Optional[dict[str, float]]) -> str:
        return '-' if summary is None else f'{summary["p50_ms"]:.1f} {summary["p99_ms"]:5.1f}'

    above, header = f'{"":37}', f'{"configured":12}{"driver":13}{"image":12}'
    for rate in DRIVER_RATES:
        above += f'|{f"{rate} images per second":^48}'
        header += f'|{"tracked":>9}{"latency":>13}{"publishing":>13}{"a call":>13}'
    lines = [
        f'transport, ROS 2 {transport["distribution"]} with {transport["middleware"]}; times: p50 '
        'and p99 in ms',
        above,
        header,
    ]
    for run in transport['runs']:
        for size, rates in run['sizes'].items():
            line = f'{run["configuration"]:12}{run["reliability"]:13}{size:12}'
            for row in rates.values():
                tracked = f'{row["tracked"]} of {row["sent"]}'
                cells = (times(row[kind]) for kind in ('latency', 'publishing', 'call'))
                line += f'|{tracked:>9}' + ''.join(f'{cell:>13}' for cell in cells)
            lines.append(line)
        lines.append(
            f'found each other in {run["discovery_s"]:.2f} s; '
            f'{run["shared_memory_mib"]:.0f} MiB of /dev/shm'
        )
    return lines


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Measure, and print the table; or be the driver, and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('video')
    parser.add_argument('--count', type=positive, default=30, help='images of each size and rate')
    parser.add_argument('--drive', nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.drive:
            reliability, node = options.drive
            print(json.dumps(drive(options.video, reliability, options.count, int(node))))
            return 0
        with alone():
            print('\n'.join(table(measure(options.video, options.count, {}))))
    except PersontrackError as error:
        print(f'transport: error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
