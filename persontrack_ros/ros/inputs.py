"""The subscriptions of the node: images and detections, joined by their stamps."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any
from typing import Optional
from typing import Union

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.encodings import decode_image
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.ros.compat import with_number
from persontrack_ros.ros.depth_input import KEPT
from persontrack_ros.ros.depth_input import Depth
from persontrack_ros.ros.depth_input import DepthInput
from persontrack_ros.ros.images import image_to_bgr
from persontrack_ros.ros.options import DETECTIONS
from persontrack_ros.ros.options import IMAGE
from persontrack_ros.ros.worker import NewestItemWorker

# Messages of one topic that wait for those of the others.
WAITING = 30

# RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED of rmw/types.h: what a middleware says that does not
# number messages.
UNNUMBERED = 2**64 - 1


@dataclass(frozen=True)
class Frame:
    """
    What belongs to one moment.

    :ivar received: when it was complete, by the clock of `time.monotonic`.
    :ivar depth: where depth images are subscribed; it may come later.
    """

    received: float
    image: Optional[Union[Image, CompressedImage]] = None
    detections: Optional[Detection2DArray] = None
    depth: Optional[Future[Depth]] = None

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


class LossCounter:
    """
    Counts the messages of a topic that never came, by the numbers their publisher gave them.

    Of best-effort messages, some get lost on the way, and others are replaced by newer ones before
    they are taken out of the middleware, which tells of neither.

    :ivar lost: how many.
    :ivar counts: whether that is known: Humble and some middlewares tell no numbers, and of
        several publishers, each has its own.
    """

    def __init__(self, publishers: Callable[[], int]) -> None:
        """
        Begin with whatever comes first.

        :param publishers: returns how many there are.
        """
        self._publishers = publishers
        self._last: Optional[int] = None
        self.lost = 0
        self.counts = True

    def add(self, number: Optional[int]) -> None:
        """Take note of the number of a message, None where rclpy does not tell it."""
        if number == UNNUMBERED:
            number = None
        missing = 0 if None in (number, self._last) else number - self._last - 1
        self._last = number
        if number is None:
            self.counts = False
        elif missing > 0:
            self.counts = self._publishers() == 1
            self.lost += missing if self.counts else 0


class WhileIdle(CallbackGroup):
    """
    Leaves images in the middleware while the worker is busy.

    In a queue of one, each replaces the one before there, and costs nothing: to take those that
    would only be replaced in the worker takes a millisecond each, or four in full HD.

    :ivar closes: whether the queue is one of one image, the newest.
    """

    def __init__(self, worker: NewestItemWorker[Any], loss: LossCounter) -> None:
        """
        Belong to the subscription of the images of a worker.

        :param loss: counts those that are replaced; where it cannot, the worker gets them all.
        """
        super().__init__()
        self._worker = worker
        self._loss = loss
        self.closes = False

    def can_execute(self, entity: Any) -> bool:
        """Tell the executor whether to take an image."""
        return not (self.closes and self._loss.counts and self._worker.busy)

    def beginning_execution(self, entity: Any) -> bool:
        """Tell the executor whether to go on with it."""
        return self.can_execute(entity)

    def ending_execution(self, entity: Any) -> None:
        """Do nothing: it is the worker who ends."""


class Inputs:
    """
    Subscribes to what the parameters `input`, `image_transport` and `depth` name.

    :ivar subscriptions: by what they bring: `image`, `detections`, `depth`, `info`.
    """

    def __init__(self, node: Node) -> None:
        """Subscribe to nothing yet."""
        self._node = node
        self._matcher = StampMatcher((), lambda: None)
        self._heard: dict[str, float] = {}
        self._depth: Optional[DepthInput] = None
        self._loss: Optional[LossCounter] = None
        self._group: Optional[WhileIdle] = None
        self.subscriptions: dict[str, Subscription] = {}

    def subscribe(self, options: Mapping[str, Any], worker: NewestItemWorker[Frame]) -> None:
        """
        Make the subscriptions; if that fails, those that were made wait for :meth:`destroy`.

        :param worker: gets what belongs together.
        """
        self._worker = worker
        kinds: dict[str, tuple[type, str]] = {}
        if options['input'] != DETECTIONS:
            topic = self._node.resolve_topic_name('image_raw')
            if options['image_transport'] == 'compressed':
                # As image_transport does: who remaps the image remaps all of its transports.
                kinds['image'] = (CompressedImage, f'{topic}/compressed')
            else:
                kinds['image'] = (Image, topic)
        if options['input'] != IMAGE:
            kinds['detections'] = (Detection2DArray, 'detections')
        self._matcher = StampMatcher(tuple(kinds), self._on_complete)
        # Of images alone, only the newest one is of use; others must not get lost while the one
        # that they belong to is on its way.
        depth = 1 if list(kinds) == ['image'] else WAITING
        if depth == 1:
            self._loss = LossCounter(partial(self._node.count_publishers, kinds['image'][1]))
            self._group = WhileIdle(worker, self._loss)
        for name, (kind, topic) in kinds.items():
            self._subscribe(name, kind, topic, depth, partial(self._matcher.add, name))
        if options['depth']:
            self._depth = DepthInput(options['depth_tolerance'])
            self._subscribe('depth', Image, 'depth_image', KEPT, self._depth.add_depth)
            self._subscribe('info', CameraInfo, 'camera_info', 1, self._depth.add_info)

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
        return self._matcher.unmatched + (self._depth.unmatched if self._depth else 0)

    @property
    def lost(self) -> int:
        """Number of images that were published, but never came; where images are all there is."""
        return self._loss.lost if self._loss else 0

    def destroy(self) -> None:
        """End the subscriptions."""
        for subscription in self.subscriptions.values():
            self._node.destroy_subscription(subscription)

    def _subscribe(
        self, name: str, kind: type, topic: str, depth: int, take: Callable[[Any], None]
    ) -> None:
        def on_message(message: Any, number: Optional[int]) -> None:
            self._heard[name] = time.monotonic()
            if name == 'image' and self._loss is not None:
                self._loss.add(number)
            take(message)

        group = self._group if name == 'image' else None
        self._heard[name] = time.monotonic()
        self.subscriptions[name] = self._node.create_subscription(
            kind,
            topic,
            with_number(on_message),
            QoSProfile(depth=depth, reliability=qos_profile_sensor_data.reliability),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            callback_group=group,
        )
        if group is not None:
            # Of a longer queue, which parameters can ask for, the oldest image would come first.
            qos = self.subscriptions[name].qos_profile
            group.closes = (qos.history, qos.depth) == (HistoryPolicy.KEEP_LAST, 1)

    def _on_complete(self, **messages: Any) -> None:
        frame = Frame(time.monotonic(), **messages)
        if self._depth is not None:
            depth = self._depth.expect(stamp_to_nanoseconds(frame.header))
            frame = dataclasses.replace(frame, depth=depth)
        self._worker.submit(frame)
