"""``persontrack zones``: draw lines and zones."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from persontrack_ros.cli.mask import Painter, paint
from persontrack_ros.cli.options import SOURCE, count
from persontrack_ros.core.base.errors import OutputError, SettingsError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import write_file
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.drawing import label
from persontrack_ros.core.report.zones import Zones

_WHITE = (255, 255, 255)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'zones',
        help='draw the lines and zones of --zones on an image',
        description='Draw lines and zones on an image of a video or camera, for --zones and the '
        'parameter zones_file. Click on the points; Enter ends a zone, l a line; Backspace '
        'removes the last point, zone or line; s saves, Esc or q ends without saving. Those in '
        'FILE are kept; give them better names there.',
    )
    parser.add_argument('source', help=SOURCE)
    parser.add_argument(
        'output',
        type=Path,
        metavar='FILE',
        nargs='?',
        default=Path('zones.yaml'),
        help='file to write (default: zones.yaml)',
    )
    parser.add_argument(
        '--skip-frames', type=count, default=0, metavar='N', help='leave out the first N images'
    )
    parser.set_defaults(
        execute=execute, reads=('source',), writes={'output': ('.yaml', '.yml')}, overwrite=True
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    content: dict[str, Any] = {}
    if options.output.exists():
        zones = Zones.load(options.output)
        if zones.image_size or zones.frame:
            raise SettingsError(f'{options.output} is in pixels or metres: edit it by hand')
        content = load_yaml(options.output)
    painter = paint(options, lambda image: ZonePainter(image, content))
    if painter is None:
        return 0
    if not (painter.polygons or painter.lines):
        raise OutputError(f'{options.output} is as it was: there is no line and no zone to save')
    new = {**content, 'lines': painter.lines, 'zones': painter.polygons}
    text = yaml.safe_dump({key: value for key, value in new.items() if value not in ({}, None)})
    write_file(options.output, text.encode())
    print(f'{len(painter.lines)} lines and {len(painter.polygons)} zones')
    return 0


class ZonePainter(Painter):
    """
    Lines and zones drawn by clicks and keys.

    :ivar lines: as in the file, by name.
    """

    kind = 'zone'

    def __init__(self, image: BgrImage, content: dict[str, Any]) -> None:
        """Start with those of a file."""
        super().__init__(image, content.get('zones') or {})
        self.lines: dict[str, Any] = dict(content.get('lines') or {})

    def press(self, key: str) -> None:
        """Handle a key: l completes a line, the others are those of areas."""
        if key == 'l' and len(self._corners) > 1:
            self.lines[self._free('line', self.lines)] = {'points': self._corners}
            self._corners = []
        elif key in self.ERASE and not self._corners and not self.polygons and self.lines:
            self.lines.popitem()
        else:
            super().press(key)

    def picture(self) -> BgrImage:
        """Return the image with lines and zones, their names, and the new points."""
        canvas = super().picture()
        shapes = {name: line['points'] for name, line in self.lines.items()} | self.polygons
        for name, points in shapes.items():
            corners = (np.array(points) * canvas.shape[1::-1]).astype(np.int32)
            cv2.polylines(canvas, [corners], name in self.polygons, _WHITE, 1, cv2.LINE_AA)
            label(canvas, name, (int(corners[0][0]), int(corners[0][1])), 0.5, _WHITE)
        return canvas
