"""
3D boxes of persons, from depth images and calibrations of cameras.

Depth is *registered*: each pixel of the depth image has the direction of the pixel of the colour
image at the same part of its width and height. Results are in the optical frame of the
camera (REP 103): metres, x to the right, y down, z forward.

Messages are whatever has the attributes of their ROS types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.calibration import Camera, picture_scale
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.media.encodings import RawImage, depth_to_metres, image_to_depth
from persontrack_ros.core.tracking.track import Track

# The part of a box, from left and top, in which depths are looked at: the trunk rather than
# what is beside it, and the floor at the feet.
COLUMNS = (0.2, 0.8)
ROWS = (0.05, 0.75)

# Depth that the visible side of a person takes up, in metres.
THICKNESS = 0.4

# Part of the region that has to agree on a depth, the middle of it counting most.
MIN_SHARE = 0.25

# Seconds after a measurement for which a position is known.
MAX_AGE = 0.3

# How far a person may have come who was not detected for a moment, in metres.
MAX_STEP = 0.5

# No box of a person is wider or higher, in metres: nearer than the camera can measure, depth has
# holes where the person is, and knows only what is behind them.
MAX_SIZE = (2.0, 2.6)

# Samples in each direction; more make nothing more certain.
_SAMPLES = 32


# Standard deviation of a distance, in metres, and at least this part of it.
DEPTH_NOISE = 0.04
RELATIVE_NOISE = 0.01

# Standard deviation of what is between the middle of a box and that of the person, in metres:
# arms, legs, and what hides a side. It stays for many frames, therefore no filter averages it out.
# Boxes of the motion model lag while the camera turns.
DETECTED, PREDICTED = 0.1, 0.25


@dataclass(frozen=True)
class Box3D:
    """
    A person in space.

    :ivar position: ``[x, y, z]`` of the middle of the side that is seen, in metres.
    :ivar size: ``[width, height, depth]`` in metres; depth is that of the side that is seen.
        Where there is a yaw, ``[depth, width, height]``.
    :ivar away: from the camera to the position.
    :ivar lateral: standard deviation across that, in metres.
    :ivar covariance: of the position, shape ``(3, 3)``.
    :ivar yaw: of the upright box in a frame whose z points up, in radians; None in the optical
        frame of the camera.
    :ivar velocity: in a frame that stands still, in metres per second.
    """

    position: FloatArray
    size: FloatArray
    away: FloatArray
    lateral: float
    covariance: FloatArray
    yaw: Optional[float] = None
    velocity: Optional[FloatArray] = None

    @classmethod
    def measured(cls, position: FloatArray, size: FloatArray, lateral: float) -> Box3D:
        """Take a measurement in the optical frame of the camera."""
        box = cls(position, size, position, lateral, np.zeros((3, 3)))
        covariance = depth_noise(box) ** 2 * np.eye(3) + lateral_covariance(box)
        return replace(box, covariance=covariance)


def depth_noise(box: Box3D) -> float:
    """Return the standard deviation of a measured position, of one frame alone."""
    return max(DEPTH_NOISE, RELATIVE_NOISE * float(np.linalg.norm(box.away)))


def lateral_covariance(box: Box3D) -> FloatArray:
    """Return the covariance, of shape ``(3, 3)``, of what is the same in many frames."""
    ray = box.away / np.linalg.norm(box.away)
    return box.lateral**2 * (np.eye(3) - np.outer(ray, ray))


class Scene:
    """What a depth image and a calibration say of the persons in an image."""

    def __init__(self, depth: RawImage, info: Any, image_size: tuple[int, int]) -> None:
        """
        Take a depth image.

        :param depth: a ``sensor_msgs/msg/Image``, 16UC1 or 32FC1, of any resolution.
        :param info: see :class:`Camera`.
        :param image_size: width and height of the image that boxes are of.
        :raises ImageError: if depth or calibration cannot be used.
        """
        self._depth = image_to_depth(depth)
        self._camera = Camera(info, image_size)
        self._scale = picture_scale('depth image', self._depth.shape[::-1], image_size)

    def locate(self, box: FloatArray, near: Optional[float] = None) -> Optional[Box3D]:
        """
        Measure the 3D box of a person.

        :param box: ``[left, top, width, height]`` in pixels of the image.
        :param near: distance z at which a person was who is not detected but expected in the box,
            so that a person in front of them is not mistaken for them.
        :returns: None where too little of the depth is known, it is not clear, or it is that of
            something larger than a person.
        """
        shape = self._depth.shape
        left, top, box_width, box_height = box * [*self._scale, *self._scale]
        columns, column_weights = _sample(left, box_width, COLUMNS, shape[1])
        rows, row_weights = _sample(top, box_height, ROWS, shape[0])
        if not (len(columns) and len(rows)):
            return None
        depths = depth_to_metres(self._depth[np.ix_(rows, columns)]).ravel()
        weights = np.outer(row_weights, column_weights).ravel()
        known = np.isfinite(depths)
        if near is not None:
            known &= abs(depths - near) <= MAX_STEP
        depths, shares = depths[known], weights[known] / weights.sum()
        order = np.argsort(depths)
        depths, sums = depths[order], np.concatenate([[0.0], np.cumsum(shares[order])])
        # Background and what stands in front are elsewhere in depth: the person is where most of
        # the depths are within the thickness of one.
        ends = np.searchsorted(depths, depths + THICKNESS, 'right')
        agreeing = sums[ends] - sums[:-1]
        if not len(depths) or agreeing.max() < MIN_SHARE:
            return None
        first = int(np.argmax(agreeing))
        (middle,) = _quantiles(depths, sums, first, int(ends[first]), [0.5])
        # What is close behind or before the person may be among them; around the middle it is not.
        around = np.searchsorted(depths, [middle - THICKNESS / 2, middle + THICKNESS / 2])
        first, end = around.tolist()
        low, distance, high = _quantiles(depths, sums, first, end, [0.05, 0.5, 0.95])
        left, top, width, height = box
        sides = np.array([[0.5, 0.5], [0, 0.5], [1, 0.5], [0.5, 0], [0.5, 1]])
        center, *corners = self._camera.rays([left, top] + sides * [width, height])
        size = distance * np.array([corners[1][0] - corners[0][0], corners[3][1] - corners[2][1]])
        position = distance * np.array([*center, 1.0])
        # What is far outside of a distorted image is nowhere.
        if not np.isfinite([*position, *size]).all() or (size > MAX_SIZE).any():
            return None
        lateral = DETECTED if near is None else PREDICTED
        return Box3D.measured(position, np.array([*size, high - low]), lateral)


def _quantiles(
    depths: NDArray[np.float32], sums: FloatArray, first: int, end: int, which: list[float]
) -> list[float]:
    """Return quantiles of sorted depths from `first` to `end`, given the sums of weights."""
    wanted = sums[first] + np.array(which) * (sums[end] - sums[first])
    return depths[np.searchsorted(sums, wanted) - 1].tolist()


class Locator:
    """Measures the 3D boxes of tracks from frame to frame."""

    def __init__(self) -> None:
        """Start without tracks."""
        self._seen: dict[int, tuple[float, int]] = {}

    def locate(
        self, tracks: Sequence[Track], detections: FloatArray, scene: Scene, time: int
    ) -> dict[int, Box3D]:
        """
        Measure the tracks of the next frame.

        :param detections: the detected boxes, shape ``(N, 4)``: those of tracks lag while the
            camera turns.
        :param time: of the frame, in nanoseconds.
        :returns: by id, of those that could be measured; a track that is not detected is measured
            for `MAX_AGE` where the depth is about that of the person before.
        """
        seen, measured = {}, {}
        for track in tracks:
            distance, since = self._seen.get(track.id, (None, 0))
            if track.detection is not None:
                box, since = scene.locate(detections[track.detection]), time
            elif distance is not None and time - since <= MAX_AGE * SECOND:
                box = scene.locate(track.box, distance)
            else:
                continue
            if box is not None:
                measured[track.id], distance = box, float(box.position[2])
            if distance is not None:
                seen[track.id] = distance, since
        self._seen = seen
        return measured


def _sample(
    start: float, length: float, part: tuple[float, float], end: int
) -> tuple[NDArray[np.intp], FloatArray]:
    """
    Choose rows or columns in a part of a box.

    :returns: indices, and positive weights that fall from the middle of the part to its ends.
    """
    first, last = start + part[0] * length, start + part[1] * length
    indices = np.arange(max(0, int(np.ceil(first - 0.5))), min(end, int(np.ceil(last - 0.5))))
    indices = indices[:: max(1, len(indices) // _SAMPLES)]
    half = (last - first) / 2
    middles = indices.astype(np.float64) + 0.5
    return indices, 1.001 - abs(middles - first - half) / half
