"""Images in bags."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from persontrack_ros.bags.types import COMPRESSED_IMAGE, IMAGE, new
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.media.encodings import SampleRange, decode_image, image_to_bgr


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
