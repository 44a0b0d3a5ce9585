"""Areas of the image in which detections are ignored: a poster, a mirror, the robot's own arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.config.settings import DetectorSettings
from persontrack_ros.core.media.folder import read_image

POLYGON_SUFFIXES = ('.yaml', '.yml')

# Side of the grid that polygons are drawn into: finer than full HD.
_GRID = 2048
# Binary digits after the point of the corners that OpenCV is given.
_SHIFT = 8

# Corners by name of the area, from 0 to 1 of the width and height of the image.
Polygons = dict[str, list[list[float]]]

_EXAMPLE = 'write for example "poster: [[0.1, 0.2], [0.3, 0.2], [0.3, 0.9]]"'


def make_mask(settings: DetectorSettings) -> Optional[IgnoreMask]:
    """
    Return the mask that `detector.ignore` names, or None.

    :raises SettingsError: if its file cannot be used.
    """
    return IgnoreMask.load(Path(settings.ignore)) if settings.ignore else None


class IgnoreMask:
    """
    Finds the detections in ignored areas.

    The position of a detection is its foot point, the middle of the lower side of its box, moved
    to the lower border if it is below the image.
    """

    def __init__(self, areas: NDArray[np.bool_]) -> None:
        """
        Create a mask from a picture.

        :param areas: true where detections are ignored, shape ``(height, width)``; stretched over
            images of another size.
        """
        self._areas = areas
        self._over = areas

    @classmethod
    def load(cls, path: Path) -> IgnoreMask:
        """
        Read polygons (.yaml), or an image that is white where detections are ignored.

        White may also be 1 in an image of 0 and 1, or opaque in one that is transparent elsewhere.

        :raises SettingsError: if the file cannot be read, has another format, or hides the whole
            image.
        """
        if path.suffix.lower() in POLYGON_SUFFIXES:
            return cls.of(read_polygons(path))
        try:
            grey = cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY)
            with Image.open(path) as file:
                alpha = np.asarray(ImageOps.exif_transpose(file).convert('RGBA'))[..., 3]
        except Exception as error:  # of damaged files, Pillow raises more than it documents
            raise SettingsError(f'detector.ignore: {error}') from error
        areas, opaque = (each > (127 if each.max() > 1 else 0) for each in (grey, alpha))
        fault = ''
        if alpha.min() < alpha.max():
            if len(np.unique(areas[alpha == alpha.max()])) > 1:
                fault = 'transparent in places and both white and dark in others'
            areas = opaque
        if areas.all() or not areas.any():
            fault = 'white all over' if areas.all() else 'nowhere white'
        if fault:
            raise SettingsError(
                f'detector.ignore: {path} is {fault}, expected white where detections are ignored '
                'and black elsewhere'
            )
        return cls(areas)

    @classmethod
    def of(cls, polygons: Polygons) -> IgnoreMask:
        """Create a mask from polygons, as :func:`read_polygons` returns them."""
        grid = np.zeros((_GRID, _GRID), np.uint8)
        for corners in polygons.values():
            points = np.round(np.array(corners) * (_GRID - 1) * 2**_SHIFT).astype(np.int32)
            # One by one, so that overlapping areas do not cancel each other.
            cv2.fillPoly(grid, [points], 1, shift=_SHIFT)
        return cls(grid.astype(bool))

    def hides(self, boxes: FloatArray, size: Optional[tuple[int, int]]) -> NDArray[np.bool_]:
        """
        Return which boxes stand in the mask.

        :param boxes: shape ``(N, 4)``.
        :param size: width and height of the image in pixels.
        :returns: shape ``(N,)``.
        :raises SettingsError: if the size is not known.
        """
        if size is None:
            raise SettingsError(
                'detector.ignore is relative to the image, and the size of that is not known'
            )
        feet = boxes[:, :2] + boxes[:, 2:] * [0.5, 1.0]
        grid = np.array(self._areas.shape[::-1])
        columns, rows = np.clip(np.floor(feet / size * grid), 0, grid - 1).astype(np.intp).T
        return np.asarray(self._areas[rows, columns])

    def apply(self, detections: Detections) -> Detections:
        """
        Remove the detections in the mask; `ignored` of the result has their boxes.

        :raises SettingsError: if the size of the image is not known.
        """
        hidden = self.hides(detections.boxes, detections.image_size)
        return detections.without(hidden) if hidden.any() else detections

    def over(self, image: BgrImage) -> NDArray[np.bool_]:
        """Return the pixels of an image in the mask, shape ``(height, width)``."""
        height, width = image.shape[:2]
        if self._over.shape != (height, width):
            areas = self._areas.astype(np.uint8)
            areas = cv2.resize(areas, (width, height), interpolation=cv2.INTER_NEAREST)
            self._over = areas.astype(bool)
        return self._over


def read_polygons(path: Path) -> Polygons:
    """
    Read a YAML file of polygons, as ``NAME: [[x, y], [x, y], [x, y], ...]``.

    :returns: the corners of each, from 0 to 1 of the width and height of the image.
    :raises SettingsError: if it cannot be read or has other content.
    """
    try:
        content = load_yaml(path, 'mask')
    except SourceError as error:
        raise SettingsError(f'detector.ignore: {error}') from error
    if not isinstance(content, dict) or not content:
        raise SettingsError(f'detector.ignore: {path} has no areas; {_EXAMPLE}')
    for name, corners in content.items():
        if not isinstance(corners, list) or len(corners) < 3 or not all(map(_is_corner, corners)):
            raise SettingsError(
                f'detector.ignore: {path}: {name} is {corners!r:.200}, expected at least three '
                f'corners [x, y] from 0 to 1 of the width and height of the image; {_EXAMPLE}'
            )
    return {str(name): corners for name, corners in content.items()}


def _is_corner(corner: Any) -> bool:
    return (
        isinstance(corner, list)
        and len(corner) == 2
        and all(type(each) in (int, float) and 0 <= each <= 1 for each in corner)
    )
