"""
Where persons are in space: what depth images and calibrations of cameras say.

Depth is *registered*: each pixel of the depth image looks where the pixel of the colour image
looks that is at the same part of its width and height. Results are in the optical frame of the
camera (REP 103): metres, x to the right, y down, z forward.

Messages are whatever has the attributes of their ROS types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.calibration import Camera, picture_scale
from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.images.encodings import RawImage, depth_to_metres, image_to_depth
from persontrack_ros.core.tracking.track import Track

if TYPE_CHECKING:
    from persontrack_ros.core.space.motion_filter import Motion

# The part of a box, from left and top, in which depths are looked at: the trunk rather than
# what is beside it, and the floor at the feet.
COLUMNS = (0.2, 0.8)
ROWS = (0.05, 0.75)

# Depth that the visible side of a person takes up, in metres.
THICKNESS = 0.4

# Part of the region that has to agree on a depth, the middle of it counting most.
MIN_SHARE = 0.25

# How far a person may have come who was not detected for a moment, in metres.
MAX_STEP = 0.5

# Samples in each direction; more make nothing more certain.
_SAMPLES = 32


@dataclass(frozen=True)
class Place:
    """
    Where a person is.

    :ivar position: ``[x, y, z]`` of the middle of the side that is seen, in metres.
    :ivar size: ``[width, height, depth]`` in metres; depth is that of the side that is seen.
        Where there is a yaw, ``[depth, width, height]``.
    :ivar yaw: of the upright box in a frame whose z points up, in radians; None in the optical
        frame of the camera.
    :ivar motion: in a frame that stands still, where it is known.
    """

    position: FloatArray
    size: FloatArray
    yaw: Optional[float] = None
    motion: Optional[Motion] = None


class Scene:
    """What a depth image and a calibration say of the places of persons in an image."""

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

    def locate(self, box: FloatArray, near: Optional[float] = None) -> Optional[Place]:
        """
        Find the place of a person.

        :param box: ``[left, top, width, height]`` in pixels of the image.
        :param near: distance z at which a person was who is not detected but expected in the box,
            so that nobody is mistaken for them who stands in front of them.
        :returns: None where too little of the depth is known, or it is not clear.
        """
        found = self._surface(box, near)
        if found is None:
            return None
        distance, thickness = found
        left, top, width, height = box
        sides = np.array([[0.5, 0.5], [0, 0.5], [1, 0.5], [0.5, 0], [0.5, 1]])
        middle, *ends = self._camera.rays([left, top] + sides * [width, height])
        size = [ends[1][0] - ends[0][0], ends[3][1] - ends[2][1]]
        place = Place(
            position=distance * np.array([*middle, 1.0]),
            size=np.array([distance * size[0], distance * size[1], thickness]),
        )
        # What is far outside of a distorted image is nowhere.
        return place if np.isfinite([place.position, place.size]).all() else None

    def _surface(self, box: FloatArray, near: Optional[float]) -> Optional[tuple[float, float]]:
        """Return the distance of the side of a person that is seen, and its thickness."""
        height, width = self._depth.shape
        left, top, box_width, box_height = box * [*self._scale, *self._scale]
        columns, column_weights = _sample(left, box_width, COLUMNS, width)
        rows, row_weights = _sample(top, box_height, ROWS, height)
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
        low, middle, high = _quantiles(depths, sums, first, end, [0.05, 0.5, 0.95])
        return middle, high - low


def _quantiles(
    depths: NDArray[np.float32], sums: FloatArray, first: int, end: int, which: list[float]
) -> list[float]:
    """Return quantiles of sorted depths from `first` to `end`, given the sums of weights."""
    wanted = sums[first] + np.array(which) * (sums[end] - sums[first])
    return depths[np.searchsorted(sums, wanted) - 1].tolist()


class Locator:
    """Finds the places of tracks from image to image."""

    def __init__(self) -> None:
        """Start without tracks."""
        self._distances: dict[int, float] = {}

    def locate(self, tracks: Sequence[Track], scene: Scene) -> dict[int, Place]:
        """
        Find the places of the tracks of the next image.

        :returns: by id, of those whose place is known; that of a track which is not detected is,
            where somebody is about as far away as the person was.
        """
        distances, places = {}, {}
        for track in tracks:
            last = self._distances.get(track.id)
            if track.detection is None and last is None:
                continue
            place = scene.locate(track.box, last if track.detection is None else None)
            if place is not None:
                places[track.id], last = place, float(place.position[2])
            if last is not None:
                distances[track.id] = last
        self._distances = distances
        return places


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
