"""
What is read from messages of tracks, be they of rclpy or from a bag.

A message is whatever has the attributes of its ROS type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from persontrack_ros.core.errors import SourceError
from persontrack_ros.core.geometry import FloatArray

CLASS_ID = 'person'


def stamp_to_nanoseconds(header: Any) -> int:
    """Return the stamp of a ``std_msgs/msg/Header`` in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def message_to_tracks(message: Any) -> list[tuple[int, FloatArray, float]]:
    """
    Return id, box ``[left, top, width, height]`` in pixels and score of each track.

    :param message: a ``vision_msgs/msg/Detection2DArray``.
    :raises SourceError: if an id is no number, as other trackers may have them.
    """
    tracks = []
    for detection in message.detections:
        if not detection.id.isdecimal():
            raise SourceError(f'a detection has the id {detection.id!r}, which is no number')
        center, width, height = detection.bbox.center, detection.bbox.size_x, detection.bbox.size_y
        box = [center.position.x - width / 2, center.position.y - height / 2, width, height]
        score = detection.results[0].hypothesis.score if detection.results else 0.0
        tracks.append((int(detection.id), np.array(box), float(score)))
    return tracks
