"""The messages of a bag for a replay, each image when the one before it is tracked."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Optional

from rclpy.context import Context
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.interfaces import Connection
from sensor_msgs.msg import CompressedImage, Image

from persontrack_ros.bags.images import make_image, message_to_bgr
from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.types import COMPRESSED_IMAGE, TRACKS, deserialise, serialise, stamp_of
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.ros.discovery import TrackerAnswers


class BagMessages(Node):
    """Publishes the messages of a bag, compressed images as Image, and no tracks."""

    def __init__(
        self, path: Path, image_topic: Optional[str], max_frames: int, context: Context
    ) -> None:
        """
        Open the bag and create the publishers.

        :param image_topic: of the tracker; None where there is only one.
        :param max_frames: end after this number of images; 0: never.
        :raises SourceError: if the bag cannot be read, or does not have the images.
        """
        super().__init__('bag_messages', context=context)
        self._max_frames = max_frames
        self._bag = BagReader(path, self.get_logger().warning)
        self._images = self._bag.choose_image_topic(image_topic)
        self._outputs = {
            topic.id: publisher
            for topic in self._bag.connections
            if topic.msgtype != TRACKS and (publisher := self._create(topic))
        }
        self._tracker = TrackerAnswers(self, self._outputs[self._images.id])

    @property
    def image_topic_name(self) -> str:
        """The topic of the images that the tracker is given, as it is published."""
        return self._outputs[self._images.id].topic_name

    def publish_all(self) -> int:
        """Publish the messages until the bag or ROS ends; return the number of images."""
        self._tracker.wait_until_connected()
        published = 0
        names = {one.topic for one in self._bag.connections if one.id in self._outputs}
        for topic, _, data in self._bag.messages(names):
            if not self.context.ok():
                break
            published += self._publish(topic, data)
            if published and published == self._max_frames:
                break
        return published

    def destroy_node(self) -> None:
        """Close the bag and destroy the node."""
        self._bag.close()
        super().destroy_node()

    def _create(self, topic: Connection) -> Optional[Publisher]:
        """Create a publisher for a topic of the bag, if its type is installed."""
        kind = _find_type(topic.msgtype)
        if kind is None:
            return None
        name = topic.topic
        if kind is CompressedImage:
            kind, name = Image, name.removesuffix('/compressed')
        # This fits every subscription.
        qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        return self.create_publisher(kind, name, qos)

    def _publish(self, topic: Connection, data: bytes) -> bool:
        """Publish a message; return whether it is an image for the tracker."""
        message = bytes(data)
        if topic.msgtype == COMPRESSED_IMAGE:
            try:
                compressed = deserialise(data, COMPRESSED_IMAGE)
                image = make_image(message_to_bgr(compressed), compressed.header)
            except PersontrackError as error:
                self.get_logger().warning(f'image on {topic.topic} is left out: {error}')
                return False
            message = bytes(serialise(image))
        if topic.id == self._images.id:
            self._tracker.publish(message, stamp_of(data))
            return True
        self._outputs[topic.id].publish(message)
        return False


def _find_type(name: str) -> Optional[type]:
    package, _, kind = name.partition('/')
    try:
        module = importlib.import_module(f'{package}.{kind.partition("/")[0]}')
        return getattr(module, name.rpartition('/')[2])
    except (ImportError, AttributeError):
        return None
