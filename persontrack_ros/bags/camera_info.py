"""Calibrations of cameras, from files of camera_calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from persontrack_ros.bags.types import CAMERA_INFO, new
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.reading import load_yaml

_MATRICES = {
    'k': ('camera_matrix', (3, 3)),
    'r': ('rectification_matrix', (3, 3)),
    'p': ('projection_matrix', (3, 4)),
}


class CameraInfo:
    """The calibration of a camera."""

    def __init__(self, path: Path) -> None:
        """
        Read a calibration file (YAML).

        :raises SourceError: if it cannot be read or is no calibration.
        """
        try:
            content = load_yaml(path)
            self._path = path
            self._size = (int(content['image_width']), int(content['image_height']))
            self._fields = {
                name: np.array(content[key]['data'], dtype=np.float64).reshape(shape).reshape(-1)
                for name, (key, shape) in _MATRICES.items()
            }
            self._fields['d'] = np.array(
                content['distortion_coefficients']['data'], dtype=np.float64
            )
            self._model = str(content['distortion_model'])
        except KeyError as error:
            raise SourceError(f'{path} is no camera calibration: it has no {error}') from error
        except (ArithmeticError, SourceError, TypeError, ValueError) as error:
            reason = ' '.join(str(error).split())
            raise SourceError(f'{path} is no camera calibration: {reason}') from error

    def check(self, width: int, height: int) -> None:
        """
        Check the size of the images.

        :raises SourceError: if the calibration is of images of another size.
        """
        if (width, height) != self._size:
            raise SourceError(
                f'{self._path} is of images of {self._size[0]}x{self._size[1]} pixels, but these '
                f'have {width}x{height}'
            )

    def to_message(self, header: Any) -> Any:
        """Make the message for an image with this header."""
        region = new(
            'sensor_msgs/msg/RegionOfInterest',
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        )
        return new(
            CAMERA_INFO,
            header=header,
            width=self._size[0],
            height=self._size[1],
            distortion_model=self._model,
            binning_x=0,
            binning_y=0,
            roi=region,
            **self._fields,
        )
