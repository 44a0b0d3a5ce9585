"""A plot of tracks against ground truth: the ids of each person over the frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.drawing import track_color


def plot(persons: Mapping[int, Mapping[int, int]], title: str, path: Path) -> None:
    """
    Draw a line per person over the frames, in the colour of the id, with gaps for missed frames.

    :param persons: as `core.evaluation.scores.follow` returns them.
    :param path: a file that ends in .png.
    :raises OutputError: if matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError('plots need the package matplotlib: pip install matplotlib') from error
    figure = Figure(figsize=(16, 1.5 + 0.3 * len(persons)), layout='constrained')
    axes = figure.add_subplot()
    for row, frames in enumerate(persons.values()):
        times, ids = np.array(list(frames.items())).T
        axes.plot(times[[0, -1]], [row, row], color='0.85', linewidth=1, zorder=1)
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        for first, last in zip(starts, [*starts[1:], len(ids)]):
            if ids[first]:
                blue, green, red = (part / 255 for part in track_color(ids[first]))
                duration = times[last - 1] - times[first] + 1
                axes.barh(row, duration, 0.6, times[first], color=(red, green, blue))
        seen = ids > 0
        named = np.flatnonzero(seen)[np.flatnonzero(np.diff(ids[seen], prepend=-1))]
        for index in named:
            axes.text(times[index], row - 0.32, str(ids[index]), fontsize=7, va='bottom')
    axes.set_yticks(range(len(persons)), [str(person) for person in persons])
    axes.invert_yaxis()
    axes.set_xlabel('frame')
    axes.set_ylabel('person of the ground truth')
    axes.set_title(title)
    with OutputFile(path) as file:
        figure.savefig(file, format='png')
