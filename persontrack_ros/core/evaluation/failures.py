"""Tracks against ground truth: a plot of the ids of each person, and pictures of id switches."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import write_file
from persontrack_ros.core.drawing import label, track_color
from persontrack_ros.core.evaluation.scores import Switch

# Pictures of id switches: side in pixels, visible area in heights of the person, number of
# switches side by side, and largest number of switches.
SIDE = 200
SHOWN_HEIGHTS = 2.0
COLUMNS = 4
MAX_SWITCHES = 80

_WHITE = (255, 255, 255)


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
                axes.barh(
                    row,
                    times[last - 1] - times[first] + 1,
                    left=times[first],
                    height=0.6,
                    color=(red, green, blue),
                )
        seen = ids > 0
        named = np.flatnonzero(seen)[np.flatnonzero(np.diff(ids[seen], prepend=-1))]
        for index in named:
            axes.text(times[index], row - 0.32, str(ids[index]), fontsize=7, va='bottom')
    axes.set_yticks(range(len(persons)), [str(person) for person in persons])
    axes.invert_yaxis()
    axes.set_xlabel('frame')
    axes.set_ylabel('person of the ground truth')
    axes.set_title(title)
    content = io.BytesIO()
    figure.savefig(content, format='png')
    write_file(path, content.getvalue())


def contact_sheet(
    found: Sequence[Switch],
    truth: FloatArray,
    rows: FloatArray,
    images: Mapping[int, BgrImage],
) -> BgrImage:
    """
    Draw each id switch: the person, thick and white, before it on the left and after it.

    :param found: at least one switch.
    :param truth: as for `core.evaluation.scores.follow`.
    :param rows: as for `core.evaluation.scores.follow`.
    :param images: by frame, all that the switches name.
    """
    cells = []
    for switch in found:
        sides = [
            _cell(switch.person, frame, truth, rows, images[frame]) for frame in switch.frames
        ]
        cell = np.concatenate(sides, axis=1)
        old, new = switch.ids
        title = f'frame {switch.frames[1]}: person {switch.person}, {old} to {new}'
        label(cell, title, (0, 0), 0.4, _WHITE)
        cells.append(cv2.copyMakeBorder(cell, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=_WHITE))
    columns = min(COLUMNS, len(cells))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (math.ceil(len(cells) / columns) * columns - len(cells))
    lines = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    return np.concatenate([np.concatenate(line, axis=1) for line in lines])


def _cell(
    person: int, frame: int, truth: FloatArray, rows: FloatArray, image: BgrImage
) -> BgrImage:
    """Draw the image around a person."""
    box = truth[(truth[:, 0] == frame) & (truth[:, 1] == person), 2:6][0]
    scale = SIDE / (SHOWN_HEIGHTS * box[3])
    shift = SIDE / 2 - scale * (box[:2] + box[2:] / 2)
    matrix = np.column_stack([scale * np.eye(2), shift])
    cell = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderValue=(64, 64, 64))

    def outline(box: FloatArray, color: tuple[int, int, int], line: int) -> tuple[int, int]:
        near = np.round(scale * box[:2] + shift).astype(int).tolist()
        far = np.round(scale * (box[:2] + box[2:]) + shift).astype(int).tolist()
        cv2.rectangle(cell, near, far, color, line)
        return near[0], near[1]

    outline(box, _WHITE, 3)
    for _, id_, *corners in rows[rows[:, 0] == frame, :6]:
        color = track_color(int(id_))
        corner = outline(np.array(corners), color, 1)
        # Labels of persons outside the picture would be moved into it.
        if 0 <= corner[0] < SIDE and 0 <= corner[1] < SIDE:
            label(cell, str(int(id_)), corner, 0.4, color)
    return cell
