"""The node ``bag_player``: the messages of a bag on their topics."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosbags.interfaces import Connection, QosDurability, QosReliability
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from persontrack_ros.bags.images import make_image, message_to_bgr
from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.types import COMPRESSED_IMAGE, TRACKS, deserialise, serialise, stamp_of
from persontrack_ros.core.errors import PersontrackError, SettingsError
from persontrack_ros.core.images.encodings import SampleRange
from persontrack_ros.core.parameters.settings import Parameter
from persontrack_ros.ros.answers import TrackerAnswers
from persontrack_ros.ros.parameters import declare
from persontrack_ros.ros.process import run_publisher

PARAMETERS = (
    Parameter('bag', '.', 'Folder of the bag, or one of its files (.mcap, .db3).'),
    Parameter('rate', 1.0, 'Times the speed.', minimum=0.001, maximum=1000.0),
    Parameter('loop', False, 'Start again at the end.'),
    Parameter(
        'clock',
        0.0,
        'How many times a second the time of the bag is published on /clock; 0: never.',
        minimum=0.0,
        maximum=1000.0,
    ),
    Parameter('topics', 'all', "Topics to publish, separated by spaces, or 'all'."),
    Parameter(
        'decode_images',
        False,
        'Publish compressed images as Image, on their topic without /compressed.',
    ),
    Parameter(
        'wait',
        True,
        'Begin when somebody subscribes to the images, or to anything if there are none.',
    ),
    Parameter(
        'wait_for_tracker',
        False,
        'Publish an image only when the tracks of the one before it have come, so that none is '
        'dropped; rate is not kept then, and tracks in the bag are left out.',
    ),
    Parameter(
        'image_topic',
        'auto',
        "Topic of the images that the tracker is given; 'auto': the only one.",
    ),
    Parameter(
        'max_frames',
        0,
        'End after this number of images of image_topic; 0: never.',
        minimum=0,
        maximum=2**31 - 1,
    ),
)

# Both sides find each other on their own, and what is sent before a subscriber has found us can be
# lost. In seconds.
_SETTLING_TIME = 0.5


class BagPlayer(Node):
    """Publishes the messages of a bag."""

    def __init__(self, **options: object) -> None:
        """
        Open the bag and create the publishers.

        :raises SettingsError: if a parameter is wrong.
        :raises SourceError: if the bag cannot be read, or has not the topics that are wanted.
        """
        self._bag: Optional[BagReader] = None
        super().__init__('bag_player', **options)
        problems = declare(self, PARAMETERS, read_only=True)
        for problem in problems.values():
            raise SettingsError(problem)
        values = {each.name: self.get_parameter(each.name).value for each in PARAMETERS}
        self._values = values
        self._bag = BagReader(Path(values['bag']), self.get_logger().warning)
        self._images: Optional[Connection] = None
        if values['wait_for_tracker'] or values['max_frames']:
            name = values['image_topic']
            self._images = self._bag.choose_image_topic(None if name == 'auto' else name)
        self._topic_publishers = self._create_publishers()
        self._samples = {number: SampleRange() for number in self._topic_publishers}
        self._clock = self.create_publisher(Clock, '/clock', 10) if values['clock'] else None
        self._next_tick = 0.0
        self._tracker: Optional[TrackerAnswers] = None
        if values['wait_for_tracker']:
            self._tracker = TrackerAnswers(self, self._topic_publishers[self._images.id])

    def publish_all(self) -> int:
        """
        Publish the messages until the bag or ROS ends.

        :returns: the number of messages; of images, if there is a topic of them to count.
        """
        if self._tracker is not None:
            self._tracker.wait_until_connected()
        elif self._values['wait']:
            self._wait_for_subscribers()
        published = self._publish_round()
        while self._values['loop'] and self.context.ok():
            published += self._publish_round()
        if self.context.ok():
            what = 'messages' if self._images is None else 'images'
            self.get_logger().info(f'{published} {what} published')
        return published

    @property
    def image_topic_name(self) -> str:
        """The topic of the images that the tracker is given, as it is published."""
        return self._topic_publishers[self._images.id].topic_name

    def destroy_node(self) -> None:
        """Close the bag and destroy the node."""
        if self._bag is not None:
            self._bag.close()
        super().destroy_node()

    def _publish_round(self) -> int:
        """Publish the messages once."""
        start = time.monotonic()
        first: Optional[int] = None
        published = 0
        names = {one.topic for one in self._bag.connections if one.id in self._topic_publishers}
        for topic, stamp, data in self._bag.messages(names):
            first = stamp if first is None else first
            if self._tracker is None:
                self._pass_time(start, first, stamp)
            if not self.context.ok():
                break
            self._tick(stamp)
            published += self._publish(topic, data)
            if published and published == self._values['max_frames']:
                break
        return published

    def _publish(self, topic: Connection, data: bytes) -> bool:
        """Publish a message; return whether it counts."""
        publisher = self._topic_publishers.get(topic.id)
        if publisher is None:
            return False
        message = bytes(data)
        if publisher.msg_type is Image and topic.msgtype == COMPRESSED_IMAGE:
            try:
                compressed = deserialise(data, COMPRESSED_IMAGE)
                pixels = message_to_bgr(compressed, self._samples[topic.id])
                image = make_image(pixels, compressed.header)
            except PersontrackError as error:
                self.get_logger().warning(f'image on {topic.topic} is left out: {error}')
                return False
            message = bytes(serialise(image))
        is_image = self._images is not None and topic.id == self._images.id
        if is_image and self._tracker is not None:
            self._tracker.ask(message, stamp_of(data))
        else:
            publisher.publish(message)
        return is_image or self._images is None

    def _pass_time(self, start: float, first: int, stamp: int) -> None:
        """Sleep until it is time for a message, and keep the clock going."""
        rate = self._values['rate']
        due = start + (stamp - first) / 1e9 / rate
        while self.context.ok():
            now = time.monotonic()
            if now >= due:
                return
            self._tick(first + int((now - start) * 1e9 * rate))
            time.sleep(min(due - now, 0.2, 1 / (self._values['clock'] or 5.0)))

    def _tick(self, stamp: int) -> None:
        """Publish the time of the bag, if that is due."""
        now = time.monotonic()
        if self._clock is not None and now >= self._next_tick:
            # A little early rather than every second time.
            self._next_tick = now + 0.9 / self._values['clock']
            sec, nanosec = divmod(stamp, 1_000_000_000)
            self._clock.publish(Clock(clock=Time(sec=sec, nanosec=nanosec)))

    def _wait_for_subscribers(self) -> None:
        """Wait until somebody listens to the images, or to anything if there are none."""
        images = [
            publisher
            for publisher in self._topic_publishers.values()
            if publisher.msg_type in (Image, CompressedImage)
        ]
        publishers = images or list(self._topic_publishers.values())
        while self.context.ok() and not any(one.get_subscription_count() for one in publishers):
            names = ', '.join(one.topic_name for one in publishers)
            self.get_logger().info(f'waiting for a subscriber of {names}', once=True)
            time.sleep(0.02)
        time.sleep(_SETTLING_TIME)

    def _create_publishers(self) -> dict[int, Publisher]:
        """Create a publisher for each topic that is wanted and can be published, by its number."""
        wanted = self._values['topics'].split()
        known = [one.topic for one in self._bag.connections]
        for name in wanted:
            if name not in known and wanted != ['all']:
                raise SettingsError(
                    f'{self._bag.path} has no topic {name}; its topics are {", ".join(known)}'
                )
        publishers = {}
        for topic in self._bag.connections:
            if topic.topic not in wanted and wanted != ['all']:
                continue
            if self._values['wait_for_tracker'] and topic.msgtype == TRACKS:
                self.get_logger().info(f'{topic.topic} is left out: the tracker makes new tracks')
                continue
            message_type = _find_type(topic.msgtype)
            if message_type is None:
                self.get_logger().warning(
                    f'{topic.topic} is left out: its type {topic.msgtype} is not installed'
                )
                continue
            name = topic.topic
            if message_type is CompressedImage and self._values['decode_images']:
                message_type, name = Image, name.removesuffix('/compressed')
            publishers[topic.id] = self.create_publisher(
                message_type,
                name,
                _qos_of(topic),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        if not publishers or (self._images is not None and self._images.id not in publishers):
            raise SettingsError(f'{self._bag.path}: there is nothing to publish')
        return publishers


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the node until its bag ends; return 2 if the bag or a parameter is wrong."""
    return run_publisher(BagPlayer, 'bag_player', arguments)


def _find_type(name: str) -> Optional[type]:
    package, _, kind = name.partition('/')
    try:
        module = importlib.import_module(f'{package}.{kind.partition("/")[0]}')
        return getattr(module, name.rpartition('/')[2])
    except (ImportError, AttributeError):
        return None


def _qos_of(topic: Connection) -> QoSProfile:
    """Return the QoS that the topic was recorded with, or else the usual one."""
    qos = QoSProfile(depth=10)
    for recorded in topic.ext.offered_qos_profiles[:1]:
        qos.depth = max(recorded.depth, 1)
        if recorded.reliability == QosReliability.BEST_EFFORT:
            qos.reliability = ReliabilityPolicy.BEST_EFFORT
        if recorded.durability == QosDurability.TRANSIENT_LOCAL:
            qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return qos
