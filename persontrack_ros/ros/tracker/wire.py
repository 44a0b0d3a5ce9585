"""
Messages of boxes as the bytes that are sent.

To make a ``vision_msgs/msg/Detection2DArray`` and to let rclpy convert it takes ten times as long:
of each person, it converts the 36 covariances of a pose that nobody estimates.

Source: DDS-XTypes 1.3, 7.4.3 (plain CDR), which the middlewares of ROS 2 use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.messages import CLASS_ID
from persontrack_ros.ros.tracker.messages import boxes_to_message

# Box, score and id, which may be empty.
Row = tuple[FloatArray, float, str]

# That plain CDR follows, little-endian; positions count from behind it.
_ENCAPSULATION = b'\x00\x01\x00\x00'
# Position and orientation, which is upright, and their covariances.
_POSE = struct.pack('<43d', *[0.0] * 6, 1.0, *[0.0] * 36)


def boxes_to_bytes(rows: Iterable[Row], header: Header) -> bytes:
    """
    Return the message that :func:`boxes_to_message` makes, serialised.

    :param header: that of the image; it goes into the array and into every detection.
    """
    rows = list(rows)
    head = struct.pack('<iI', header.stamp.sec, header.stamp.nanosec) + _text(header.frame_id)
    one_result = struct.pack('<I', 1) + _text(CLASS_ID)
    data = bytearray(_ENCAPSULATION + head)
    _align(data, 4)
    data += struct.pack('<I', len(rows))
    for box, score, identifier in rows:
        left, top, width, height = box.tolist()
        _align(data, 4)
        data += head
        _align(data, 4)
        data += one_result
        _align(data, 8)
        data += struct.pack('<d', score)
        data += _POSE
        data += struct.pack('<5d', left + width / 2, top + height / 2, 0.0, width, height)
        data += _text(identifier)
    return bytes(data)


def known(rows: Iterable[Row], header: Header) -> bool:
    """Tell whether :func:`boxes_to_bytes` knows the types of messages that are installed here."""
    rows = list(rows)
    try:
        message = deserialize_message(boxes_to_bytes(rows, header), Detection2DArray)
    except RuntimeError:
        # What the middlewares raise where bytes do not fit.
        return False
    return bool(message == boxes_to_message(rows, header))


def _text(text: str) -> bytes:
    encoded = text.encode() + b'\0'
    return struct.pack('<I', len(encoded)) + encoded


def _align(data: bytearray, size: int) -> None:
    data += bytes(-(len(data) - len(_ENCAPSULATION)) % size)
