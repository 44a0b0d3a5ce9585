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
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from arrivals import images_of
from rclpy.qos import ReliabilityPolicy
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.benchmark.measure import percentiles
from persontrack_ros.cli.options import positive
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.ros.discovery import wait_until_known_by
from persontrack_ros.ros.memory import keep_freed_memory
from persontrack_ros.ros.tools.benchmark import Camera
from persontrack_ros.ros.tools.node_process import NodeProcess, isolated

# Images per second: slow enough for the node.
RATE = 10
_SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))
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


def send(camera: Camera, image: BgrImage, count: int) -> dict[str, Any]:
    """Publish an image so many times; return what came of it, times in milliseconds."""
    stamps = []
    due = time.perf_counter()
    for _ in range(count):
        stamps.append(camera.publish(image))
        # One that is late is published at once, and the schedule starts from there.
        due = max(due + 1 / RATE, time.perf_counter())
        camera.rest(max(_LEAST_REST, due - time.perf_counter()))
    camera.spin_until(lambda: camera.answered.keys() >= set(stamps), _LAST_REST)
    latencies = [camera.latency(stamp) for stamp in stamps if stamp in camera.answered]
    times = percentiles(latencies) if latencies else None
    return {'sent': count, 'tracked': len(latencies), 'latency': times}


def drive(video: str, reliability: str, count: int) -> dict[str, Any]:
    """Be the driver: publish images of each size."""
    keep_freed_memory()
    rclpy.init(args=[])
    try:
        camera = Camera(ReliabilityPolicy[reliability.upper()])

        def wait(condition: Callable[[], bool]) -> None:
            if not camera.spin_until(condition, _TIMEOUT):
                raise PersontrackError('the node does not answer')

        wait_until_known_by('person_tracker', camera.node, wait)
        send(camera, np.zeros((48, 64, 3), np.uint8), _FIRST)
        sizes = {}
        for size in _SIZES:
            (image,) = images_of(video, size, 1)
            send(camera, image, _WARM_UP)
            sizes['x'.join(map(str, size))] = send(camera, image, count)
        return sizes
    finally:
        rclpy.try_shutdown()


def measure(video: str, count: int) -> list[dict[str, Any]]:
    """Run the driver at each configuration and reliability, without re-identification."""
    ours = dict(os.environ)
    bare = {name: value for name, value in ours.items() if name not in _CONFIGURATION}
    environments = {'none': (bare, bare)}
    if ours != bare:
        environments |= {'node': (ours, bare), 'both': (ours, ours)}
    runs = []
    for configuration, (of_node, of_driver) in environments.items():
        values = {'reid.model': 'none'}
        with NodeProcess('tracker_node', values, stdout=sys.stderr, env=of_node) as node:
            camera = Camera()
            camera.wait_for_node(node, images_of(video, _SIZES[0], 1)[0])
            camera.node.destroy_node()
            for reliability in ('reliable', 'best_effort'):
                command = [sys.executable, __file__, video, '--count', str(count)]
                command += ['--drive', reliability]
                done = subprocess.run(command, env=of_driver, stdout=subprocess.PIPE, text=True)
                if done.returncode:
                    raise PersontrackError('the driver ended, see above')
                about = {'configuration': configuration, 'reliability': reliability}
                runs.append({**about, 'sizes': json.loads(done.stdout)})
    return runs


def table(runs: list[dict[str, Any]]) -> list[str]:
    """Return the results as text."""
    lines = [
        f'ROS 2 {os.environ["ROS_DISTRO"]} with {get_rmw_implementation_identifier()}, {RATE} '
        'images per second; latency: p50 and p99 in ms',
        f'{"configured":12}{"driver":13}{"image":12}{"tracked":>9}{"latency":>16}',
    ]
    for run in runs:
        for size, row in run['sizes'].items():
            tracked = f'{row["tracked"]} of {row["sent"]}'
            times = row['latency']
            latency = f'{times["p50_ms"]:9.1f}{times["p99_ms"]:7.1f}' if times else f'{"-":>16}'
            about = f'{run["configuration"]:12}{run["reliability"]:13}{size:12}'
            lines.append(f'{about}{tracked:>9}{latency}')
    return lines


def main() -> None:
    """Measure, and print the table; or be the driver, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('video')
    parser.add_argument('--count', type=positive, default=30, help='images of each size')
    parser.add_argument('--drive', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        print(json.dumps(drive(options.video, options.drive, options.count)))
        return
    with isolated():
        print('\n'.join(table(measure(options.video, options.count))))


if __name__ == '__main__':
    main()
