"""Recording of videos and cameras to bags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from persontrack_ros.bags.camera_info import CameraInfo
from persontrack_ros.bags.images import make_compressed_image, make_image
from persontrack_ros.bags.types import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, make_header, serialise
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.media.source import Frame


@dataclass(frozen=True)
class RecordOptions:
    """
    How to record images.

    :ivar topic: topic of the images; with `/compressed` appended for compressed images. The
        calibration is on the topic `camera_info` in the same namespace.
    :ivar frame_id: frame_id of the images.
    :ivar compression: ``png`` or ``jpeg``; empty for raw images.
    :ivar camera_info: calibration of the camera, if known.
    """

    topic: str = '/image_raw'
    frame_id: str = 'camera'
    compression: str = ''
    camera_info: Optional[CameraInfo] = None


class ImageRecorder:
    """Writes the images of a source into a bag, with the times of the source."""

    def __init__(self, bag: BagWriter, options: RecordOptions) -> None:
        """Add the topics to the bag."""
        self._bag = bag
        self._options = options
        if options.compression:
            self._images = bag.add_topic(f'{options.topic}/compressed', COMPRESSED_IMAGE)
        else:
            self._images = bag.add_topic(options.topic, IMAGE)
        if options.camera_info:
            namespace = options.topic.rpartition('/')[0]
            self._infos = bag.add_topic(f'{namespace}/camera_info', CAMERA_INFO)

    def write(self, frame: Frame) -> None:
        """
        Append an image.

        :raises SourceError: if the calibration is of images of another size.
        :raises OutputError: if the bag cannot be written.
        """
        options = self._options
        header = make_header(frame.stamp, options.frame_id)
        if options.camera_info:
            options.camera_info.check(frame.image.shape[1], frame.image.shape[0])
        if options.compression:
            message = make_compressed_image(frame.image, header, options.compression)
        else:
            message = make_image(frame.image, header)
        self._bag.write(self._images, frame.stamp, serialise(message))
        if options.camera_info:
            info = options.camera_info.to_message(header)
            self._bag.write(self._infos, frame.stamp, serialise(info))
