"""Recording of videos and cameras to bags."""

from __future__ import annotations

import cv2

from persontrack_ros.bags.images import make_image
from persontrack_ros.bags.types import COMPRESSED_IMAGE, IMAGE, make_header, new, serialise
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.media.source import Frame


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
