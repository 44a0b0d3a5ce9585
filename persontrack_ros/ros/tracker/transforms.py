"""
Where cameras are in a fixed frame, from tf.

Only this module imports tf2_ros, which not every ROS 2 has.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple, Optional

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.core.space.frames import Pose

try:
    from tf2_ros import Buffer, TransformException, TransformListener
except ImportError:
    Buffer = object

# Seconds that a transform may be late.
PATIENCE = 1.0
# Seconds by which the stamps of a frame go back where time does.
_BACK = 1.0


class _Waiting(NamedTuple):
    header: Header
    until: float
    future: Future[Pose]


class Transforms(Buffer):  # type: ignore[misc]
    """
    What tf tells; whoever needs what is late gets it later, without waiting.

    All methods can be called from any thread.

    :ivar target: the fixed frame.
    :ivar missing: number of images whose transform did not come.
    """

    def __init__(self, node: Node, target: str) -> None:
        """
        Listen.

        :raises SettingsError: if tf2_ros is not installed.
        """
        if Buffer is object:
            distribution = os.environ.get('ROS_DISTRO', '<distribution>')
            raise SettingsError(
                f'target_frame needs tf2_ros, which is not installed: '
                f'sudo apt install ros-{distribution}-tf2-ros-py'
            )
        super().__init__()
        self.target = target
        self.missing = 0
        self._node = node
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._stamps: dict[str, int] = {}
        self._told = False
        self._listener = TransformListener(self, node)

    def destroy(self) -> None:
        """End the subscriptions; what is waited for does not come."""
        self._listener.unregister()
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.future.cancel()

    def expect(self, header: Header) -> Future[Pose]:
        """
        Return the pose in the target of the frame of an image, at its stamp.

        It is cancelled if tf does not tell it in time.
        """
        future: Future[Pose] = Future()
        with self._lock:
            self._waiting.append(_Waiting(header, time.monotonic() + PATIENCE, future))
        self._settle()
        return future

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Take a transform from the listener."""
        stamp = stamp_to_nanoseconds(transform.header)
        with self._lock:
            if stamp < self._stamps.get(transform.child_frame_id, stamp) - 1e9 * _BACK:
                # Time went back: newer transforms would be in the way of all that come.
                self._forget()
            self._stamps[transform.child_frame_id] = stamp
        super().set_transform(transform, authority)
        self._settle()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Take a transform from the listener."""
        super().set_transform_static(transform, authority)
        self._settle()

    def forget(self) -> None:
        """Forget all but what is static: time went back."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._stamps.clear()
        self.clear()

    def _settle(self) -> None:
        """Answer those who wait for what is known now, and give up what is too late."""
        done: list[tuple[_Waiting, Optional[Pose]]] = []
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            now = time.monotonic()
            for each in waiting:
                pose = self._pose(each.header)
                if pose is not None or now > each.until:
                    done.append((each, pose))
                else:
                    self._waiting.append(each)
        # Not within the lock: whoever waits may ask for more.
        for each, pose in done:
            if pose is None:
                self._give_up(each)
            else:
                self._told = False
                each.future.set_result(pose)

    def _pose(self, header: Header) -> Optional[Pose]:
        try:
            found = self.lookup_transform_core(
                self.target, header.frame_id, Time.from_msg(header.stamp)
            ).transform
        except TransformException:
            return None
        at, turned = found.translation, found.rotation
        return Pose.from_quaternion((at.x, at.y, at.z), (turned.x, turned.y, turned.z, turned.w))

    def _give_up(self, waiting: _Waiting) -> None:
        self.missing += 1
        if not self._told:
            self._told = True
            header = waiting.header
            _, reason = self.can_transform_core(
                self.target, header.frame_id, Time.from_msg(header.stamp)
            )
            frames = ' '.join(self.all_frames_as_string().split())
            self._node.get_logger().warning(
                f'tf did not tell within {PATIENCE:g} s where {header.frame_id!r} is in '
                f'{self.target!r}: {" ".join(reason.split())}; tf knows: {frames or "no frames"}'
            )
        waiting.future.cancel()
