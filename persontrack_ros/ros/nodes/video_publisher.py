"""The node ``video_publisher``: a webcam, stream, video file or folder as a camera topic."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Optional

from builtin_interfaces.msg import Time
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from persontrack_ros.core.base.errors import PersontrackError, SettingsError
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.config.node_options import PUBLISHER_PARAMETERS
from persontrack_ros.core.media.source import Frame, SourceOptions, VideoSource
from persontrack_ros.ros.discovery import TrackerAnswers
from persontrack_ros.ros.images import bgr_to_compressed, bgr_to_image
from persontrack_ros.ros.parameters import declare
from persontrack_ros.ros.process import ros, spinning

_QUALITY = 80


class VideoPublisher(Node):
    """Publishes the images of a source on ``image_raw``, and as JPEG if subscribed."""

    def __init__(self, **options: object) -> None:
        """
        Declare the parameters and open the source.

        :raises SettingsError: if a parameter is wrong.
        :raises SourceError: if the source cannot be read.
        """
        super().__init__('video_publisher', **options)
        for problem in declare(self, PUBLISHER_PARAMETERS, read_only=True).values():
            raise SettingsError(problem)
        values = {each.name: self.get_parameter(each.name).value for each in PUBLISHER_PARAMETERS}
        self._values = values
        names = ('flip', 'skip_frames', 'max_frames', 'width', 'height', 'loop')
        self._source = VideoSource(
            values['source'],
            SourceOptions(**{name: values[name] for name in names}),
            stopped=lambda: not self.context.ok(),
        )
        self._publisher = self._advertise(Image, 'image_raw')
        # As image_transport names it and compresses by default.
        compressed = f'{self.image_topic_name}/compressed'
        self._compressed = self._advertise(CompressedImage, compressed)
        self._tracker: Optional[TrackerAnswers] = None
        if values['wait_for_tracker']:
            self._tracker = TrackerAnswers(self, self._publisher)

    @property
    def image_topic_name(self) -> str:
        """The topic of the images."""
        return str(self._publisher.topic_name)

    def _advertise(self, kind: type, topic: str) -> Publisher:
        overriding = QoSOverridingOptions.with_default_policies()
        return self.create_publisher(
            kind, topic, QoSProfile(depth=1), qos_overriding_options=overriding
        )

    def publish_all(self) -> int:
        """
        Publish the images until the source or ROS ends.

        :returns: the number of images.
        :raises SourceError: if an image cannot be read.
        """
        with self._source:
            if self._tracker is not None:
                self._tracker.wait_until_connected()
            due, before, published = time.monotonic(), 0, 0
            for frame in self._source:
                if published:
                    # One that is late is published at once, and the schedule starts from there.
                    due = max(due + self._pause(frame.stamp - before), time.monotonic())
                    while self.context.ok() and (left := due - time.monotonic()) > 0:
                        time.sleep(min(left, 0.1))
                else:
                    due = time.monotonic()
                before = frame.stamp
                self._publish(frame)
                published += 1
        if self.context.ok():
            self.get_logger().info(f'{published} images published')
        return published

    def _publish(self, frame: Frame) -> None:
        stamp = Time(sec=frame.stamp // 1_000_000_000, nanosec=frame.stamp % 1_000_000_000)
        if self._values['stamps'] == 'clock':
            stamp = self.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=self._values['frame_id'])
        if self._compressed.get_subscription_count():
            self._compressed.publish(bgr_to_compressed(frame.image, header, _QUALITY))
        message = bgr_to_image(frame.image, header)
        if self._tracker is None:
            self._publisher.publish(message)
        else:
            self._tracker.publish(message, stamp_to_nanoseconds(header))
        self.get_logger().debug(f'image with the stamp {stamp_to_nanoseconds(header) / 1e9:.3f}')

    def _pause(self, own: int) -> float:
        """Return the seconds between two images, whose stamps differ by nanoseconds."""
        rate = self._values['rate']
        # A live source paces itself.
        if self._tracker is not None or (self._source.is_live and not rate):
            return 0.0
        return 1.0 / rate if rate else own / 1e9


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the node until its source ends; return 2 if the source or a parameter is wrong."""
    try:
        with ros(arguments) as executor:
            node = VideoPublisher()
            executor.add_node(node)
            with spinning(executor):
                node.publish_all()
    except PersontrackError as error:
        get_logger('video_publisher').fatal(str(error))
        return 2
    return 0
