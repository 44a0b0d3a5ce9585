"""Publishing images only as fast as the tracker answers, so that none is dropped."""

from __future__ import annotations

import threading
import time
from typing import Any, Union

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.ros.discovery import Introduction, publishers_of

# How long one image may take before the publisher goes on without its tracks, in seconds.
_ANSWER_TIMEOUT = 20.0
_POLL = 0.02


class TrackerAnswers:
    """The tracks that answer the images of a publisher; another thread must spin the node."""

    def __init__(self, node: Node, publisher: Publisher) -> None:
        """Subscribe to ``tracks``."""
        self._node = node
        self._publisher = publisher
        self._answered = threading.Event()
        self._awaited = 0
        self._count = 0
        self._tracks = node.create_subscription(
            Detection2DArray, 'tracks', self._on_tracks, QoSProfile(depth=10)
        )

    @property
    def topic_name(self) -> str:
        """The full name of the topic of the tracks."""
        return self._tracks.topic_name

    def wait_until_connected(self) -> None:
        """
        Wait until a node subscribes to the images and publishes tracks, or ROS ends.

        Each publisher of tracks has discovered us then: no image and no tracks are missed.
        """
        trackers: list[str] = []
        while self._node.context.ok() and not (
            trackers and self._publisher.get_subscription_count()
        ):
            self._node.get_logger().info('waiting for the tracker', once=True)
            time.sleep(_POLL)
            trackers = publishers_of(self._node, self._tracks.topic_name)
        for tracker in trackers:
            introduction = Introduction(self._node, tracker)
            while self._node.context.ok() and not introduction.is_done():
                time.sleep(_POLL)
            introduction.close()

    def publish(self, message: Union[Any, bytes], stamp: int) -> None:
        """
        Publish an image and wait for its tracks; go on with a warning if they do not come.

        :param stamp: of the image, in nanoseconds.
        """
        self._count += 1
        self._awaited = stamp
        self._answered.clear()
        self._publisher.publish(message)
        end = time.monotonic() + _ANSWER_TIMEOUT
        while self._node.context.ok() and not self._answered.wait(0.2):
            if time.monotonic() > end:
                self._node.get_logger().warning(
                    f'no tracks for image {self._count} after {_ANSWER_TIMEOUT:.0f} s, going on'
                )
                return

    def _on_tracks(self, message: Detection2DArray) -> None:
        if stamp_to_nanoseconds(message.header) == self._awaited:
            self._answered.set()
