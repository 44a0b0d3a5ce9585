"""
The part of ``persontrack benchmark`` that needs ROS: the node from outside.

Prints JSON. This process publishes images and receives tracks; the node is another one.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.benchmark.measure import (
    CAMERA_RATE,
    cpu_time,
    paced,
    peak_memory,
    percentiles,
)
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.base.terminal import tqdm
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.memory import keep_freed_memory
from persontrack_ros.ros.tools.node_process import NodeProcess, isolated

SIZES = ((640, 480), (1920, 1080))

_WARM_UP = 15
_START_TIMEOUT = 120.0
# An image without tracks after this time is counted as missed.
_MISSED_AFTER = 2.0
_PAUSE = 0.02
# Between two rounds, for the threads of OpenVINO; seconds.
_REST = 0.1


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
        self.sent: dict[int, float] = {}
        self.answered: dict[int, float] = {}

    def _on_tracks(self, message: Detection2DArray) -> None:
        self.answered[stamp_to_nanoseconds(message.header)] = time.perf_counter()

    def publish(self, image: BgrImage, stamp: Optional[int] = None) -> int:
        """Send an image with a stamp in nanoseconds, by default the time; return it."""
        began = time.perf_counter()
        stamp = time.time_ns() if stamp is None else stamp
        header = Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id='camera')
        self._publisher.publish(bgr_to_image(image, header))
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

    def latency(self, stamp: int) -> float:
        """Return the seconds from before the message was filled to the tracks received."""
        return self.answered[stamp] - self.sent[stamp]

    def track(self, image: BgrImage, stamp: int) -> Optional[float]:
        """Send an image and wait for its tracks; return the latency, None if there were none."""
        self.publish(image, stamp)
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


def measure_node(
    video: str, values: dict[str, Any], size: tuple[int, int], rounds: int, frames: int
) -> dict[str, Any]:
    """
    Measure the node with images of a size, and the pipeline alone, in turns.

    Both get the same images at the rate of a camera: a processor that was idle is slower for a
    while, and that is not the node's doing. `receiving_ms` is the difference of their processor
    times, which is not the tracking.
    """
    camera = Camera()
    pipeline = Pipeline(Settings.from_values(values))
    options = SourceOptions(loop=True, width=size[0], height=size[1])
    with VideoSource(video, options) as source:
        stream = iter(source)
        first = next(stream)
        began = time.perf_counter()
        # Its log is no part of the results.
        with NodeProcess('tracker_node', values, stdout=sys.stderr) as node:
            process = node.process.pid
            started = camera.wait_for_node(node, first.image) - began
            # The stamps go on as in the video: with others, the tracker has something else to do.
            start = time.time_ns()

            def measure(count: int) -> tuple[list[float], list[float], float, float]:
                images = list(itertools.islice(stream, count))
                alone = []
                time.sleep(_REST)
                before = time.process_time()
                for frame in paced(images, 1 / CAMERA_RATE):
                    began = time.perf_counter()
                    pipeline.process(frame.image, frame.stamp)
                    alone.append(time.perf_counter() - began)
                own = time.process_time() - before
                time.sleep(_REST)
                before = cpu_time(process)
                there = [
                    camera.track(frame.image, start + frame.stamp)
                    for frame in paced(images, 1 / CAMERA_RATE)
                ]
                used = cpu_time(process) - before
                return alone, [latency for latency in there if latency is not None], own, used

            measure(_WARM_UP)
            turns = [measure(frames) for _ in tqdm(range(rounds), 'node, {}x{}'.format(*size))]
            there = [latency for _, latencies, *_ in turns for latency in latencies]
            apart = [np.median(near) - np.median(alone) for alone, near, *_ in turns]
            own, used = 1e3 * np.sum([turn[2:] for turn in turns], axis=0) / (rounds * frames)
            result = {
                'start_s': started,
                'node': percentiles(there),
                'pipeline': percentiles([latency for alone, *_ in turns for latency in alone]),
                'node_minus_pipeline_ms': 1e3 * float(np.median(apart)),
                'cpu_ms': float(used),
                'receiving_ms': float(used - own),
                'images': rounds * frames,
                'missed': rounds * frames - len(there),
                'peak_memory_mb': peak_memory(process),
            }
    camera.node.destroy_node()
    return result


def main() -> int:
    """Measure the node with images of each size, as the arguments say."""
    video, values, rounds, frames = sys.argv[1:]
    # As our nodes do.
    keep_freed_memory()
    use_one_thread_beside_inference()
    try:
        with isolated():
            results = {
                '{}x{}'.format(*size): measure_node(
                    video, json.loads(values), size, int(rounds), int(frames)
                )
                for size in SIZES
            }
    except PersontrackError as error:
        print(f'persontrack: error: {error}', file=sys.stderr)
        return 2
    print(json.dumps(results))
    return 0


if __name__ == '__main__':
    sys.exit(main())
