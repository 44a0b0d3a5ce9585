"""The person to follow: the choice by the parameter `target` or a click, and their topics."""

from __future__ import annotations

import time as clock
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Optional

import numpy as np
from geometry_msgs.msg import Point, PointStamped, PoseStamped, TransformStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.config.node_options import target_id
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracks3d.depth import Box3D
from persontrack_ros.core.tracks3d.following import (
    REACH,
    Follower,
    Heading,
    Target,
    TargetStatus,
    choose,
    least,
    off,
    on_floor,
)
from persontrack_ros.core.tracks3d.motion_filter import Motion
from persontrack_ros.ros.tracker.messages import motion_to_odometry, track_to_detection
from persontrack_ros.ros.tracker.processing import FrameResult
from persontrack_ros.ros.tracker.transforms import Transforms, make_broadcaster

# Seconds without an answer after which a target counts as lost: frames, depth or tf have stopped.
SILENCE = 1.0

_Scene = tuple[Sequence[Track], str, Optional[Mapping[int, Box3D]], str]


class Targets:
    """
    Chooses the target, frame by frame, and publishes where this person is.

    A click sets the parameter `target` to the id of a person. Frames come one after the other; all
    else can come from another thread meanwhile.
    """

    def __init__(
        self,
        node: Node,
        publishers: Mapping[str, Publisher],
        patience: float,
        transforms: Optional[Transforms] = None,
        tf: bool = False,
    ) -> None:
        """
        Subscribe to clicks.

        :param publishers: of the topics of the target, by name.
        :param patience: seconds for which a lost person may come back with the same id.
        :param transforms: with `target_frame`.
        :param tf: whether to publish the frame `target`.
        """
        self._node = node
        self._publishers = publishers
        self._patience = patience
        self._transforms = transforms
        self._broadcaster = make_broadcaster(node, 'target_tf') if tf else None
        self._clicks = [
            node.create_subscription(PointStamped, 'target_point', self._take_point, 10),
            node.create_subscription(Point, 'target_pixel', self._take_pixel, 10),
        ]
        self.forget()

    def forget(self) -> None:
        """Begin anew: all tracks ended."""
        self._follower = Follower(self._patience)
        self._heading = Heading()
        # The target, when it was answered for, and the time of that frame.
        self._answer: tuple[Optional[Target], float, int] = (None, 0.0, 0)
        # Of the newest frame, for clicks: tracks, frame of the images, 3D boxes and their frame.
        self._newest: _Scene = ((), '', None, '')

    def destroy(self) -> None:
        """End the subscriptions, and the frame of tf."""
        for each in self._clicks:
            self._node.destroy_subscription(each)
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)

    @property
    def target(self) -> Optional[Target]:
        """The target and its status; None if no target is set."""
        target, answered, time = self._answer
        silent = clock.monotonic() - answered > SILENCE
        if target is None or target.status is TargetStatus.LOST or not silent:
            return target
        return replace(target, status=TargetStatus.LOST, since=time)

    @property
    def needs_positions(self) -> bool:
        """Whether 3D positions may be clicked on."""
        return self._node.count_publishers(self._clicks[0].topic_name) > 0

    def update(
        self,
        frame: FrameResult,
        wanted: str,
        boxes: Optional[Mapping[int, Box3D]] = None,
        known: Collection[int] = (),
        frame_id: str = '',
    ) -> Optional[int]:
        """
        Look for the target in the next frame, and publish the detection.

        :param wanted: the parameter `target`.
        :param boxes: measured 3D boxes by id; None without depth.
        :param known: with depth, ids of those measured a moment before.
        :param frame_id: frame of the boxes.
        :returns: the id of the target, if it is measured.
        """
        visible = {track.id: track for track in frame.tracks}
        measured = {
            id_: track
            for id_, track in visible.items()
            if (track.detection is not None if boxes is None else id_ in boxes)
        }
        height, width = (0, 0) if frame.image is None else frame.image.shape[:2]
        chosen = choose(wanted, [*measured.values()], boxes, (width, height), frame.similar)
        time, before = frame.moment.time, self._answer[0]
        known = visible if boxes is None else known
        target = self._follower.update(wanted, visible, measured, known, chosen, time)
        self._answer = (target, clock.monotonic(), time)
        self._newest = (frame.tracks, frame.header.frame_id, boxes, frame_id)
        if target is None or target.id is None:
            return None
        if target_id(wanted) is None and (before is None or before.id != target.id):
            self._node.get_logger().info(f'target {wanted}: person {target.id} is followed')
        track = visible.get(target.id)
        if track is not None and track.detection is not None:
            self._publishers['target_detection'].publish(track_to_detection(track, frame.header))
        return target.id if target.status is TargetStatus.SEEN else None

    def publish_pose(
        self, id_: int, motion: Motion, viewpoint: FloatArray, header: Header
    ) -> None:
        """
        Publish where the target is on the floor.

        :param viewpoint: the position of the camera.
        :param header: with the frame of both.
        """
        yaw = self._heading.update(id_, motion.position, motion.velocity, viewpoint)
        odometry = motion_to_odometry(motion, yaw, header)
        pose = odometry.pose.pose
        self._publishers['target_pose'].publish(PoseStamped(header=header, pose=pose))
        self._publishers['target_odometry'].publish(odometry)
        if self._broadcaster is not None:
            frame = TransformStamped(header=header, child_frame_id=odometry.child_frame_id)
            at, frame.transform.rotation = frame.transform.translation, pose.orientation
            at.x, at.y = pose.position.x, pose.position.y
            self._broadcaster.sendTransform(frame)

    def _take_pixel(self, point: Point) -> None:
        self._take_point(PointStamped(point=point))

    def _take_point(self, message: PointStamped) -> None:
        """Set the target to the person at a point."""
        at, logger = message.point, self._node.get_logger()
        where = f'the point {at.x:g}, {at.y:g}, {at.z:g} in {message.header.frame_id!r}'
        try:
            id_ = self._find(message)
        except ImageError as error:
            logger.warning(f'target is as it was: {where}: {error}')
            return
        (result,) = self._node.set_parameters([Parameter('target', value=str(id_))])
        logger.info(f'target {id_}, the person at {where}: {result.reason or "followed"}')

    def _find(self, message: PointStamped) -> int:
        tracks, camera, boxes, fixed = self._newest
        frame, at = message.header.frame_id.removeprefix('/'), message.point
        point = np.array([at.x, at.y, at.z])
        # In the frame of the camera, pixels have no z, and points in space a positive one.
        if not frame or (frame == camera.removeprefix('/') and at.z == 0):
            found = least({track.id: off(track, point[:2]) for track in tracks}, 0.5)
        elif boxes is None:
            raise ImageError('3D points need depth; pixels have no frame_id')
        else:
            if frame != fixed.removeprefix('/'):
                if self._transforms is None:
                    raise ImageError('other frames than that of the camera need target_frame')
                pose = self._transforms.newest(frame)
                point = pose.rotation @ point + pose.position
            found = least({id_: on_floor(box, point) for id_, box in boxes.items()}, REACH)
        if found is None:
            raise ImageError('no person is there in the newest frame')
        return found
