"""Whether the installed messages of boxes have the layout that is published as bytes."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.messages import Row, boxes_to_bytes
from persontrack_ros.ros.tracker.messages import boxes_to_message


def known(rows: Iterable[Row], header: Header) -> bool:
    """Return whether :func:`boxes_to_bytes` knows the installed types of messages."""
    rows = list(rows)
    try:
        message = deserialize_message(boxes_to_bytes(rows, header), Detection2DArray)
    except RuntimeError:
        # What the middlewares raise where bytes do not fit.
        return False
    return bool(message == boxes_to_message(rows, header))
