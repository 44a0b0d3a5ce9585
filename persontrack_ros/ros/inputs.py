"""The subscriptions of the node: images and detections, joined by their stamps."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Optional
from typing import Union

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.encodings import decode_image
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.ros.images import image_to_bgr
from persontrack_ros.ros.options import DETECTIONS
from persontrack_ros.ros.options import IMAGE

# Messages of one topic that wait for those of the others.
WAITING = 30


@dataclass(frozen=True)
class Frame:
    """
    What belongs to one moment.

    :ivar received: when it was complete, by the clock of `time.monotonic`.
    """

    received: float
    image: Optional[Union[Image, CompressedImage]] = None
    detections: Optional[Detection2DArray] = None

    @property
    def header(self) -> Header:
        """The header of the image, or of the detections where there is none."""
        return (self.image or self.detections).header

    def decode(self) -> Optional[BgrImage]:
        """
        Convert the image to BGR, if there is one.

        :raises ImageError: if it is damaged or has an unknown encoding.
        """
        if isinstance(self.image, CompressedImage):
            return decode_image(self.image.data)
        return None if self.image is None else image_to_bgr(self.image)


class StampMatcher:
    """Joins messages of several topics that have exactly the same stamp."""

    def __init__(self, names: tuple[str, ...], emit: Callable[..., None]) -> None:
        """
        Begin empty.

        :param emit: called with one message by each of these names.
        """
        self._names = names
        self._emit = emit
        self._waiting: dict[int, dict[str, Any]] = {}
        self.unmatched = 0

    def add(self, name: str, message: Any) -> None:
        """Take a message; what is older than a complete set, or waits for too long, is dropped."""
        stamp = stamp_to_nanoseconds(message.header)
        messages = self._waiting.setdefault(stamp, {})
        messages[name] = message
        if len(messages) == len(self._names):
            # Older ones may be a part of time that went back: order of arrival is what counts.
            older = list(self._waiting).index(stamp)
            self.unmatched += older
            for each in list(self._waiting)[: older + 1]:
                del self._waiting[each]
            self._emit(**messages)
        elif len(self._waiting) > WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.unmatched += 1


class Inputs:
    """
    Subscribes to what the parameters `input` and `image_transport` name.

    :ivar subscriptions: all of them.
    """

    def __init__(
        self, node: Node, options: Mapping[str, Any], submit: Callable[[Frame], None]
    ) -> None:
        """
        Subscribe.

        :param submit: called with what belongs together.
        """
        self._node = node
        kinds: dict[str, tuple[type, str]] = {}
        if options['input'] != DETECTIONS:
            topic = node.resolve_topic_name('image_raw')
            if options['image_transport'] == 'compressed':
                # As image_transport does: who remaps the image remaps all of its transports.
                kinds['image'] = (CompressedImage, f'{topic}/compressed')
            else:
                kinds['image'] = (Image, topic)
        if options['input'] != IMAGE:
            kinds['detections'] = (Detection2DArray, 'detections')
        self._matcher = StampMatcher(
            tuple(kinds), lambda **messages: submit(Frame(time.monotonic(), **messages))
        )
        self._heard = dict.fromkeys(kinds, time.monotonic())
        # Of images alone, only the newest one is of use; others must not get lost while the one
        # that they belong to is on its way.
        depth = 1 if list(kinds) == ['image'] else WAITING
        self.subscriptions = {
            name: node.create_subscription(
                kind,
                topic,
                lambda message, name=name: self._on_message(name, message),
                QoSProfile(depth=depth, reliability=qos_profile_sensor_data.reliability),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for name, (kind, topic) in kinds.items()
        }

    @property
    def topics(self) -> list[str]:
        """The full names of the topics."""
        return [each.topic_name for each in self.subscriptions.values()]

    @property
    def silence(self) -> dict[str, float]:
        """Seconds since the last message, by full name of the topic."""
        now = time.monotonic()
        return {
            subscription.topic_name: now - self._heard[name]
            for name, subscription in self.subscriptions.items()
        }

    @property
    def unmatched(self) -> int:
        """Number of messages whose counterparts did not come."""
        return self._matcher.unmatched

    def destroy(self) -> None:
        """End the subscriptions."""
        for subscription in self.subscriptions.values():
            self._node.destroy_subscription(subscription)

    def _on_message(self, name: str, message: Any) -> None:
        self._heard[name] = time.monotonic()
        self._matcher.add(name, message)
