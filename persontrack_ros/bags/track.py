"""Tracking of the images in a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Optional

from rosbags.interfaces import Connection

from persontrack_ros.bags.images import make_image, message_to_bgr
from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.types import IMAGE, TRACKS, deserialise, serialise
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.base.errors import ImageError, SettingsError, SourceError, warn
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import boxes_to_bytes, stamp_to_nanoseconds
from persontrack_ros.core.base.timeline import Timeline
from persontrack_ros.core.config.node_options import JUMP_THRESHOLD
from persontrack_ros.core.config.settings import DrawingSettings
from persontrack_ros.core.drawing import Trails, draw
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.media.encodings import SampleRange
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.tracking.track import Track


class BagImage(NamedTuple):
    """
    One image of a bag.

    :ivar number: counted from 1 over the messages of the topic, including damaged ones.
    :ivar time: time of recording, in nanoseconds.
    :ivar header: its ``std_msgs/msg/Header``.
    :ivar image: uint8 BGR, shape ``(height, width, 3)``; read-only.
    """

    number: int
    time: int
    header: Any
    image: BgrImage


def decode_images(
    topic: Connection,
    messages: Iterable[tuple[int, bytes]],
    report: Callable[[str], None] = warn,
) -> Iterator[BagImage]:
    """Decode the messages of one topic; damaged ones are left out with a warning."""
    samples = SampleRange()
    for number, (time, data) in enumerate(messages, start=1):
        try:
            message = deserialise(data, topic.msgtype)
            image = BagImage(number, time, message.header, message_to_bgr(message, samples))
        except (ImageError, SourceError) as error:
            report(f'image {number} of {topic.topic} is left out: {error}')
        else:
            yield image


class TracksRecorder:
    """Copies a bag, and adds the tracks of its images."""

    def __init__(
        self,
        source: BagReader,
        bag: BagWriter,
        tracks_topic: str,
        annotated_topic: str = '',
        drawing: DrawingSettings = DrawingSettings(),
    ) -> None:
        """
        Add all topics to the new bag.

        :param annotated_topic: topic of images with the tracks drawn in; empty for none.
        :raises SettingsError: if the bag has one of the new topics already.
        """
        for name in {tracks_topic, annotated_topic} & {one.topic for one in source.connections}:
            raise SettingsError(
                f'{source.path} has a topic {name} already; choose another one with --tracks-topic'
            )
        self._bag = bag
        self._drawing = drawing
        self._trails = Trails()
        self._copies = {one.id: bag.copy_topic(one) for one in source.connections}
        self._tracks = bag.add_topic(tracks_topic, TRACKS)
        self._annotated = annotated_topic and bag.add_topic(annotated_topic, IMAGE)

    def copy(self, topic: Connection, time: int, data: bytes) -> None:
        """Copy a message unchanged."""
        self._bag.write(self._copies[topic.id], time, data)

    def write(
        self,
        image: BagImage,
        tracks: list[Track],
        mask: Optional[IgnoreMask] = None,
        ignored: Optional[FloatArray] = None,
    ) -> None:
        """
        Append the tracks of an image, with the recording time of the image.

        :param mask: areas in which detections are ignored, see :func:`draw`.
        :param ignored: boxes of ignored detections.
        """
        rows = [(track.box, track.score, str(track.id)) for track in tracks]
        self._bag.write(self._tracks, image.time, boxes_to_bytes(rows, image.header))
        if self._annotated:
            # Without the speed, so that every run gives the same images.
            trails = self._trails.update(
                tracks, stamp_to_nanoseconds(image.header), self._drawing.trails, image.image
            )
            annotated = draw(image.image, tracks, 0.0, self._drawing, mask, ignored, trails=trails)
            message = make_image(annotated, image.header)
            self._bag.write(self._annotated, image.time, serialise(message))


def track_images(
    source: BagReader,
    topic: Connection,
    pipeline: Pipeline,
    recorder: Optional[TracksRecorder] = None,
) -> Iterator[tuple[BagImage, int, list[Track]]]:
    """
    Track the persons in every image of a topic; tracks end at jumps of the stamps, as in the node.

    :param recorder: gets all messages of the bag and the tracks.
    :returns: each image with its time in nanoseconds and its tracks.
    :raises SourceError: at the end, if no image could be decoded.
    """

    def copied() -> Iterator[tuple[int, bytes]]:
        for connection, time, data in source.messages(None if recorder else [topic.topic]):
            if recorder:
                recorder.copy(connection, time, data)
            if connection.id == topic.id:
                yield time, data

    timeline = Timeline('the time of recording')
    image = None
    for image in decode_images(topic, copied()):
        moment = timeline.advance_to(image.header, image.time, JUMP_THRESHOLD)
        if moment.jump:
            warn(f'the stamps of {topic.topic} {moment.jump}: the tracks end here')
            pipeline.restart()
        for fault in moment.faults:
            warn(f'the stamps of {topic.topic} {fault}')
        result = pipeline.process(image.image, moment.time)
        if recorder:
            recorder.write(image, result.tracks, pipeline.mask, result.detections.ignored)
        yield image, moment.time, result.tracks
    if image is None:
        raise SourceError(f'no image on {topic.topic} can be decoded')
