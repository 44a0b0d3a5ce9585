"""
Messages of tracks and detections, of rclpy or in a bag.

Any object with the attributes of its ROS type is a message.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any, Optional

import numpy as np

from persontrack_ros.core.base.detections import Detections, possible
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.geometry import FloatArray

CLASS_ID = 'person'

# Box, score and id, which may be empty.
Row = tuple[FloatArray, float, str]

# Header of little-endian plain CDR; alignment counts from its end.
_ENCAPSULATION = b'\x00\x01\x00\x00'
# Position and orientation, which is upright, and their covariances.
_POSE = struct.pack('<43d', *[0.0] * 6, 1.0, *[0.0] * 36)

# Messages with detections, all of other classes than the wanted one, before the warning.
_PATIENCE = 5


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


def message_to_detections(
    message: Any,
    class_id: Optional[str],
    score_threshold: float = 0.0,
    image_size: Optional[tuple[int, int]] = None,
) -> tuple[Detections, list[int], int]:
    """
    Return the detections of another detector.

    Those of another class or with a lower score are left out. Those whose boxes are not
    :func:`possible`, or whose scores are no numbers, are refused.

    :param message: a ``vision_msgs/msg/Detection2DArray``.
    :param class_id: None takes detections of all classes, and those of none with the score 1.
    :param image_size: width and height of the image in pixels, if known.
    :returns: the detections, the index of each in the message, and the number of refused ones.
    """
    boxes, scores, sources, refused = [], [], [], 0
    for index, detection in enumerate(message.detections):
        hypotheses = [each.hypothesis for each in detection.results]
        found = [each.score for each in hypotheses if class_id in (None, each.class_id)]
        if class_id is None and not hypotheses:
            found = [1.0]
        center, width, height = detection.bbox.center, detection.bbox.size_x, detection.bbox.size_y
        box = [center.position.x - width / 2, center.position.y - height / 2, width, height]
        if not found:
            continue
        score = max(found)
        if not (math.isfinite(score) and possible(np.array([box]))[0]):
            refused += 1
        elif score >= score_threshold:
            boxes.append(box)
            scores.append(min(max(score, 0.0), 1.0))
            sources.append(index)
    return Detections.create(boxes, scores, image_size=image_size), sources, refused


class Classes:
    """
    The classes that another detector gives its detections.

    :ivar left_out: number of detections that were left out because of their class.
    """

    def __init__(self) -> None:
        """Start without classes."""
        self.left_out = 0
        self._wanted: Optional[str] = None
        self._seen: set[str] = set()
        self._count = 0

    def add(self, message: Any, class_id: Optional[str]) -> None:
        """
        Check the classes in a message of another detector.

        :param message: a ``vision_msgs/msg/Detection2DArray``.
        :param class_id: the class that is tracked; None: all.
        """
        if class_id != self._wanted:
            self._wanted, self._seen, self._count = class_id, set(), 0
        if class_id is None:
            return
        found = [
            [each.hypothesis.class_id for each in detection.results] or ['']
            for detection in message.detections
        ]
        self.left_out += sum(class_id not in classes for classes in found)
        self._seen.update(*found)
        self._count += bool(found)

    @property
    def fault(self) -> str:
        """The warning that only other classes than the tracked one arrive; empty without fault."""
        if self._wanted is None or self._count < _PATIENCE or self._wanted in self._seen:
            return ''
        seen = ', '.join(repr(each) for each in sorted(self._seen))
        return (
            f'no detection has the class {self._wanted!r}, those seen are {seen}; set '
            'detections.class_id to the one of persons, or to any'
        )


def boxes_to_bytes(rows: Iterable[Row], header: Any) -> bytes:
    """
    Return a ``vision_msgs/msg/Detection2DArray`` as the bytes that are sent and recorded.

    Building a message and converting it in rclpy takes ten times as long: rclpy converts 36
    covariances for each person, all of them 0.
    Source: DDS-XTypes 1.3, 7.4.3 (plain CDR), which the middlewares of ROS 2 use.

    :param rows: box, score and id of each person; the id may be empty.
    :param header: header of the image, for the array and for every detection.
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


def _text(text: str) -> bytes:
    encoded = text.encode() + b'\0'
    return struct.pack('<I', len(encoded)) + encoded


def _align(data: bytearray, size: int) -> None:
    data += bytes(-(len(data) - len(_ENCAPSULATION)) % size)
