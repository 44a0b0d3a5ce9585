"""
Conversion between ``sensor_msgs/msg/Image`` and BGR arrays.

The usual encodings are converted by :mod:`persontrack_ros.core.media.encodings`, because
cv_bridge from apt does not import beside a NumPy 2 installed by pip; it is asked only for those
that are left.
"""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.media import encodings
from persontrack_ros.core.media.encodings import SampleRange, UnknownEncodingError, describe


def image_to_bgr(message: Image, samples: Optional[SampleRange] = None) -> BgrImage:
    """
    Convert an image message to BGR.

    :param message: an image in one of the usual encodings, or one that cv_bridge converts.
    :param samples: of the stream, for 16-bit samples; by default, the image is one of its own.
    :returns: see :func:`persontrack_ros.core.media.encodings.image_to_bgr`.
    :raises ImageError: if the image has no pixels, its step or data are too small for its size,
        or its encoding is not known.
    """
    try:
        return encodings.image_to_bgr(message, samples)
    except UnknownEncodingError:
        return _convert_with_cv_bridge(message)


def bgr_to_image(image: BgrImage, header: Header) -> Image:
    """
    Convert a BGR array of shape ``(height, width, 3)`` to a ``bgr8`` message with that header.

    :raises ValueError: if the array is not uint8 or has another shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'expected uint8 of shape (H, W, 3), got {image.dtype} {image.shape}')
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


def _convert_with_cv_bridge(message: Image) -> BgrImage:
    """Convert what the table lacks; every failure of cv_bridge becomes an ImageError."""
    advice = 'publish bgr8, rgb8 or mono8 instead'
    try:
        from cv_bridge import CvBridge

        return CvBridge().imgmsg_to_cv2(message, 'bgr8')
    except Exception as error:  # Boost.Python raises more kinds than cv_bridge documents
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        if isinstance(error, ModuleNotFoundError) and error.name == 'cv_bridge':
            problem = 'has an encoding unknown to this node, and cv_bridge is not installed'
        elif isinstance(error, (ImportError, AttributeError)):
            problem = f'needs cv_bridge, which fails with NumPy {np.__version__} ({reason})'
            advice += ", or install 'numpy<2' if cv_bridge was built for NumPy 1"
        else:
            problem = f'has an encoding that cv_bridge cannot convert to bgr8 ({reason})'
        raise ImageError(f'{describe(message)} {problem}; {advice}') from error
