"""Detections and tracks as ROS messages, and as markers for rviz2."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Optional

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header, String
from vision_msgs.msg import (
    Detection2D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker, MarkerArray

from persontrack_ros.core.base.messages import CLASS_ID
from persontrack_ros.core.drawing import track_color
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracks3d.depth import Box3D
from persontrack_ros.core.tracks3d.following import WALKING
from persontrack_ros.core.tracks3d.motion_filter import Motion

# Variance of what is unknown, as of the orientation of a person in square radians.
UNKNOWN = 1e6

# The fields of the topic `persons`.
POINT = np.dtype([*((name, '<f4') for name in ('x', 'y', 'z', 'vx', 'vy', 'vz')), ('id', '<u4')])

# The disc of points of a person: its radius in metres, and the points on its edge.
DISC_RADIUS, DISC_POINTS = 0.25, 8


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
    center.orientation = orientation(box.yaw or 0.0)
    result.pose.pose = center
    covariance = np.diag([UNKNOWN] * 6)
    covariance[:3, :3] = box.covariance
    result.pose.covariance = covariance.ravel()
    detection.results = [result]
    return detection


def boxes_3d_to_cloud(boxes: Mapping[int, Box3D], header: Header) -> PointCloud2:
    """
    Fill the message of the ``persons`` topic: a level disc of points for each person.

    The first point of a person is the position. All have the velocity, which is NaN where it is
    unknown, and the id.

    :param boxes: by id, in the frame of the header.
    """
    points = np.zeros((len(boxes), 1 + DISC_POINTS), POINT)
    angles = np.arange(DISC_POINTS) * 2 * math.pi / DISC_POINTS
    for disc, (id_, box) in zip(points, boxes.items()):
        velocity = [math.nan] * 3 if box.velocity is None else box.velocity
        disc[:] = (*box.position, *velocity, id_)
        disc['x'][1:] += DISC_RADIUS * np.cos(angles)
        # In the optical frame of the camera, y points down.
        disc['z' if box.yaw is None else 'y'][1:] += DISC_RADIUS * np.sin(angles)
    kinds = [PointField.FLOAT32] * 6 + [PointField.UINT32]
    return PointCloud2(
        header=header,
        height=1,
        width=points.size,
        fields=[
            PointField(name=name, offset=4 * i, datatype=kind, count=1)
            for i, (name, kind) in enumerate(zip(POINT.names or (), kinds))
        ],
        point_step=POINT.itemsize,
        row_step=points.nbytes,
        data=points.tobytes(),
    )


def orientation(yaw: float) -> Quaternion:
    """Return the orientation of an angle around z, in radians."""
    return Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))


def track_to_detection(track: Track, header: Header) -> Detection2D:
    """Fill the message of the ``target_detection`` topic: the track as it is in ``tracks``."""
    detection = Detection2D(header=header, id=str(track.id), results=[_hypothesis(track.score)])
    box, (left, top, width, height) = detection.bbox, track.box.tolist()
    box.center.position.x, box.center.position.y = left + width / 2, top + height / 2
    box.size_x, box.size_y = width, height
    return detection


def motion_to_odometry(motion: Motion, yaw: float, header: Header) -> Odometry:
    """
    Fill the message of the ``target_odometry`` topic.

    The pose is on the floor. Height, roll, pitch and rotation are unknown, and so is the yaw of a
    person who stands; the child frame has x along the yaw.

    :param header: with the frame of the motion.
    """
    message = Odometry(header=header, child_frame_id='target')
    pose, twist = message.pose, message.twist
    pose.pose.position.x, pose.pose.position.y = motion.position[:2].tolist()
    pose.pose.orientation = orientation(yaw)
    turn = Rotation.from_euler('z', -yaw).as_matrix()
    velocity = twist.twist.linear
    velocity.x, velocity.y, velocity.z = (turn @ motion.velocity).tolist()
    of_pose, of_twist = np.diag([UNKNOWN] * 6), np.diag([UNKNOWN] * 6)
    of_pose[:2, :2] = motion.covariance[:2, :2]
    of_twist[:3, :3] = turn @ motion.covariance[3:, 3:] @ turn.T
    if velocity.x > WALKING:
        of_pose[5, 5] = of_twist[1, 1] / velocity.x**2
    pose.covariance, twist.covariance = of_pose.ravel(), of_twist.ravel()
    return message


def _hypothesis(score: float) -> ObjectHypothesisWithPose:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = CLASS_ID
    result.hypothesis.score = score
    return result


BOXES = 'boxes'
IDS = 'ids'
TRAILS = 'trails'
VELOCITIES = 'velocities'

# Positions in a trail.
TRAIL_LENGTH = 100

# In metres.
_LEAST_SIDE = 0.05  # of a box: rviz shows nothing that is flat
_TEXT_HEIGHT = 0.25
_LINE_WIDTH = 0.03
_ARROW = Vector3(x=0.05, y=0.12, z=0.15)

# Slower persons have no arrow, in m/s.
_LEAST_SPEED = 0.2


class Markers:
    """
    Box, id, trail and, where it is known, velocity of each person.

    Their namespaces are the constants of this module.
    """

    def __init__(self) -> None:
        """Start without markers."""
        self._trails: dict[int, deque[Point]] = {}

    def update(
        self, ids: Iterable[int], boxes: Mapping[int, Box3D], header: Header
    ) -> MarkerArray:
        """
        Show the persons of one frame.

        :param ids: of the persons whose markers stay, with or without a box in this frame; other
            markers are deleted.
        :param boxes: by id, in the frame of the header.
        """
        markers = []
        for ended in sorted(self._trails.keys() - set(ids)):
            del self._trails[ended]
            markers += [
                Marker(header=header, ns=namespace, id=ended, action=Marker.DELETE)
                for namespace in (BOXES, IDS, TRAILS, VELOCITIES)
            ]
        for id_, box in boxes.items():
            markers += self._show(id_, box, header)
        return MarkerArray(markers=markers)

    def clear(self, header: Header) -> MarkerArray:
        """Delete all markers."""
        self._trails.clear()
        return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])

    def _show(self, id_: int, person: Box3D, header: Header) -> list[Marker]:
        x, y, z = person.position.tolist()
        size = Vector3(**dict(zip('xyz', np.maximum(person.size, _LEAST_SIDE).tolist())))
        trail = self._trails.setdefault(id_, deque(maxlen=TRAIL_LENGTH))
        trail.append(Point(x=x, y=y, z=z))
        blue, green, red = (channel / 255 for channel in track_color(id_))

        def make(namespace: str, kind: int, scale: Vector3, alpha: float) -> Marker:
            color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
            return Marker(header=header, ns=namespace, id=id_, type=kind, scale=scale, color=color)

        box = make(BOXES, Marker.CUBE, size, 0.4)
        box.pose.position = trail[-1]
        box.pose.orientation = orientation(person.yaw or 0.0)
        text = make(IDS, Marker.TEXT_VIEW_FACING, Vector3(z=_TEXT_HEIGHT), 1.0)
        text.text = str(id_)
        if person.yaw is None:
            # Over the head: y points down.
            text.pose.position = Point(x=x, y=y - size.y / 2 - _TEXT_HEIGHT, z=z)
        else:
            text.pose.position = Point(x=x, y=y, z=z + size.z / 2 + _TEXT_HEIGHT)
        shown = [box, text]
        if len(trail) > 1:
            line = make(TRAILS, Marker.LINE_STRIP, Vector3(x=_LINE_WIDTH), 1.0)
            line.points = list(trail)
            shown.append(line)
        if person.velocity is not None:
            arrow = make(VELOCITIES, Marker.ARROW, _ARROW, 1.0)
            ends = person.position + person.velocity
            # To the position in a second.
            arrow.points = [trail[-1], Point(**dict(zip('xyz', ends.tolist())))]
            if np.linalg.norm(person.velocity) < _LEAST_SPEED:
                arrow = Marker(header=header, ns=VELOCITIES, id=id_, action=Marker.DELETE)
            shown.append(arrow)
        return shown
