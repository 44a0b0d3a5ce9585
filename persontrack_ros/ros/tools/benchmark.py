"""
The part of ``persontrack benchmark`` that needs ROS: the node from outside.

Prints JSON. This process publishes images and receives tracks; the node is another one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Optional

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tqdm import tqdm
from vision_msgs.msg import Detection2DArray

from persontrack_ros.benchmark.measure import (
    CAMERA_RATE,
    cpu_time,
    images_of,
    memory,
    paced,
    peak_memory,
    percentiles,
)
from persontrack_ros.benchmark.worker import Worker
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.ros.compat import local_discovery
from persontrack_ros.ros.discovery import own_domain
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.memory import keep_freed_memory
from persontrack_ros.ros.tools.node_process import NodeProcess

SIZES = ((640, 480), (768, 576), (1920, 1080))

# Images of each size that are kept in memory.
_IMAGES = 40
_WARM_UP = 15
_START_TIMEOUT = 120.0
# An image without tracks after this time is counted as missed.
_MISSED_AFTER = 2.0
_PAUSE = 0.02
_IDLE_TIME = 5.0
# Overload: images come at this many times the rate that is possible, for this time.
_OVERLOAD = 3
_OVERLOAD_TIME = 6.0
# The node publishes its count once a second.
_COUNT_TIMEOUT = 20.0


class Camera:
    """Publishes images as a camera does, and receives their tracks."""

    def __init__(self, reliability: ReliabilityPolicy = ReliabilityPolicy.BEST_EFFORT) -> None:
        """Create the node; `reliability` is what the images are offered with."""
        self.node = Node('benchmark')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        offered = QoSProfile(depth=1, reliability=reliability)
        self._publisher = self.node.create_publisher(Image, 'image_raw', offered)
        self.node.create_subscription(
            Detection2DArray, 'tracks', self._on_tracks, QoSProfile(depth=100)
        )
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, QoSProfile(depth=10)
        )
        # As the node counts them, of each of its diagnostics.
        self._dropped: list[int] = []
        self.sent: dict[int, float] = {}
        self.answered: dict[int, float] = {}
        # How long the middleware took to take each image, in seconds.
        self.publishing: list[float] = []

    def _on_tracks(self, message: Detection2DArray) -> None:
        self.answered[stamp_to_nanoseconds(message.header)] = time.perf_counter()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {each.key: each.value for each in status.values}
            if 'dropped' in values:
                self._dropped.append(int(values['dropped']))

    def publish(self, image: BgrImage, stamp: Optional[int] = None) -> int:
        """Send an image with a stamp in nanoseconds, by default the time; return it."""
        began = time.perf_counter()
        stamp = time.time_ns() if stamp is None else stamp
        header = Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id='camera')
        message = bgr_to_image(image, header)
        filled = time.perf_counter()
        self._publisher.publish(message)
        self.publishing.append(time.perf_counter() - filled)
        self.sent[stamp] = began
        return stamp

    def spin_until(self, condition: Callable[[], Any], timeout: float) -> bool:
        """Receive tracks until something holds; return whether it does."""
        end = time.perf_counter() + timeout
        while not condition():
            left = end - time.perf_counter()
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.1))
        return True

    def rest(self, seconds: float) -> None:
        """Receive tracks for some time."""
        self.spin_until(lambda: False, seconds)

    def count_dropped(self) -> int:
        """
        Return how many images the node counts as dropped by now.

        :raises PersontrackError: if it publishes no diagnostics.
        """
        known = len(self._dropped)
        # The first one may be older than this call.
        if not self.spin_until(lambda: len(self._dropped) >= known + 2, _COUNT_TIMEOUT):
            raise PersontrackError('the node publishes no diagnostics')
        return self._dropped[-1]

    def latency(self, stamp: int) -> float:
        """Return the seconds from before the message was filled to the tracks received."""
        return self.answered[stamp] - self.sent[stamp]

    def track(self, image: BgrImage, stamp: Optional[int] = None) -> Optional[float]:
        """Send an image and wait for its tracks; return the latency, None if there were none."""
        stamp = self.publish(image, stamp)
        arrived = self.spin_until(lambda: stamp in self.answered, _MISSED_AFTER)
        return self.latency(stamp) if arrived else None

    def wait_for_node(self, node: NodeProcess, image: BgrImage) -> float:
        """
        Publish an image again and again until it is answered; return when that was.

        :raises PersontrackError: if the node ends or does not answer.
        """
        end = time.perf_counter() + _START_TIMEOUT
        seen = len(self.answered)
        while len(self.answered) == seen:
            if node.ended or time.perf_counter() > end:
                raise PersontrackError('the node does not answer, see above')
            if self._publisher.get_subscription_count():
                self.publish(image)
            self.rest(_PAUSE)
        return time.perf_counter()


@contextmanager
def running(
    values: dict[str, Any], environment: Optional[dict[str, str]] = None
) -> Iterator[NodeProcess]:
    """Run the node, by default in this environment."""
    # Its log is no part of the results.
    with NodeProcess('tracker_node', values, stdout=sys.stderr, env=environment) as node:
        yield node


def measure_sizes(video: str, values: dict[str, Any], rounds: int, frames: int) -> dict[str, Any]:
    """
    Measure the node and the pipeline alone at each size of images, in turns.

    Both get the same images at the rate of a camera: a processor that was idle is slower for a
    while, and that is not the node's doing.
    """
    results = {}
    for size in SIZES:
        name = 'x'.join(map(str, size))
        began = time.perf_counter()
        camera = Camera()
        stream = iter(VideoSource(video, SourceOptions(loop=True, width=size[0], height=size[1])))
        with running(values) as node, Worker('default', values, video, size) as worker:
            started = camera.wait_for_node(node, images_of(video, size, 1)[0]) - began
            worker.run(_WARM_UP)
            # The stamps go on as in the video: with others, the tracker has something else to do.
            start = time.time_ns()
            for frame in itertools.islice(stream, _WARM_UP):
                camera.track(frame.image, start + frame.stamp)
            there: list[float] = []
            alone: list[float] = []
            differences = []
            missed = 0
            cpu = 0.0
            for _ in tqdm(range(rounds), name):
                chunk = worker.run(frames, period=1 / CAMERA_RATE)
                before = cpu_time(node.process.pid)
                latencies = []
                for frame in paced(itertools.islice(stream, frames), 1 / CAMERA_RATE):
                    latency = camera.track(frame.image, start + frame.stamp)
                    if latency is None:
                        missed += 1
                    else:
                        latencies.append(latency)
                cpu += cpu_time(node.process.pid) - before
                there += latencies
                alone += chunk.latencies
                differences.append(np.median(latencies) - np.median(chunk.latencies))
            results[name] = {
                'start_s': started,
                'node': percentiles(there),
                'pipeline': percentiles(alone),
                'node_minus_pipeline_ms': 1e3 * float(np.median(differences)),
                'cpu_ms_per_frame': 1e3 * cpu / (rounds * frames),
                'images': rounds * frames,
                'missed': missed,
                'peak_memory_mb': peak_memory(node.process.pid),
            }
        camera.node.destroy_node()
    return results


def measure_idle(video: str, values: dict[str, Any]) -> dict[str, Any]:
    """Measure an active node without images, and the cost of drawing for a subscriber."""
    images = images_of(video, SIZES[1], _IMAGES)
    camera = Camera()
    with running(values) as node:
        camera.wait_for_node(node, images[0])
        camera.rest(1.0)
        before, began = cpu_time(node.process.pid), time.perf_counter()
        time.sleep(_IDLE_TIME)
        idle = (cpu_time(node.process.pid) - before) / (time.perf_counter() - began)

        def cost() -> float:
            before = cpu_time(node.process.pid)
            for image in images:
                camera.track(image)
            return 1e3 * (cpu_time(node.process.pid) - before) / len(images)

        cost()
        without = cost()
        drawn: list[Image] = []
        # Reliable, so that each image is received, and counted.
        camera.node.create_subscription(
            Image, 'annotated_image', lambda message: drawn.append(message), QoSProfile(depth=5)
        )
        camera.rest(1.0)
        drawn.clear()
        with_subscriber = cost()
    camera.node.destroy_node()
    return {
        'idle_cpu_percent': 100 * idle,
        'cpu_ms_per_frame_without_subscriber': without,
        'cpu_ms_per_frame_with_subscriber': with_subscriber,
        'annotated_images': len(drawn),
    }


def measure_overload(video: str, values: dict[str, Any]) -> dict[str, Any]:
    """Measure the node when images come faster than it can work."""
    images = images_of(video, SIZES[1], _IMAGES)
    camera = Camera()
    with running(values) as node:
        camera.wait_for_node(node, images[0])
        normal = [camera.track(image) for image in images]
        processing = float(np.median([latency for latency in normal if latency is not None]))
        dropped_before = camera.count_dropped()
        memory_before = memory(node.process.pid)
        period = processing / _OVERLOAD
        sent: list[int] = []
        due = time.perf_counter()
        end = due + _OVERLOAD_TIME
        while due < end:
            sent.append(camera.publish(images[len(sent) % len(images)]))
            due += period
            camera.rest(max(0.0, due - time.perf_counter()))
        dropped_after = camera.count_dropped()
        latencies = [camera.latency(stamp) for stamp in sent if stamp in camera.answered]
        result = {
            'processing_ms': 1e3 * processing,
            'images_per_s': len(sent) / _OVERLOAD_TIME,
            'published': len(sent),
            'answered': len(latencies),
            'dropped': len(sent) - len(latencies),
            'dropped_by_its_count': dropped_after - dropped_before,
            **percentiles(latencies),
            'p50_in_processing_times': float(np.median(latencies)) / processing,
            'memory_before_mb': memory_before,
            'memory_after_mb': memory(node.process.pid),
        }
    camera.node.destroy_node()
    return result


def measure_node(video: str, values: dict[str, Any], rounds: int, frames: int) -> dict[str, Any]:
    """Measure a node with images of each size, without any, and with too many."""
    return {
        'sizes': measure_sizes(video, values, rounds, frames),
        'idle': measure_idle(video, values),
        'overload': measure_overload(video, values),
    }


@contextmanager
def alone() -> Iterator[None]:
    """Use ROS where neither a robot nearby nor another benchmark takes part."""
    with TemporaryDirectory() as logs, own_domain() as domain:
        os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_LOG_DIR=logs, **local_discovery())
        rclpy.init(args=[])
        try:
            yield
        finally:
            rclpy.try_shutdown()


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Measure the node."""
    parser = argparse.ArgumentParser()
    parser.add_argument('video')
    parser.add_argument('values', type=json.loads)
    parser.add_argument('amounts', type=int, nargs=2)
    options = parser.parse_args(arguments)
    # As our publishers do.
    keep_freed_memory()
    try:
        with alone():
            result = measure_node(options.video, options.values, *options.amounts)
    except PersontrackError as error:
        print(f'persontrack: error: {error}', file=sys.stderr)
        return 2
    print(json.dumps(result))
    return 0


if __name__ == '__main__':
    sys.exit(main())
