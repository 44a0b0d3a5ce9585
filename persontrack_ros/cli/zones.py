"""``persontrack zones``: draw lines and zones."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import yaml

from persontrack_ros.cli.mask import Painter, add_paint_arguments, paint
from persontrack_ros.core.base.errors import OutputError, SettingsError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import write_file
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.drawing import outline
from persontrack_ros.core.report.zones import Zones


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
    add_paint_arguments(parser, 'zones.yaml')
    parser.set_defaults(execute=execute)


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
            corners = np.array(points) * canvas.shape[1::-1]
            outline(canvas, corners, name in self.polygons, name, 0.5)
        return canvas
