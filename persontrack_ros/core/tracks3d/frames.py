"""3D boxes in a frame that stands still, such as `odom` or `map` (REP 105)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.tracks3d.depth import Box3D


@dataclass(frozen=True)
class Pose:
    """
    Where a frame is in another one: a point of it is there at ``rotation @ point + position``.

    :ivar rotation: shape ``(3, 3)``.
    :ivar position: of its origin, shape ``(3,)``, in metres.
    """

    rotation: FloatArray
    position: FloatArray

    @classmethod
    def from_quaternion(cls, position: Sequence[float], quaternion: Sequence[float]) -> Pose:
        """
        Take a transform as messages have it.

        :param quaternion: ``[x, y, z, w]``; its length does not matter.
        """
        rotation = Rotation.from_quat(quaternion).as_matrix()
        return cls(rotation, np.array(position, dtype=np.float64))

    def transform(self, box: Box3D) -> Box3D:
        """
        Return a box measured by a camera that has this pose in a frame whose z points up.

        :returns: an upright box, whose x points away from the camera.
        """
        width, height, thickness = box.size
        away = self.rotation @ box.position
        return replace(
            box,
            position=away + self.position,
            size=np.array([thickness, width, height]),
            away=away,
            covariance=self.rotation @ box.covariance @ self.rotation.T,
            yaw=math.atan2(away[1], away[0]),
        )

    @property
    def is_of_link(self) -> bool:
        """
        Whether the frame is that of a link, x forward and z up, instead of an optical one.

        An optical frame has y down (REP 103), or up if the camera is mounted upside down; its z
        points up in no camera that sees persons.
        """
        return bool(self.rotation[2, 2] > 0.6 and abs(self.rotation[2, 1]) < 0.6)
