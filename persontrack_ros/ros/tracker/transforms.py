"""
Poses of the camera in a fixed frame and its rotation between frames, from tf.

Only this module imports tf2_ros, which not every ROS 2 has.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, NamedTuple, Optional

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from persontrack_ros.core.base.calibration import Camera
from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.tracking.camera_motion import rotation_to_motion
from persontrack_ros.core.tracks3d.frames import Pose
from persontrack_ros.ros.compat import not_installed

try:
    from tf2_ros import Buffer, TransformBroadcaster, TransformException, TransformListener
except ImportError:
    Buffer = object

# Seconds that a transform may be late.
PATIENCE = 1.0
# Seconds by which stamps of frames go back where time does.
_BACK = 1.0
# Seconds that a frame waits after detection for the rotation of the camera.
ROTATION_PATIENCE = 0.1
_WARNING_PERIOD = 5.0


def make_broadcaster(node: Node, parameter: str) -> Any:
    """Return a publisher of transforms; raises SettingsError if tf2_ros is not installed."""
    if Buffer is object:
        raise not_installed(parameter, 'tf2_ros_py')
    return TransformBroadcaster(node)


class _Waiting(NamedTuple):
    frame: str
    time: Time
    until: float
    future: Future[Pose]


class Transforms(Buffer):
    """
    A buffer of tf; a transform that is late completes its future later, and no thread waits.

    All methods can be called from any thread.

    :ivar target: the fixed frame.
    :ivar missing: number of images whose transform did not come.
    :ivar fault: why the newest one did not come, or empty.
    """

    def __init__(self, node: Node, target: str) -> None:
        """
        Listen.

        :raises SettingsError: if tf2_ros is not installed.
        """
        if Buffer is object:
            raise not_installed('target_frame', 'tf2_ros_py')
        super().__init__()
        self.target = target
        self.missing, self.fault = 0, ''
        self._node = node
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._logged = ''
        self._newest = 0
        self._listener = TransformListener(self, node)

    def destroy(self) -> None:
        """End the subscriptions; what is waited for does not come."""
        self._listener.unregister()
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.future.cancel()

    def newest(self, frame: str) -> Pose:
        """
        Return the newest pose in the target of a frame.

        :raises ImageError: if tf does not have it.
        """
        pose = self._pose(frame, Time())
        if pose is None:
            raise ImageError(f'tf has no transform from {frame!r} to {self.target!r}')
        return pose

    def expect(self, header: Header, stamped: bool) -> Future[Pose]:
        """
        Return the pose in the target of the frame of an image, at its stamp.

        It raises ImageError if tf does not have it in time, the frame is not an optical one, or
        the stamp is not a time: tf2 would take 0 for the newest transform.

        :param stamped: whether the stamp is a time.
        """
        future: Future[Pose] = Future()
        # As tf2 does with the frames of messages.
        frame = header.frame_id.removeprefix('/')
        stamp = stamp_to_nanoseconds(header)
        if not stamped or stamp == 0:
            reason = (
                'the stamps of the frames are not times, which tf needs: let the driver set '
                'header.stamp'
            )
            self._refuse(future, 'stamps', reason)
            return future
        if stamp < self._newest - 1e9 * _BACK:
            # Newer transforms would be in the way of all that come. What is static stays.
            self.clear()
        self._newest = stamp
        until = time.monotonic() + PATIENCE
        with self._lock:
            self._waiting.append(_Waiting(frame, Time.from_msg(header.stamp), until, future))
        self._settle()
        return future

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that has come."""
        super().set_transform(transform, authority)
        self._settle()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that has come."""
        super().set_transform_static(transform, authority)
        self._settle()

    def _settle(self) -> None:
        """Answer what is known now, and give up what is too late."""
        done: list[tuple[_Waiting, Optional[Pose]]] = []
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            now = time.monotonic()
            for each in waiting:
                pose = self._pose(each.frame, each.time)
                if pose is not None or now > each.until:
                    done.append((each, pose))
                else:
                    self._waiting.append(each)
        # Not within the lock: a callback of a future may request another transform.
        for each, pose in done:
            if pose is None:
                self._refuse(each.future, 'late', self._reason(each))
            elif pose.is_of_link:
                reason = (
                    f'the frame_id of the images, {each.frame!r}, is no optical frame: in '
                    f'{self.target!r} its z points up, not forward. Let the driver name the '
                    'optical frame (z forward, y down, REP 103; optical_frame_id in Gazebo), or '
                    'publish one by static_transform_publisher'
                )
                self._refuse(each.future, each.frame, reason)
            else:
                self._logged = self.fault = ''
                each.future.set_result(pose)

    def _pose(self, frame: str, time_: Time) -> Optional[Pose]:
        try:
            found = self.lookup_transform_core(self.target, frame, time_).transform
        except TransformException:
            return None
        at, turned = found.translation, found.rotation
        return Pose.from_quaternion((at.x, at.y, at.z), (turned.x, turned.y, turned.z, turned.w))

    def _reason(self, waiting: _Waiting) -> str:
        _, reason = self.can_transform_core(self.target, waiting.frame, waiting.time)
        frames = ' '.join(self.all_frames_as_string().split())
        return (
            f'tf gave no transform from {waiting.frame!r} to {self.target!r} within '
            f'{PATIENCE:g} s: {" ".join(reason.split())}; tf knows: {frames or "no frames"}'
        )

    def _refuse(self, future: Future[Pose], kind: str, reason: str) -> None:
        """Fail a request, with a warning when the kind of reason is new."""
        self.missing += 1
        self.fault = f'no positions in {self.target!r}: {reason}'
        if kind != self._logged:
            self._logged = kind
            self._node.get_logger().warning(self.fault)
        future.set_exception(ImageError(reason))


class TurningCamera:
    """Computes the motion of the background by the rotation of the camera; for one thread."""

    def __init__(self, node: Node, transforms: Transforms) -> None:
        """Begin without a frame."""
        self._node = node
        self._transforms = transforms
        self._expected: Future[Pose] = Future()
        self._last: Optional[Pose] = None

    def expect(self, header: Header, stamped: bool) -> None:
        """
        Request the transform of the next frame, which may come while the frame is processed.

        :param stamped: whether the stamp is a time.
        """
        self._expected = self._transforms.expect(header, stamped)

    def motion(
        self, info: Optional[CameraInfo], image: Optional[BgrImage]
    ) -> Optional[FloatArray]:
        """
        Return the motion since the last frame with a transform, as trackers take it.

        :param info: calibration of the image that is expected.
        :param image: None where there are only detections; the calibration has the size then.
        :returns: None where it is unknown; a warning is logged.
        """
        try:
            if info is None:
                raise ImageError('no camera_info has come')
            size = (info.width, info.height) if image is None else image.shape[1::-1]
            if not all(size):
                raise ImageError('the camera_info has no size')
            camera = Camera(info, size)
            pose = self._expected.result(ROTATION_PATIENCE)
        except (CancelledError, FutureTimeoutError):
            self._warn(f'tf is more than {ROTATION_PATIENCE:g} s behind the frames')
            return None
        except ImageError as error:
            self._warn(str(error))
            return None
        last, self._last = self._last, pose
        if last is None:
            return None
        return rotation_to_motion(pose.rotation.T @ last.rotation, camera, size)

    def forget(self) -> None:
        """Begin anew: time went back."""
        self._last = None

    def _warn(self, reason: str) -> None:
        self._node.get_logger().warning(
            f'the camera counts as still in this frame: {reason}',
            throttle_duration_sec=_WARNING_PERIOD,
        )
