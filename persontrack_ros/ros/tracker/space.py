"""The topics with 3D positions: ``tracks_3d``, ``markers`` and ``persons``."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Optional

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from persontrack_ros.core.base.errors import PersontrackError, one_line
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracks3d.depth import MAX_AGE, Box3D, Locator, Scene
from persontrack_ros.core.tracks3d.frames import Pose
from persontrack_ros.core.tracks3d.motion_filter import Motion, MotionFilter
from persontrack_ros.ros.tracker.humans import HumanTopics
from persontrack_ros.ros.tracker.messages import Markers, boxes_3d_to_cloud, boxes_3d_to_message
from persontrack_ros.ros.tracker.processing import FrameResult
from persontrack_ros.ros.tracker.target import Targets
from persontrack_ros.ros.tracker.transforms import Transforms

_WARNING_PERIOD = 5.0


class Space:
    """
    Publishes the 3D positions of persons, frame by frame, once depth and transform have come.

    Each 3D position was measured in its frame. Publishing may happen on the worker's thread or the
    executor's; all methods can be called by both.

    :ivar fault: what failed in the last frame, or empty.
    """

    def __init__(
        self,
        node: Node,
        publishers: Mapping[str, Publisher],
        targets: Targets,
        transforms: Optional[Transforms] = None,
        humans: Optional[HumanTopics] = None,
    ) -> None:
        """
        Begin without persons.

        :param publishers: of the topics with 3D positions, by name.
        :param targets: gets the positions.
        :param transforms: to the frame of what is published; None: that of the camera.
        :param humans: which have frames of tf.
        """
        self._node = node
        self._publishers = publishers
        self._targets = targets
        self._transforms = transforms
        self._humans = humans
        self.fault = ''
        self._lock = threading.RLock()
        self._markers = Markers()
        self._forget()

    def _forget(self) -> None:
        self._frames: deque[tuple[FrameResult, Optional[Future[Pose]], str]] = deque()
        self._locator = Locator()
        self._filter = MotionFilter()
        self._measured: dict[int, int] = {}

    def publish(self, frame: FrameResult, target: str = '') -> None:
        """
        Locate the persons of a frame, now or later.

        :param frame: with an image and depth.
        :param target: the parameter.
        """
        assert frame.depth is not None
        transform = None
        if self._transforms is not None:
            transform = self._transforms.expect(frame.header, frame.moment.stamped)
        with self._lock:
            self._frames.append((frame, transform, target))
        frame.depth.add_done_callback(lambda _: self._advance())
        if transform is not None:
            transform.add_done_callback(lambda _: self._advance())

    def motions(self, tracks: Sequence[Track], time: int) -> dict[int, Motion]:
        """Return the known motions of persons at the time of a frame, by id."""
        with self._lock:
            found = {track.id: self._filter.at(track.id, time) for track in tracks}
        return {id_: motion for id_, motion in found.items() if motion is not None}

    def clear(self) -> None:
        """Forget all tracks, and delete their markers."""
        with self._lock:
            self._forget()
            markers = self._markers.clear(Header())
            if self._node.context.ok():
                self._publishers['markers'].publish(markers)

    def _advance(self) -> None:
        """Publish the frames for which everything is decided, in their order."""
        with self._lock:
            while self._frames:
                frame, transform, target = self._frames[0]
                assert frame.depth is not None
                if not (frame.depth.done() and (transform is None or transform.done())):
                    return
                self._frames.popleft()
                try:
                    self._finish(frame, transform, target)
                    self.fault = ''
                except Exception as error:  # noqa: BLE001 - a future would hide it
                    # After Ctrl-C, nothing can be published.
                    if self._node.context.ok():
                        self.fault = f'no tracks_3d: {one_line(error)}'
                        self._node.get_logger().error(
                            self.fault, throttle_duration_sec=_WARNING_PERIOD
                        )

    def _finish(self, frame: FrameResult, transform: Optional[Future[Pose]], target: str) -> None:
        camera, header = None, frame.header
        boxes = measured = self._measure(frame)
        if transform is not None and self._transforms is not None:
            # Transforms has logged why one failed.
            failed = transform.cancelled() or transform.exception() is not None
            camera = None if failed else transform.result()
            moved = {}
            if camera is None:
                boxes = None
            elif boxes is not None:
                moved = {id_: camera.transform(box) for id_, box in boxes.items()}
                header = Header(stamp=header.stamp, frame_id=self._transforms.target)
            # Also without a measurement, which the next one is then not successive to.
            known = self._filter.update(
                [track.id for track in frame.tracks], moved, frame.moment.time
            )
            boxes = None if boxes is None else known
        if boxes is not None:
            self._publishers['tracks_3d'].publish(boxes_3d_to_message(frame.tracks, boxes, header))
            if self._publishers['persons'].get_subscription_count():
                self._publishers['persons'].publish(boxes_3d_to_cloud(boxes, header))
        boxes = boxes or {}
        if self._humans:
            places = {id_: box.position for id_, box in (measured or {}).items() if id_ in boxes}
            self._humans.locate(frame.header, places)
        self._measured |= dict.fromkeys(boxes, frame.moment.time)
        visible = {track.id for track in frame.tracks}
        self._measured = {
            id_: time
            for id_, time in self._measured.items()
            if id_ in visible and frame.moment.time - time <= MAX_AGE * SECOND
        }
        followed = self._targets.update(frame, target, boxes, self._measured, header.frame_id)
        if camera is not None and followed is not None:
            motion = self._filter.at(followed, frame.moment.time)
            assert motion is not None
            self._targets.publish_pose(followed, motion, camera.position, header)
        self._publishers['markers'].publish(self._markers.update(self._measured, boxes, header))

    def _measure(self, frame: FrameResult) -> Optional[dict[int, Box3D]]:
        """Return the 3D boxes in the frame of the camera by id; None after a warning."""
        detections = np.zeros((0, 4)) if frame.detections is None else frame.detections.boxes
        assert frame.image is not None
        assert frame.depth is not None
        try:
            scene = Scene(*frame.depth.result(), frame.image.shape[1::-1])
            return self._locator.locate(frame.tracks, detections, scene, frame.moment.time)
        except PersontrackError as error:
            self._node.get_logger().warning(
                f'no tracks_3d: {one_line(error)}', throttle_duration_sec=_WARNING_PERIOD
            )
            return None
