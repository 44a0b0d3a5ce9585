"""Recording of videos and cameras to bags."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from persontrack_ros.bags.images import make_image
from persontrack_ros.bags.types import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    make_header,
    new,
    serialise,
)
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.media.source import Frame

_MATRICES = {
    'k': ('camera_matrix', 9),
    'r': ('rectification_matrix', 9),
    'p': ('projection_matrix', 12),
    'd': ('distortion_coefficients', -1),
}


class ImageRecorder:
    """Writes the images of a source into a bag, with the times of the source."""

    def __init__(
        self,
        bag: BagWriter,
        topic: str = '/image_raw',
        frame_id: str = 'camera',
        compression: str = '',
        camera_info: Any = None,
    ) -> None:
        """
        Add the topics to the bag.

        :param topic: topic of the images; with `/compressed` appended for compressed images. The
            calibration is on the topic `camera_info` in the same namespace.
        :param compression: ``png`` or ``jpeg``, which changes the pixels; empty for raw images.
        :param camera_info: a message of :func:`read_camera_info`, if the camera is calibrated.
        """
        self._bag = bag
        self._frame_id = frame_id
        self._compression = compression
        self._info = camera_info
        if compression:
            self._images = bag.add_topic(f'{topic}/compressed', COMPRESSED_IMAGE)
        else:
            self._images = bag.add_topic(topic, IMAGE)
        if camera_info:
            namespace = topic.rpartition('/')[0]
            self._infos = bag.add_topic(f'{namespace}/camera_info', CAMERA_INFO)

    def write(self, frame: Frame) -> None:
        """
        Append an image.

        :raises SourceError: if the calibration is of images of another size.
        :raises OutputError: if the bag cannot be written.
        """
        header = make_header(frame.stamp, self._frame_id)
        message = make_image(frame.image, header)
        size = (message.width, message.height)
        if self._compression:
            data = cv2.imencode(f'.{self._compression}', frame.image)[1].reshape(-1)
            # As image_transport: the encoding before compression, the format, and that within it.
            format_ = f'bgr8; {self._compression} compressed bgr8'
            message = new(COMPRESSED_IMAGE, header=header, format=format_, data=data)
        self._bag.write(self._images, frame.stamp, serialise(message))
        if self._info:
            if size != (self._info.width, self._info.height):
                raise SourceError(
                    f'the calibration is of images of {self._info.width}x{self._info.height} '
                    f'pixels, but these have {size[0]}x{size[1]}'
                )
            info = dataclasses.replace(self._info, header=header)
            self._bag.write(self._infos, frame.stamp, serialise(info))


def read_camera_info(path: Path) -> Any:
    """
    Read a calibration file (YAML) of camera_calibration.

    :returns: a ``sensor_msgs/msg/CameraInfo`` with an empty header.
    :raises SourceError: if it cannot be read or is no calibration.
    """
    try:
        content = load_yaml(path)
        region = dict.fromkeys(('x_offset', 'y_offset', 'height', 'width'), 0)
        return new(
            CAMERA_INFO,
            header=make_header(0, ''),
            width=int(content['image_width']),
            height=int(content['image_height']),
            distortion_model=str(content['distortion_model']),
            binning_x=0,
            binning_y=0,
            roi=new('sensor_msgs/msg/RegionOfInterest', **region, do_rectify=False),
            **{
                name: np.array(content[key]['data'], dtype=np.float64).reshape(size)
                for name, (key, size) in _MATRICES.items()
            },
        )
    except (ArithmeticError, KeyError, SourceError, TypeError, ValueError) as error:
        reason = (
            f'it has no {error}' if isinstance(error, KeyError) else ' '.join(f'{error}'.split())
        )
        raise SourceError(f'{path} is no camera calibration: {reason}') from error
