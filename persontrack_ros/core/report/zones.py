"""Lines and zones, in the image or on the floor, and their file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.reading import load_yaml

# Where a person is: the part of the width and height of the box.
ANCHORS = {'feet': (0.5, 1.0), 'center': (0.5, 0.5), 'head': (0.5, 0.0)}

# The default margin: a part of the width of the image; metres in a frame.
_MARGIN_IMAGE = 0.015
_MARGIN_METRES = 0.2

_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*')
_KEYS = {'image_size', 'frame', 'anchor', 'margin', 'lines', 'zones'}
_LINE_KEYS = {'points', 'left', 'right'}
_EXAMPLE = (
    'for example "lines: {door: {points: [[0.2, 0.6], [0.8, 0.6]], left: in, right: out}}" or '
    '"zones: {queue: [[0.1, 0.5], [0.4, 0.5], [0.4, 0.9]]}"'
)


@dataclass(frozen=True)
class Line:
    """
    A line that persons cross.

    :ivar points: shape ``(N, 2)``, N at least 2.
    :ivar left: name of the direction towards the left, as one walks from the first point to the
        last.
    :ivar right: name of the other direction.
    """

    points: FloatArray
    left: str
    right: str


@dataclass(frozen=True)
class Zones:
    """
    Named lines and zones, in one unit.

    :ivar lines: by name.
    :ivar zones: corners of each, shape ``(N, 2)``, N at least 3, by name.
    :ivar anchor: one of ANCHORS.
    :ivar margin: how far beyond a line or border a person has to be for an event.
    :ivar image_size: width and height of the image in pixels, where positions are pixels.
    :ivar frame: frame of tf, where positions are metres in its x and y.
    """

    lines: dict[str, Line]
    zones: dict[str, FloatArray]
    anchor: str
    margin: float
    image_size: Optional[tuple[int, int]] = None
    frame: str = ''

    @classmethod
    def load(cls, path: Path) -> Zones:
        """
        Read a file of YAML, as docs/zones.md describes it.

        :raises SourceError: if it cannot be read, or is no YAML.
        :raises SettingsError: if it does not describe lines and zones.
        """
        try:
            return _parse(load_yaml(path, 'file of zones'))
        except ValueError as error:
            raise SettingsError(f'{path}: {error}') from error

    def in_pixels(self, width: int, height: int) -> Zones:
        """
        Return the lines and zones in pixels of an image.

        :raises SettingsError: if they are pixels of an image of another size, or metres.
        """
        if self.frame:
            raise SettingsError(
                f'the zones are in metres of {self.frame}, which needs depth: use the node'
            )
        if self.image_size == (width, height):
            return self
        if self.image_size:
            raise SettingsError(
                f'the zones are pixels of an image of {self.image_size[0]}x{self.image_size[1]}, '
                f'but this one is {width}x{height}: use parts of the image, from 0 to 1'
            )
        size = np.array([width, height], dtype=np.float64)
        return replace(
            self,
            lines={
                name: replace(line, points=line.points * size) for name, line in self.lines.items()
            },
            zones={name: corners * size for name, corners in self.zones.items()},
            margin=self.margin * width,
            image_size=(width, height),
        )

    def positions(self, boxes: FloatArray) -> FloatArray:
        """
        Return where persons are.

        :param boxes: ``[left, top, width, height]`` of each, shape ``(N, 4)``.
        :returns: shape ``(N, 2)``.
        """
        return boxes[:, :2] + boxes[:, 2:] * ANCHORS[self.anchor]


def _parse(content: Any) -> Zones:
    """Return the zones of the content of a file; ValueError if it is wrong."""
    if not isinstance(content, dict) or not (content.get('lines') or content.get('zones')):
        raise ValueError(f'it has neither lines nor zones; write {_EXAMPLE}')
    _check_keys('the file', content, _KEYS)
    size, frame = content.get('image_size'), content.get('frame', '')
    if size is not None:
        if (
            not isinstance(size, list)
            or len(size) != 2
            or not all(type(side) is int and side > 0 for side in size)
        ):
            raise ValueError(f'image_size is {size!r}, expected [width, height] in pixels')
        if frame:
            raise ValueError('give image_size (pixels) or frame (metres), not both')
    if not isinstance(frame, str):
        raise ValueError(f'frame is {frame!r}, expected the name of a frame of tf')
    anchor = content.get('anchor', 'feet')
    if anchor not in list(ANCHORS):
        raise ValueError(f'anchor is {anchor!r}, expected one of {", ".join(ANCHORS)}')
    limits = None if frame else (size or (1.0, 1.0))
    default = _MARGIN_METRES if frame else _MARGIN_IMAGE * (size[0] if size else 1)
    margin = content.get('margin', default)
    if (
        isinstance(margin, bool)
        or not isinstance(margin, (int, float))
        or not 0 <= margin < (limits[0] if limits else math.inf)
    ):
        most = f', less than the width of the image, {limits[0]:g}' if limits else ''
        raise ValueError(f'margin is {margin!r}, expected a distance of 0 or more{most}')
    lines: dict[str, Line] = {}
    for name, value in _named(content, 'lines').items():
        if not isinstance(value, dict) or 'points' not in value:
            raise ValueError(f'the line {name} has no points; write {_EXAMPLE}')
        _check_keys(f'the line {name}', value, _LINE_KEYS)
        left, right = value.get('left', 'left'), value.get('right', 'right')
        for side in (left, right):
            _check_name(f'a direction of the line {name}', side)
        if left == right:
            raise ValueError(f'both directions of the line {name} are called {left}')
        lines[name] = Line(_points(f'the line {name}', value['points'], 2, limits), left, right)
    zones: dict[str, FloatArray] = {}
    for name, value in _named(content, 'zones').items():
        if name in lines:
            raise ValueError(f'a line and a zone are both called {name}')
        corners = _points(f'the zone {name}', value, 3, limits)
        if cv2.contourArea(corners.astype(np.float32)) < 1e-9:
            raise ValueError(f'the corners of the zone {name} lie on one line, or cross over')
        zones[name] = corners
    return Zones(lines, zones, anchor, float(margin), tuple(size) if size else None, frame)


def _named(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f'{key} has no names; write {_EXAMPLE}')
    for name in value:
        _check_name(f'a name in {key}', name)
    return value


def _check_name(what: str, name: Any) -> None:
    # YAML 1.1 takes on, off, yes and no for booleans.
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f'{what} is {name!r}, expected a letter, then letters, digits or _ (topics are named '
            'after it; write on, off, yes and no in quotes)'
        )


def _check_keys(what: str, value: dict[Any, Any], known: set[str]) -> None:
    unknown = sorted(str(key) for key in value if key not in known)
    if unknown:
        raise ValueError(f'{what} has {", ".join(unknown)}; known are {", ".join(sorted(known))}')


def _points(what: str, value: Any, least: int, limits: Optional[Sequence[float]]) -> FloatArray:
    """Return points; ValueError if there are too few, or one is not in the image."""
    if not isinstance(value, list) or len(value) < least:
        raise ValueError(f'{what} needs at least {least} points [x, y]')
    for point in value:
        if (
            not isinstance(point, list)
            or len(point) != 2
            or not all(type(each) in (int, float) and math.isfinite(each) for each in point)
        ):
            raise ValueError(f'{what} has the point {point!r}, expected [x, y]')
        if limits and not all(0 <= each <= limit for each, limit in zip(point, limits)):
            raise ValueError(
                f'{what} has the point {point!r} outside of the image, which goes from [0, 0] to '
                f'[{limits[0]:g}, {limits[1]:g}]'
            )
    points = np.array(value, dtype=np.float64)
    if (np.diff(points, axis=0) == 0).all(axis=1).any():
        raise ValueError(f'{what} has the same point twice in a row')
    return points
