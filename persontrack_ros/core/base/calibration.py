"""
Calibrations of cameras: the direction of each pixel of an image.

Directions are in the optical frame of the camera (REP 103): x to the right, y down, z forward.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.base.geometry import FloatArray

# Largest relative difference of the aspect ratios of pictures with the same field of view.
_ASPECT_TOLERANCE = 0.03

# Functions of OpenCV that undistort and project, by distortion model.
_PINHOLE = (cv2.undistortPoints, cv2.projectPoints)
_MODELS: dict[str, Any] = {
    '': _PINHOLE,
    'plumb_bob': _PINHOLE,
    'rational_polynomial': _PINHOLE,
    'equidistant': (cv2.fisheye.undistortPoints, cv2.fisheye.projectPoints),
}


class Camera:
    """The direction of each pixel of an image."""

    def __init__(self, info: Any, image_size: tuple[int, int]) -> None:
        """
        Take a calibration.

        :param info: a ``sensor_msgs/msg/CameraInfo`` (REP 104), of the unrectified image: its K
            and D are used. Binning and scaling follow from the size of the image.
        :param image_size: width and height of the image that boxes are of.
        :raises ImageError: if the camera is not calibrated, the distortion model is unknown, its
            coefficients do not fit, or the calibration belongs to images of another shape.
        """
        self._matrix = np.array(info.k, dtype=np.float64).reshape(3, 3)
        self._distortion = np.array(info.d, dtype=np.float64)
        finite = np.isfinite(self._matrix).all() and np.isfinite(self._distortion).all()
        if not (finite and self._matrix[0, 0] > 0 and self._matrix[1, 1] > 0):
            raise ImageError('the camera_info is not calibrated: K is 0, or K or D are not finite')
        if info.distortion_model not in _MODELS:
            raise ImageError(
                f'the camera_info has the distortion model {info.distortion_model!r}; expected '
                + ', '.join(filter(None, _MODELS))
            )
        self._undistort, self._project = _MODELS[info.distortion_model]
        region = info.roi
        # 0 means the whole image.
        size = (region.width or info.width, region.height or info.height)
        self._offset = np.array([region.x_offset, region.y_offset])
        self._scale = picture_scale('camera_info', size, image_size) if all(size) else np.ones(2)
        try:
            self.rays(np.zeros((1, 2)))
        except cv2.error as error:
            raise ImageError(
                f'the camera_info has {len(self._distortion)} numbers in D, which its distortion '
                'model does not have'
            ) from error

    def rays(self, points: FloatArray) -> FloatArray:
        """
        Return the directions x / z and y / z of points of the image.

        :param points: shape ``(N, 2)``, 0 being the left and upper edge of the first pixel.
        :returns: shape ``(N, 2)``.
        """
        # K counts from the middle of the first pixel.
        pixels = self._offset + points * self._scale - 0.5
        if not self._distortion.any():
            focal, middle = self._matrix[[0, 1], [0, 1]], self._matrix[:2, 2]
            return (pixels - middle) / focal
        return self._undistort(pixels[:, None], self._matrix, self._distortion)[:, 0]

    def project(self, directions: FloatArray) -> FloatArray:
        """
        Return the points of the image in some directions; the inverse of `rays`.

        :param directions: shape ``(N, 3)``, in the optical frame; z is positive.
        :returns: shape ``(N, 2)``.
        """
        nowhere = np.zeros(3)
        pixels, _ = self._project(
            directions[:, None], nowhere, nowhere, self._matrix, self._distortion
        )
        return (pixels[:, 0] + 0.5 - self._offset) / self._scale


def rectify(info: Any) -> None:
    """
    Let a ``sensor_msgs/msg/CameraInfo`` describe the rectified image.

    REP 104: P is its matrix, in the place of K and D; it has no distortion.
    """
    info.k = np.array(info.p, dtype=np.float64).reshape(3, 4)[:, :3].ravel()
    info.d, info.distortion_model = [], ''


def picture_scale(what: str, size: tuple[int, ...], image_size: tuple[int, int]) -> FloatArray:
    """
    Return the width and height of a pixel of the image in pixels of another picture.

    :param what: the other picture, for the error.
    :param size: its width and height.
    :raises ImageError: if the two have different shapes.
    """
    scale = np.array(size) / image_size
    if abs(scale[0] / scale[1] - 1) > _ASPECT_TOLERANCE:
        raise ImageError(
            f'the {what} of {size[0]}x{size[1]} pixels shows something else than the image of '
            f'{image_size[0]}x{image_size[1]}: depth has to be registered to the image'
        )
    return scale
