"""How the camera turned from image to image, as tf says."""

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

# Seconds that an image whose persons are detected waits for its transform.
PATIENCE = 0.1
_WARNING_PERIOD = 5.0


class TurningCamera:
    """Tells what the rotation of the camera does to the background; for the worker alone."""

    def __init__(self, node: Node, transforms: Transforms) -> None:
        """Begin without an image."""
        self._node = node
        self._transforms = transforms
        self._expected: Future[Pose] = Future()
        self._last: Optional[Pose] = None

    def expect(self, header: Header, stamped: bool) -> None:
        """
        Ask tf for the transform of the next image, which may come while it is worked on.

        :param stamped: whether the stamp tells the time.
        """
        self._expected = self._transforms.expect(header, stamped)

    def motion(
        self, info: Optional[CameraInfo], image: Optional[BgrImage]
    ) -> Optional[FloatArray]:
        """
        Return the motion since the last image of which it was known, as trackers take it.

        :param info: calibration of the image that is expected.
        :param image: None where there are only detections, of images as the calibration says.
        :returns: None where it is not known, after a line in the log.
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
            self._complain(f'tf is more than {PATIENCE:g} s behind the images')
            return None
        except ImageError as error:
            self._complain(str(error))
            return None
        last, self._last = self._last, pose
        if last is None:
            return None
        return rotation_to_motion(pose.rotation.T @ last.rotation, camera, size)

    def forget(self) -> None:
        """Begin anew: time went back."""
        self._last = None

    def _complain(self, reason: str) -> None:
        self._node.get_logger().warning(
            f'the camera counts as still in this image: {reason}',
            throttle_duration_sec=_WARNING_PERIOD,
        )
