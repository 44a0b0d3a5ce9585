"""
A driver of a camera for ``persontrack benchmark transport``: how its images get to the node.

Prints JSON. It is a process of its own, because a middleware reads its configuration once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import rclpy
from rcl_interfaces.srv import GetParameterTypes
from rclpy.qos import ReliabilityPolicy

from persontrack_ros.benchmark.measure import DRIVER_RATES, images_of, percentiles
from persontrack_ros.core.errors import PersontrackError
from persontrack_ros.core.images import BgrImage
from persontrack_ros.core.memory import keep_freed_memory
from persontrack_ros.ros.discovery import Introduction
from persontrack_ros.ros.shared_memory import FOLDER
from persontrack_ros.ros.tools.benchmark import Camera

_SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))
_NODE = 'person_tracker'
_TIMEOUT = 60.0
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


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the driver."""
    parser = argparse.ArgumentParser()
    parser.add_argument('video')
    parser.add_argument('reliability', choices=('reliable', 'best_effort'))
    parser.add_argument('count', type=int)
    parser.add_argument('node', type=int, help='its process')
    options = parser.parse_args(arguments)
    keep_freed_memory()
    rclpy.init(args=[])
    try:
        driver = Driver(ReliabilityPolicy[options.reliability.upper()])
        result = driver.measure(options.video, options.count)
        result['shared_memory_mib'] = shared_memory((os.getpid(), options.node))
    except PersontrackError as error:
        print(f'persontrack: error: {error}', file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    print(json.dumps(result))
    return 0


if __name__ == '__main__':
    sys.exit(main())
