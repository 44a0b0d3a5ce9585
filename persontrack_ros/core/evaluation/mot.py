"""
MOTChallenge text files: ``frame, id, left, top, width, height, score, -1, -1, -1``.

Frames and ids count from 1, boxes are in pixels. Source: Leal-Taixe et al.: MOTChallenge 2015,
arXiv:1504.01942.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.errors import SourceError
from persontrack_ros.core.files.output import OutputFile
from persontrack_ros.core.files.reading import read_bytes
from persontrack_ros.core.geometry import FloatArray

# More than a day at 30 images per second: every number up to the last one costs time and memory.
MAX_FRAMES = 3_000_000
# Whole numbers that a float holds exactly end here.
_MAX_ID = 2**53
# In pixels; no image is a hundredth as large.
_MAX_COORDINATE = 1e7
# Some four million lines.
_MAX_BYTES = 1 << 28

# CVAT and MOTChallenge from 2016 on write nine columns into ground truth: the eighth is a class,
# -1 where there is none.
_COLUMNS = range(6, 11)
_WITH_CLASS = 9
_PEDESTRIAN = 1.0


def read_mot(path: Path) -> FloatArray:
    """
    Read a file of tracks.

    Fields are separated by commas, white space or both, and a line of names may stand at the
    beginning. A line has six columns (its score is 1 then) to ten; of nine, the eighth is a class,
    and only pedestrians (class 1) and those without a class (-1) are returned.

    :returns: a row ``[frame, id, left, top, width, height, score]`` per line, shape ``(N, 7)``.
    :raises SourceError: if the file cannot be read or holds something else, a frame is not in 1 to
        MAX_FRAMES, or an id stands twice in a frame; with the number of the line.
    """
    rows, lines = _read(path)
    _check_ids(path, rows, lines)
    return rows


def read_detections(path: Path) -> FloatArray:
    """
    Read a file of detections, whose ids mean nothing.

    :returns: as :func:`read_mot`.
    :raises SourceError: as :func:`read_mot`, but for the ids.
    """
    return _read(path)[0]


def read_ground_truth(path: Path) -> FloatArray:
    """
    Read the lines of ground truth that count: those whose seventh column is not 0.

    :param path: the file, or the directory of a sequence with ``gt/gt.txt``.
    :returns: as :func:`read_mot`.
    :raises SourceError: as :func:`read_mot`, or if nothing counts.
    """
    file = path / 'gt' / 'gt.txt' if path.is_dir() else path
    rows, lines = _read(file)
    counts = rows[:, 6] != 0
    if not counts.any():
        raise SourceError(f'no line of {file} counts')
    _check_ids(file, rows[counts], lines[counts])
    return rows[counts]


def _read(path: Path) -> tuple[FloatArray, NDArray[np.intp]]:
    """Read the rows of a file, and the numbers of their lines."""
    try:
        text = read_bytes(path, _MAX_BYTES, 'MOTChallenge file').decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise SourceError(f'{path} is no MOTChallenge file: it is no text') from error
    rows = []
    numbers = []
    classes = set()
    first = True
    for number, line in enumerate(text.splitlines(), start=1):
        fields = re.split(r'\s*,\s*|\s+', line.strip().rstrip(',').rstrip())
        if fields == ['']:
            continue
        could_be_header, first = first, False
        if could_be_header and _is_header(path, fields):
            continue
        try:
            if len(fields) not in _COLUMNS:
                raise ValueError(f'it has {len(fields)} columns, expected 6 to 10')
            values = [float(field) for field in fields]
            _check(values)
        except ValueError as error:
            raise SourceError(f'line {number} of {path} is wrong: {error}') from error
        if len(fields) == _WITH_CLASS and values[7] not in (_PEDESTRIAN, -1.0):
            classes.add(f'{values[7]:g}')
            continue
        rows.append([*values[:6], *(values[6:7] or [1.0])])
        numbers.append(number)
    if classes and not rows:
        raise SourceError(
            f'{path} has no pedestrian, which is class 1 (column 8); its classes are '
            f'{", ".join(sorted(classes))}'
        )
    return np.array(rows, dtype=np.float64).reshape(-1, 7), np.array(numbers, dtype=np.intp)


def _is_header(path: Path, fields: Sequence[str]) -> bool:
    """Tell a line of names; raise SourceError where they are not in the order of the format."""
    names = [name for name in (field.strip('#"\'').lower() for field in fields) if name]
    if any(re.match(r'[-+.]?\d', name) or name in ('nan', 'inf') for name in names):
        return False
    if any('frame' in name for name in names[1:]):
        raise SourceError(
            f'the columns of {path} are {", ".join(fields)}; expected frame, id, left, top, '
            'width, height, score'
        )
    return len(names) in _COLUMNS or fields[0].startswith('#')


def _check(values: Sequence[float]) -> None:
    """Raise ValueError if the values of a line cannot be what they should."""
    frame, id_ = values[:2]
    if not all(map(math.isfinite, values)):
        raise ValueError('it holds a number that is not finite')
    if frame != int(frame) or not 1 <= frame <= MAX_FRAMES:
        raise ValueError(f'its frame is {frame:g}; frames count from 1, up to {MAX_FRAMES}')
    if id_ != int(id_) or abs(id_) > _MAX_ID:
        raise ValueError(f'its id is {id_:g}, expected a whole number')
    if max(map(abs, values[2:6])) > _MAX_COORDINATE:
        raise ValueError('its box lies beyond any image')


def _check_ids(path: Path, rows: FloatArray, lines: NDArray[np.intp]) -> None:
    _, first = np.unique(rows[:, :2], axis=0, return_index=True)
    again = np.setdiff1d(np.arange(len(rows)), first)
    if len(again):
        frame, id_ = rows[again[0], :2]
        raise SourceError(
            f'line {lines[again[0]]} of {path} has the id {id_:.0f} for the second time in frame '
            f'{frame:.0f}'
        )


class MotWriter:
    """
    Writes tracks to a file, one line per track and frame.

    A context manager; leaving it completes the file. If there was an error, there is none.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file.

        :raises OutputError: if it cannot be written.
        """
        self._file = OutputFile(path)

    def write(self, frame: int, tracks: Iterable[tuple[int, FloatArray, float]]) -> None:
        """
        Write the tracks of one frame.

        :param frame: number of the frame, counted from 1.
        :param tracks: id, box ``[left, top, width, height]`` and score of each.
        :raises OutputError: if they cannot be written.
        """
        lines = (
            f'{frame},{track_id},{left:.4f},{top:.4f},{width:.4f},{height:.4f},{score:.4f},-1,-1,-1'
            for track_id, (left, top, width, height), score in tracks
        )
        self._file.write(''.join(f'{line}\n' for line in lines).encode())

    def __enter__(self) -> MotWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Complete the file, or leave none."""
        self._file.__exit__(kind, error, traceback)
