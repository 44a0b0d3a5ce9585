"""
Measure when the tracks of cameras arrive, by the stamps of their images.

``python tools/arrivals.py SECONDS CAMERA...`` prints `begin` when all cameras have been tracked
for a while (or after a minute), and after so many seconds the latencies of each as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from functools import partial

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.media.source import SourceOptions, VideoSource

_TIMEOUT = 60.0
_WARM_UP = 3.0


class Arrivals:
    """
    Receives tracks whose stamps are times of the system's clock.

    :ivar latencies: seconds from the stamp to the arrival, by camera and stamp in nanoseconds.
    """

    def __init__(self, node: Node, cameras: Iterable[str]) -> None:
        """
        Subscribe.

        :param cameras: namespaces of the trackers.
        """
        self.latencies: dict[str, dict[int, float]] = {camera: {} for camera in cameras}
        for camera, latencies in self.latencies.items():
            node.create_subscription(
                Detection2DArray,
                f'{camera}/tracks',
                partial(self._on_tracks, latencies),
                QoSProfile(depth=100),
            )

    def _on_tracks(self, latencies: dict[int, float], message: Detection2DArray) -> None:
        stamp = stamp_to_nanoseconds(message.header)
        latencies[stamp] = (time.time_ns() - stamp) / 1e9


def images_of(video: str, size: tuple[int, int], count: int) -> list[BgrImage]:
    """Return the first images of a video, scaled."""
    options = SourceOptions(width=size[0], height=size[1], max_frames=count)
    with VideoSource(video, options) as source:
        return [frame.image for frame in source]


def spin_until(executor: SingleThreadedExecutor, due: float) -> None:
    """Receive what comes until some time, of `time.monotonic`."""
    while (left := due - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument('seconds', type=float)
    parser.add_argument('cameras', nargs='+')
    options = parser.parse_args()
    rclpy.init(args=[])
    node, executor = Node('arrivals'), SingleThreadedExecutor()
    executor.add_node(node)
    latencies = Arrivals(node, options.cameras).latencies
    end = time.monotonic() + _TIMEOUT
    while not all(latencies.values()) and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    spin_until(executor, time.monotonic() + _WARM_UP)
    for each in latencies.values():
        each.clear()
    print('begin', flush=True)
    spin_until(executor, time.monotonic() + options.seconds)
    print(json.dumps({name: list(each.values()) for name, each in latencies.items()}))
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
