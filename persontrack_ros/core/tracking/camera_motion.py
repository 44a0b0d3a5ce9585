"""
The motion of the camera between two images: estimated from the background, or given.

Sources: Shi and Tomasi: Good Features to Track, CVPR 1994; the pyramids of Lucas and Kanade,
Bouguet, 2001; camera motion compensation of tracks, Aharon et al.: BoT-SORT, arXiv:2206.14651.
"""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.calibration import Camera
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import FloatArray, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage, scale
from persontrack_ros.core.config.settings import AFFINE, TF, TrackerSettings

# Images are reduced to this larger side: enough for the motion, and four times as fast as VGA.
LARGER_SIDE = 320

# Corners of the background that are followed, and how far apart they are; reduced pixels.
CORNERS = 150
CORNER_QUALITY = 0.01
CORNER_DISTANCE = 7

# Side of the patch that is compared around a corner, and number of halvings above the reduced
# image: motions of a fifth of the image are found.
PATCH = 15
LEVELS = 3

# Steps of the search at most, and until they are this small: more costs time and gains nothing.
SEARCH = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 10, 0.03)

# A corner that misses the common motion by more, in reduced pixels, moves by itself.
TOLERANCE = 1.0

# A motion is accepted if this number of corners, and this part of them, agree on it, and if it
# changes the size by at most this factor.
MIN_CORNERS = 10
MIN_PART = 0.3
MAX_ZOOM = 1.5

# Points on each side of the image at which a rotation is evaluated, and the smallest z of their
# directions after it.
POINTS = 5
MIN_FORWARD = 0.1


def make_camera_motion(settings: TrackerSettings, exact: bool) -> Optional[CameraMotion]:
    """
    Return the estimator of the camera motion, or None for a fixed camera.

    :raises SettingsError: if the motion is to come from tf.
    """
    if settings.camera_motion == TF:
        raise SettingsError('tracker.camera_motion: tf needs the node: use affine here')
    return CameraMotion(exact) if settings.camera_motion == AFFINE else None


def rotation_to_motion(
    rotation: FloatArray, camera: Camera, image_size: tuple[int, int]
) -> Optional[FloatArray]:
    """
    Return the motion of the background in the image when the camera turns.

    What is infinitely far away moves by a homography; this is the affine map nearest to it.

    :param rotation: of directions in the optical frame before to those after, shape ``(3, 3)``.
    :returns: as :meth:`CameraMotion.follow`; None if the camera turned too far.
    """
    points = np.stack(np.meshgrid(*(np.linspace(0, side, POINTS) for side in image_size)), -1)
    points = points.reshape(-1, 2)
    rays = camera.rays(points)
    directions = np.column_stack([rays, np.ones(len(rays))]) @ rotation.T
    if not (np.isfinite(directions).all() and directions[:, 2].min() > MIN_FORWARD):
        return None
    after = camera.project(directions)
    before = np.column_stack([points, np.ones(len(points))])
    return np.linalg.lstsq(before, after, rcond=None)[0].T


class CameraMotion:
    """Estimates the motion of the camera from image to image of one stream."""

    def __init__(self, exact: bool = False) -> None:
        """
        Start without an image.

        :param exact: as in :func:`~persontrack_ros.core.base.images.scale`.
        """
        self._exact = exact
        self._grey: Optional[NDArray[np.uint8]] = None
        self._corners = np.empty((0, 1, 2), dtype=np.float32)

    def follow(self, image: BgrImage, persons: FloatArray) -> Optional[FloatArray]:
        """
        Compare an image with the one before it.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        :param persons: boxes of the persons in it, shape ``(N, 4)``; they are no background.
        :returns: shift, rotation and zoom of the background since the image before as an affine
            map of pixels of this one, shape ``(2, 3)``; None if there is no such image or too
            little in it.
        """
        height, width = image.shape[:2]
        ratio = min(1.0, LARGER_SIDE / max(height, width))
        size = (max(1, round(ratio * width)), max(1, round(ratio * height)))
        # Reduced before it is made grey: this way most pixels are touched only once.
        reduced = np.empty((size[1], size[0], 3), dtype=np.uint8)
        scale(image, reduced, self._exact, cv2.INTER_AREA)
        grey = cv2.cvtColor(reduced, cv2.COLOR_BGR2GRAY)
        # Reduced, images of several resolutions are alike.
        comparable = self._grey is not None and self._grey.shape == grey.shape
        motion = self._compare(grey) if comparable else None
        self._grey = grey
        ratios = np.array([size[0] / width, size[1] / height])
        self._corners = _corners(grey, persons * np.tile(ratios, 2))
        if motion is None:
            return None
        # From reduced pixels, whose two sides may differ by rounding, to pixels.
        motion[:, :2] *= ratios / ratios[:, None]
        motion[:, 2] /= ratios
        return motion

    def _compare(self, grey: NDArray[np.uint8]) -> Optional[FloatArray]:
        """Return the motion of the corners from the last image to this one, reduced pixels."""
        before = self._corners
        if len(before) < MIN_CORNERS:
            return None
        after, found, _ = cv2.calcOpticalFlowPyrLK(
            self._grey,
            grey,
            before,
            None,
            winSize=(PATCH, PATCH),
            maxLevel=LEVELS,
            criteria=SEARCH,
        )
        followed = found[:, 0] == 1
        before, after = before[followed], after[followed]
        if len(before) < MIN_CORNERS:
            return None
        motion, agreeing = cv2.estimateAffinePartial2D(
            before, after, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE
        )
        count = 0 if motion is None else int(agreeing.sum())
        if count < max(MIN_CORNERS, MIN_PART * len(before)):
            return None
        zoom = np.hypot(motion[0, 0], motion[1, 0])
        if not 1 / MAX_ZOOM <= zoom <= MAX_ZOOM:
            return None
        return np.asarray(motion, dtype=np.float64)


def _corners(grey: NDArray[np.uint8], persons: FloatArray) -> NDArray[np.float32]:
    """Return corners of the background, shape ``(N, 1, 2)``, of a reduced image."""
    background = np.full(grey.shape, 255, dtype=np.uint8)
    for left, top, right, bottom in pixel_rectangles(persons, grey.shape[1], grey.shape[0]):
        background[top:bottom, left:right] = 0
    found = cv2.goodFeaturesToTrack(
        grey, CORNERS, CORNER_QUALITY, CORNER_DISTANCE, mask=background
    )
    return np.empty((0, 1, 2), dtype=np.float32) if found is None else found
