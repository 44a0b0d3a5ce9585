"""Detections and tracks as ROS messages."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Optional

import numpy as np
from geometry_msgs.msg import Quaternion
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header, String
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.messages import CLASS_ID, Row, boxes_to_bytes
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracks3d.depth import Box3D
from persontrack_ros.core.tracks3d.motion_filter import Motion

# Variance of the unknown orientation of a person, in square radians.
UNKNOWN = 1e6


def boxes_to_message(rows: Iterable[Row], header: Header) -> Detection2DArray:
    """
    Fill the message of the topics ``tracks`` and ``detections``.

    :param rows: box, score and id of each person; the id is empty in detections.
    :param header: of the frame; it goes into the array and into every detection.
    """
    return Detection2DArray(header=header, detections=[_detection(*row, header) for row in rows])


def known(rows: Sequence[Row], header: Header) -> bool:
    """Return whether :func:`boxes_to_bytes` knows the layout of the installed messages."""
    try:
        message = deserialize_message(boxes_to_bytes(rows, header), Detection2DArray)
    except RuntimeError:
        # What the middlewares raise where bytes do not fit.
        return False
    return bool(message == boxes_to_message(rows, header))


def tracks_to_info(
    tracks: Iterable[Track],
    sources: Sequence[Optional[int]],
    header: Header,
    frame: str = '',
    motions: Mapping[int, Motion] = MappingProxyType({}),
) -> String:
    """
    Fill the message of the ``track_info`` topic: JSON, see docs/nodes/tracker_node.md.

    :param sources: index in the message of the ``detections`` topic, of each detection.
    :param frame: the fixed frame of the motions; empty: no motions are written.
    :param motions: the known motions of tracks by id.
    """
    return String(
        data=json.dumps(
            {
                'stamp': {'sec': header.stamp.sec, 'nanosec': header.stamp.nanosec},
                'frame_id': header.frame_id,
                'tracks': [
                    {
                        'id': str(track.id),
                        'velocity': track.velocity.tolist(),
                        'age': track.age,
                        'hits': track.hits,
                        'time_since_update': track.time_since_update,
                        'state': track.state.name.lower(),
                        'detection': None if track.detection is None else sources[track.detection],
                        **({'motion': _motion(frame, motions.get(track.id))} if frame else {}),
                    }
                    for track in tracks
                ],
            }
        )
    )


def _motion(frame: str, motion: Optional[Motion]) -> Optional[dict[str, Any]]:
    if motion is None:
        return None
    return {
        'frame_id': frame,
        'position': motion.position.tolist(),
        'velocity': motion.velocity.tolist(),
        'covariance': motion.covariance.ravel().tolist(),
    }


def _detection(box: FloatArray, score: float, identifier: str, header: Header) -> Detection2D:
    left, top, width, height = box.tolist()
    detection = Detection2D(header=header, id=identifier)
    # x, y and theta of the centre have moved between versions of vision_msgs; 4.x, which all
    # supported distributions have, knows `position`.
    detection.bbox.center.position.x = left + width / 2
    detection.bbox.center.position.y = top + height / 2
    detection.bbox.size_x = width
    detection.bbox.size_y = height
    detection.results = [_hypothesis(score)]
    return detection


def boxes_3d_to_message(
    tracks: Iterable[Track], boxes: Mapping[int, Box3D], header: Header
) -> Detection3DArray:
    """
    Fill the message of the ``tracks_3d`` topic.

    :param boxes: of the tracks by id; tracks without a box are omitted.
    :param header: with the frame of the boxes; it goes into the array and every detection.
    """
    return Detection3DArray(
        header=header,
        detections=[
            _detection_3d(track, boxes[track.id], header) for track in tracks if track.id in boxes
        ],
    )


def _detection_3d(track: Track, box: Box3D, header: Header) -> Detection3D:
    detection = Detection3D(header=header, id=str(track.id))
    center, size, result = detection.bbox.center, detection.bbox.size, _hypothesis(track.score)
    center.position.x, center.position.y, center.position.z = box.position.tolist()
    size.x, size.y, size.z = box.size.tolist()
    center.orientation = orientation(box)
    result.pose.pose = center
    covariance = np.diag([UNKNOWN] * 6)
    covariance[:3, :3] = box.covariance
    result.pose.covariance = covariance.ravel()
    detection.results = [result]
    return detection


def orientation(box: Box3D) -> Quaternion:
    """Return the orientation of a 3D box."""
    half = (box.yaw or 0.0) / 2
    return Quaternion(z=math.sin(half), w=math.cos(half))


def _hypothesis(score: float) -> ObjectHypothesisWithPose:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = CLASS_ID
    result.hypothesis.score = score
    return result
