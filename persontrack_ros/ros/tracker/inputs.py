"""The subscriptions of the node: images and detections, joined by their stamps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.calibration import rectify
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.node_options import DETECTIONS, IMAGE
from persontrack_ros.core.media.encodings import SampleRange, decode_image, image_to_bgr
from persontrack_ros.ros.compat import events
from persontrack_ros.ros.tracker import matching
from persontrack_ros.ros.tracker.input_topic import InputTopic, Message
from persontrack_ros.ros.tracker.matching import Depth, DepthInput, StampMatcher
from persontrack_ros.ros.tracker.worker import NewestItemWorker


@dataclass(frozen=True)
class Frame:
    """
    The messages of one moment.

    :ivar received: when it was complete, by the clock of `time.monotonic`.
    :ivar messages: by name, `image` and `detections`, or one of them.
    :ivar depth: where depth images are subscribed; it may come later.
    :ivar info: the newest calibration, where it is subscribed and has come.
    """

    received: float
    messages: Mapping[str, Message]
    depth: Optional[Future[Depth]] = None
    info: Optional[CameraInfo] = None

    @property
    def detections(self) -> Optional[Detection2DArray]:
        """
        The detections of another node, if there are any.

        :raises SourceError: if the message is damaged.
        """
        return self._content('detections')

    @property
    def header(self) -> Header:
        """The header of the image, or of the detections where there is none."""
        return self._content('image' if 'image' in self.messages else 'detections').header

    @property
    def stamp(self) -> int:
        """The stamp of the header, in nanoseconds."""
        return next(iter(self.messages.values())).stamp

    def decode(self, max_megapixels: float, samples: SampleRange) -> Optional[BgrImage]:
        """
        Convert the image to BGR, if there is one.

        :param max_megapixels: of a compressed one.
        :param samples: of the stream.
        :raises SourceError: if the message is damaged.
        :raises ImageError: if the image is damaged or too large, or has an unknown encoding.
        """
        image = self._content('image')
        if isinstance(image, CompressedImage):
            return decode_image(image.data, max_megapixels, format_=image.format, samples=samples)
        return None if image is None else image_to_bgr(image, samples)

    def _content(self, name: str) -> Any:
        return self.messages[name].content if name in self.messages else None


class Inputs:
    """
    Subscribes to what the parameters `input`, `image_transport` and `depth` name.

    :ivar topics: by what they bring: `image`, `detections`, `depth`.
    """

    def __init__(self, node: Node) -> None:
        """Subscribe to nothing yet."""
        self._node = node
        self._matcher: Optional[StampMatcher] = None
        self._depth: Optional[DepthInput] = None
        self._info: Optional[CameraInfo] = None
        self._infos: list[Subscription] = []
        self._calibrated = False
        self._dropped = 0
        self.topics: dict[str, InputTopic] = {}

    def subscribe(
        self, options: Mapping[str, Any], worker: NewestItemWorker[Frame], calibrated: bool = False
    ) -> None:
        """
        Make the subscriptions; if that fails, those that were made wait for :meth:`destroy`.

        :param worker: gets the frames.
        :param calibrated: whether frames need a calibration, though not depth.
        """
        self._worker = worker
        kinds: dict[str, tuple[type, str]] = {}
        if options['input'] != DETECTIONS:
            topic = self._node.resolve_topic_name('image_raw')
            if options['image_transport'] == 'compressed':
                # As in image_transport: a remapping of the image applies to all of its transports.
                kinds['image'] = (CompressedImage, f'{topic}/compressed')
            else:
                kinds['image'] = (Image, topic)
        if options['input'] != IMAGE:
            kinds['detections'] = (Detection2DArray, 'detections')
        if len(kinds) > 1:
            names = {
                name: self._node.resolve_topic_name(topic) for name, (_, topic) in kinds.items()
            }
            self._matcher = StampMatcher(names, self._submit)
        for name, (kind, topic) in kinds.items():
            take = self._take_newest if self._matcher is None else self._match
            self.topics[name] = InputTopic(self._node, kind, topic, partial(take, name))
        if options['depth']:
            wait = matching.PATIENCE if self._matcher is not None else 0.0
            kept = matching.DEPTH_PATIENCE + wait
            self._depth = DepthInput(options['depth_tolerance'], kept)
            self.topics['depth'] = InputTopic(self._node, Image, 'depth_image', self._on_depth)
        self._calibrated = options['depth'] or calibrated
        self._rectified = options['rectified']
        self.adapt()

    def adapt(self) -> None:
        """Subscribe anew where publishers have changed, or after :meth:`destroy`."""
        for topic in self.topics.values():
            topic.adapt()
        if self._calibrated and not self._infos:
            # Of publishers that keep the last message for later subscriptions, and of all others.
            self._infos = [
                self._node.create_subscription(
                    CameraInfo,
                    'camera_info',
                    self._on_info,
                    QoSProfile(depth=1, reliability=reliability, durability=durability),
                    event_callbacks=events.SubscriptionEventCallbacks(use_default_callbacks=False),
                )
                for reliability, durability in (
                    (ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
                    (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
                )
            ]

    @property
    def faults(self) -> dict[str, str]:
        """Why detections or depth images do not come with the images, by name of the topic."""
        parts = {'detections': self._matcher, 'depth': self._depth}
        return {name: part.fault for name, part in parts.items() if part and part.fault}

    @property
    def unmatched(self) -> int:
        """Number of messages whose counterparts did not come."""
        pairs = self._matcher.unmatched.total() if self._matcher is not None else 0
        return pairs + (self._depth.unmatched if self._depth is not None else 0)

    @property
    def waiting(self) -> int:
        """Number of frames that wait for their detections."""
        return self._matcher.waiting('image') if self._matcher is not None else 0

    @property
    def dropped(self) -> int:
        """Number of frames that did not reach the worker."""
        unpaired = self._matcher.unmatched['image'] if self._matcher is not None else 0
        frames = [self.topics[name] for name in ('image', 'detections') if name in self.topics]
        return self._dropped + unpaired + (frames[0].missed if frames else 0)

    def destroy(self) -> None:
        """End the subscriptions."""
        for topic in self.topics.values():
            topic.destroy()
        while self._infos:
            self._node.destroy_subscription(self._infos.pop())

    def _match(self, name: str, messages: Iterable[Message]) -> None:
        assert self._matcher is not None
        for message in messages:
            self._matcher.add(name, message)

    def _take_newest(self, name: str, messages: Iterable[Message]) -> None:
        newest = None
        for message in messages:
            self._dropped += newest is not None
            newest = message
        if newest is not None:
            self._submit({name: newest})

    def _on_depth(self, messages: Iterable[Message]) -> None:
        assert self._depth is not None
        for message in messages:
            self._depth.add_depth(message)

    def _on_info(self, message: CameraInfo) -> None:
        if self._rectified:
            rectify(message)
        self._info = message
        if self._depth is not None:
            self._depth.add_info(message)

    def _submit(self, messages: Mapping[str, Message]) -> None:
        depth = None
        if self._depth is not None:
            depth = self._depth.expect(next(iter(messages.values())).stamp)
        self._worker.submit(Frame(time.monotonic(), messages, depth, self._info))
