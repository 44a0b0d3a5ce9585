"""
BGR arrays as ``sensor_msgs/msg/Image``.

Images that come are converted by :mod:`persontrack_ros.core.media.encodings`.
"""

from __future__ import annotations

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from persontrack_ros.core.base.images import BgrImage


def bgr_to_image(image: BgrImage, header: Header) -> Image:
    """Convert an image, uint8 BGR of shape ``(height, width, 3)``, to a ``bgr8`` message."""
    height, width = image.shape[:2]
    message = Image(header=header, height=height, width=width, encoding='bgr8', step=3 * width)
    # Into the array that is there: another one would be copied, and bytes would be checked one by
    # one, half a second in full HD.
    message.data.frombytes(np.ascontiguousarray(image).data)
    return message


def bgr_to_compressed(image: BgrImage, header: Header, quality: int) -> CompressedImage:
    """
    Convert a BGR array to a JPEG as image_transport makes it, with that header.

    :param quality: from 1 to 100.
    """
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    message = CompressedImage(header=header, format='bgr8; jpeg compressed bgr8')
    # As in bgr_to_image.
    message.data.frombytes(data.data)
    return message
