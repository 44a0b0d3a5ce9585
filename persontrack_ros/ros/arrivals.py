"""When the tracks of cameras arrive, by the stamps of their images."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from rclpy.node import Node
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.messages import stamp_to_nanoseconds


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
