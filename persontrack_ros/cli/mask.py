"""``persontrack mask``: paint the areas in which detections are ignored."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container
from itertools import count as count_from
from pathlib import Path
from typing import Optional, TypeVar

import cv2
import numpy as np
import yaml

from persontrack_ros.cli.options import SOURCE, count
from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import write_file
from persontrack_ros.core.drawing import shade
from persontrack_ros.core.inference.ignore import (
    POLYGON_SUFFIXES,
    IgnoreMask,
    Polygons,
    read_polygons,
)
from persontrack_ros.core.media.source import SourceOptions, first_image
from persontrack_ros.core.media.window import QUIT, Window

_ENTER = '\r'
_CORNER_COLOR = (0, 255, 255)
# Milliseconds until the picture is updated after a click.
_REFRESH = 30


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'mask',
        help='paint the areas of an image in which detections are ignored',
        description='Paint areas on an image of a video or camera, for the parameter '
        'detector.ignore. Click on the corners of an area; Enter ends it, so that the next one '
        'can begin; Backspace removes the last corner or area; s saves, Esc or q ends without '
        'saving. Existing areas in FILE are kept.',
    )
    add_paint_arguments(parser, 'ignore.yaml')
    parser.set_defaults(execute=execute)


def add_paint_arguments(parser: argparse.ArgumentParser, file: str) -> None:
    """
    Add the arguments of a command that calls :func:`paint`.

    :param file: the output if none is given.
    """
    parser.add_argument('source', help=SOURCE)
    parser.add_argument(
        'output',
        type=Path,
        metavar='FILE',
        nargs='?',
        default=Path(file),
        help=f'file to write (default: {file})',
    )
    parser.add_argument(
        '--skip-frames', type=count, default=0, metavar='N', help='leave out the first N images'
    )
    parser.set_defaults(reads=('source',), writes={'output': POLYGON_SUFFIXES}, overwrite=True)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    polygons = read_polygons(options.output) if options.output.exists() else {}
    painter = paint(options, lambda image: Painter(image, polygons))
    if painter is None:
        return 0
    if not painter.polygons:
        raise OutputError(f'{options.output} is as it was: there is no area to save')
    write_file(options.output, yaml.safe_dump(painter.polygons, default_flow_style=None).encode())
    print(f'{len(painter.polygons)} areas; use them with detector.ignore={options.output}')
    return 0


AnyPainter = TypeVar('AnyPainter', bound='Painter')


def paint(
    options: argparse.Namespace, make: Callable[[BgrImage], AnyPainter]
) -> Optional[AnyPainter]:
    """
    Let the user paint on the first image in a window.

    :param make: returns the painter for the image.
    :returns: the painter; None if nothing is to be saved.
    :raises SourceError: if the source has no image.
    """
    skip = SourceOptions(skip_frames=options.skip_frames)
    painter = make(first_image(options.source, skip))
    with Window(f'persontrack {options.command}') as window:
        window.on_click(painter.click)
        key = ''
        while key not in (*QUIT, 's'):
            key = window.key(painter.picture(), _REFRESH)
            painter.press(key)
    if key in QUIT:
        print(f'ended without saving: {options.output} is as it was')
        return None
    return painter


class Painter:
    """
    The areas painted by clicks and keys.

    :ivar polygons: the complete areas, by name.
    """

    kind = 'area'
    ERASE = ('\b', '\x7f')

    def __init__(self, image: BgrImage, polygons: Polygons) -> None:
        """Start with existing areas."""
        self._image = image
        self._corners: list[list[float]] = []
        self.polygons = dict(polygons)

    def click(self, x: int, y: int) -> None:
        """Add a corner at a pixel of the image."""
        height, width = self._image.shape[:2]
        corner = [(x + 0.5) / width, (y + 0.5) / height]
        self._corners.append([round(min(max(each, 0.0), 1.0), 4) for each in corner])

    def press(self, key: str) -> None:
        """Handle a key: Enter or s completes the area, Backspace removes a corner or area."""
        if key in (_ENTER, '\n', 's') and len(self._corners) > 2:
            self.polygons[self._free(self.kind, self.polygons)] = self._corners
            self._corners = []
        elif key in self.ERASE and self._corners:
            self._corners.pop()
        elif key in self.ERASE and self.polygons:
            self.polygons.popitem()

    @staticmethod
    def _free(kind: str, names: Container[str]) -> str:
        """Return a name that is not taken."""
        return next(name for n in count_from(1) if (name := f'{kind}_{n}') not in names)

    def picture(self) -> BgrImage:
        """Return the image with the areas as `annotated_image` shows them, and the new corners."""
        canvas = self._image.copy()
        if self.polygons:
            shade(canvas, IgnoreMask.of(self.polygons).over(canvas))
        if self._corners:
            height, width = canvas.shape[:2]
            corners = (np.array(self._corners) * (width, height)).astype(np.int32)
            cv2.polylines(canvas, [corners], False, _CORNER_COLOR, 1, cv2.LINE_AA)
            for corner in corners.tolist():
                cv2.circle(canvas, corner, 3, _CORNER_COLOR, cv2.FILLED, cv2.LINE_AA)
        return canvas
