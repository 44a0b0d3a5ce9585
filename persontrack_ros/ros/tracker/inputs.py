"""The subscriptions of the node: images and detections, joined by their stamps."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional, Union

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.images import BgrImage
from persontrack_ros.core.images.encodings import SampleRange, decode_image
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.core.parameters.node_options import DETECTIONS, IMAGE
from persontrack_ros.ros.images import image_to_bgr
from persontrack_ros.ros.tracker.depth_input import KEPT, Depth, DepthInput
from persontrack_ros.ros.tracker.listener import Listener
from persontrack_ros.ros.tracker.losses import LossCounter
from persontrack_ros.ros.tracker.worker import NewestItemWorker

# Messages of one topic that wait for those of the others.
WAITING = 30


@dataclass(frozen=True)
class Frame:
    """
    What belongs to one moment.

    :ivar received: when it was complete, by the clock of `time.monotonic`.
    :ivar depth: where depth images are subscribed; it may come later.
    :ivar info: the newest calibration, where it is subscribed and has come.
    """

    received: float
    image: Optional[Union[Image, CompressedImage]] = None
    detections: Optional[Detection2DArray] = None
    depth: Optional[Future[Depth]] = None
    info: Optional[CameraInfo] = None

    @property
    def header(self) -> Header:
        """The header of the image, or of the detections where there is none."""
        return (self.image or self.detections).header

    def decode(self, max_megapixels: float, samples: SampleRange) -> Optional[BgrImage]:
        """
        Convert the image to BGR, if there is one.

        :param max_megapixels: of a compressed one.
        :param samples: of the stream.
        :raises ImageError: if it is damaged or too large, or has an unknown encoding.
        """
        if isinstance(self.image, CompressedImage):
            format_ = self.image.format
            return decode_image(self.image.data, max_megapixels, format_=format_, samples=samples)
        return None if self.image is None else image_to_bgr(self.image, samples)


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


class WhileIdle(CallbackGroup):
    """
    Leaves images in the middleware while the worker is busy.

    In a queue of one, each replaces the one before there, and costs nothing: to take those that
    would only be replaced in the worker takes a millisecond each, or four in full HD.

    :ivar losses: counts those that are replaced, where the queue is one of one image, the newest;
        where it cannot, or is None, the worker gets them all.
    """

    def __init__(self, worker: NewestItemWorker[Any]) -> None:
        """Belong to the subscription of the images of a worker."""
        super().__init__()
        self._worker = worker
        self.losses: Optional[LossCounter] = None

    def can_execute(self, entity: Any) -> bool:
        """Tell the executor whether to take an image."""
        return not (self.losses is not None and self.losses.counts and self._worker.busy)

    def beginning_execution(self, entity: Any) -> bool:
        """Tell the executor whether to go on with it."""
        return self.can_execute(entity)

    def ending_execution(self, entity: Any) -> None:
        """Do nothing: it is the worker who ends."""


class Inputs:
    """
    Subscribes to what the parameters `input`, `image_transport` and `depth` name.

    :ivar listeners: by what they bring: `image`, `detections`, `depth`, `info`.
    """

    def __init__(self, node: Node) -> None:
        """Subscribe to nothing yet."""
        self._node = node
        self._matcher = StampMatcher((), lambda: None)
        self._depth: Optional[DepthInput] = None
        self._info: Optional[CameraInfo] = None
        self.listeners: dict[str, Listener] = {}

    def subscribe(
        self, options: Mapping[str, Any], worker: NewestItemWorker[Frame], calibrated: bool = False
    ) -> None:
        """
        Make the subscriptions; if that fails, those that were made wait for :meth:`destroy`.

        :param worker: gets what belongs together.
        :param calibrated: whether frames need a calibration, though not depth.
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
        alone = list(kinds) == ['image']
        group = WhileIdle(worker) if alone else None
        for name, (kind, topic) in kinds.items():
            self.listeners[name] = Listener(
                self._node,
                kind,
                topic,
                1 if alone else WAITING,
                partial(self._matcher.add, name),
                group,
            )
        if group is not None:
            # Of a longer queue, which parameters can ask for, the oldest image would come first.
            qos = self.listeners['image'].qos_profile
            if (qos.history, qos.depth) == (HistoryPolicy.KEEP_LAST, 1):
                group.losses = self.listeners['image'].losses
        if options['depth']:
            self._depth = DepthInput(options['depth_tolerance'])
            self.listeners['depth'] = Listener(
                self._node, Image, 'depth_image', KEPT, self._depth.add_depth
            )
        if options['depth'] or calibrated:
            self.listeners['info'] = Listener(
                self._node, CameraInfo, 'camera_info', 1, self._on_info, latched=True
            )

    def adapt(self) -> None:
        """Subscribe anew where publishers have changed."""
        for listener in self.listeners.values():
            listener.adapt()

    @property
    def topics(self) -> list[str]:
        """The full names of the topics."""
        return [each.topic_name for each in self.listeners.values()]

    @property
    def silence(self) -> dict[str, float]:
        """Seconds since the last message, by full name of the topic."""
        now = time.monotonic()
        return {
            each.topic_name: now - each.heard
            for each in self.listeners.values()
            if not each.has_latched
        }

    @property
    def unmatched(self) -> int:
        """Number of messages whose counterparts did not come."""
        return self._matcher.unmatched + (self._depth.unmatched if self._depth else 0)

    @property
    def lost(self) -> int:
        """Number of images that were published, but never came, as far as that is known."""
        return self.listeners['image'].losses.lost if 'image' in self.listeners else 0

    def destroy(self) -> None:
        """End the subscriptions."""
        for listener in self.listeners.values():
            listener.destroy()

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message
        if self._depth is not None:
            self._depth.add_info(message)

    def _on_complete(self, **messages: Any) -> None:
        frame = Frame(time.monotonic(), info=self._info, **messages)
        if self._depth is not None:
            depth = self._depth.expect(stamp_to_nanoseconds(frame.header))
            frame = dataclasses.replace(frame, depth=depth)
        self._worker.submit(frame)
