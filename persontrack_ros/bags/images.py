"""Images in bags, read and recorded."""

from __future__ import annotations

from typing import Any, Optional

import cv2
import numpy as np

from persontrack_ros.bags.types import COMPRESSED_IMAGE, IMAGE, make_header, new, serialise
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.media.encodings import SampleRange, decode_image, image_to_bgr
from persontrack_ros.core.media.source import Frame


def message_to_bgr(message: Any, samples: Optional[SampleRange] = None) -> BgrImage:
    """
    Decode an image message, compressed or not.

    :param samples: range of 16-bit samples of the stream; by default, the image stands alone.
    :returns: uint8 BGR, shape ``(height, width, 3)``; read-only.
    :raises ImageError: if it cannot be decoded.
    """
    if message.__msgtype__ == COMPRESSED_IMAGE:
        return decode_image(message.data, format_=message.format, samples=samples)
    return image_to_bgr(message, samples)


def make_image(image: BgrImage, header: Any) -> Any:
    """Make a ``bgr8`` message of an image."""
    height, width = image.shape[:2]
    return new(
        IMAGE,
        header=header,
        height=height,
        width=width,
        encoding='bgr8',
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image).reshape(-1),
    )


class ImageRecorder:
    """Writes the images of a source into a bag, with the times of the source."""

    def __init__(
        self,
        bag: BagWriter,
        topic: str = '/image_raw',
        frame_id: str = 'camera',
        compression: str = '',
    ) -> None:
        """
        Add the topics to the bag.

        :param topic: topic of the images; with `/compressed` appended for compressed images.
        :param compression: ``png`` or ``jpeg``, which changes the pixels; empty for raw images.
        """
        self._bag = bag
        self._frame_id = frame_id
        self._compression = compression
        if compression:
            self._images = bag.add_topic(f'{topic}/compressed', COMPRESSED_IMAGE)
        else:
            self._images = bag.add_topic(topic, IMAGE)

    def write(self, frame: Frame) -> None:
        """
        Append an image.

        :raises OutputError: if the bag cannot be written.
        """
        header = make_header(frame.stamp, self._frame_id)
        message = make_image(frame.image, header)
        if self._compression:
            data = cv2.imencode(f'.{self._compression}', frame.image)[1].reshape(-1)
            # As image_transport: the encoding before compression, the format, and that within it.
            format_ = f'bgr8; {self._compression} compressed bgr8'
            message = new(COMPRESSED_IMAGE, header=header, format=format_, data=data)
        self._bag.write(self._images, frame.stamp, serialise(message))
