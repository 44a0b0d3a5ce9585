"""The rotation of the camera between frames, from tf."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Optional

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from persontrack_ros.core.base.calibration import Camera
from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.tracking.camera_motion import rotation_to_motion
from persontrack_ros.core.tracks3d.frames import Pose
from persontrack_ros.ros.tracker.transforms import Transforms

# Seconds that a frame waits for its transform after detection.
PATIENCE = 0.1
_WARNING_PERIOD = 5.0


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
            pose = self._expected.result(PATIENCE)
        except (CancelledError, FutureTimeoutError):
            self._warn(f'tf is more than {PATIENCE:g} s behind the frames')
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
