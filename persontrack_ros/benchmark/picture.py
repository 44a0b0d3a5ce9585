"""Where the time of a frame goes, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from persontrack_ros.benchmark.variants import OFFLINE
from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.output import write_file

_COLOURS = {
    'detection': '#4477aa',
    'embedding': '#ee6677',
    'tracking': '#228833',
    'reading': '#bbbbbb',
}


def draw_profile(pipelines: Mapping[str, Any], path: Path) -> None:
    """
    Draw a bar for each pipeline whose stages do not overlap.

    :param pipelines: what :func:`measure_pipelines` returned.
    :param path: ends in .svg or .png.
    :raises OutputError: if matplotlib is not installed or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError('the picture needs matplotlib: pip install matplotlib') from error
    rows = {name: row for name, row in pipelines.items() if name != OFFLINE}
    names = list(rows)[::-1]
    figure = Figure(figsize=(8, 0.8 + 0.45 * len(names)), layout='tight')
    axes = figure.add_subplot()
    left = [0.0] * len(names)
    for stage, colour in _COLOURS.items():
        widths = [rows[name]['stages_ms'][stage] for name in names]
        axes.barh(names, widths, left=left, color=colour, label=stage)
        left = [end + width for end, width in zip(left, widths)]
    axes.set_xlabel('ms per frame')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, ncol=4, loc='lower center', bbox_to_anchor=(0.5, 1.0))
    kind = path.suffix[1:]
    # Without a date, so that the same results give the same file.
    metadata = {'Date': None} if kind == 'svg' else None
    content = io.BytesIO()
    try:
        figure.savefig(content, format=kind, dpi=100, metadata=metadata)
    except ValueError as error:
        raise OutputError(f'cannot write {path}: {error}') from error
    write_file(path, content.getvalue())
