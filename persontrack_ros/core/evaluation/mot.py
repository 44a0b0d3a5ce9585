"""
MOTChallenge text files: ``frame, id, left, top, width, height, score, -1, -1, -1``.

Frames and ids count from 1, boxes are in pixels. Source: Leal-Taixe et al.: MOTChallenge 2015,
arXiv:1504.01942. Rules of the ground truth: Milan et al.: MOT16, arXiv:1603.00831, and
Dendorfer et al.: MOT20, arXiv:2003.09003, as TrackEval 1.3 does it.
"""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from persontrack_ros.core.base.errors import SourceError, warn
from persontrack_ros.core.base.geometry import FloatArray, iou
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.base.reading import read_bytes
from persontrack_ros.core.evaluation.scores import MIN_IOU

# More than a day at 30 frames per second: every number up to the last one costs time and memory.
MAX_FRAMES = 3_000_000
# Whole numbers that a float holds exactly end here.
_MAX_ID = 2**53
# In pixels; no image is a hundredth as large.
_MAX_COORDINATE = 1e7
# Some four million lines.
_MAX_BYTES = 1 << 28
_MAX_SEQINFO = 1 << 16

# CVAT and MOTChallenge from 2016 on write nine columns into ground truth: the eighth is a class,
# -1 where there is none. Of ten columns, it is a position in the world (MOT15).
_COLUMNS = range(6, 11)
_WITH_CLASS = (8, 9)
_PEDESTRIAN = 1
_CLASSES = range(1, 14)

# A track that is matched with one of these classes is no error: person on vehicle, static person,
# distractor, reflection, and in MOT20 non-motorised vehicle. MOT15 has no classes.
_DISTRACTORS = {
    'MOT15': (),
    'MOT16': (2, 7, 8, 12),
    'MOT17': (2, 7, 8, 12),
    'MOT20': (2, 6, 7, 8, 12),
}
BENCHMARKS = tuple(_DISTRACTORS)


def read_mot(path: Path, unique_ids: bool = True) -> FloatArray:
    """
    Read a file of tracks.

    Fields are separated by commas, white space or both, and a line of names may stand at the
    beginning. A line has six columns (its score is 1 then) to ten; of eight or nine, the eighth
    is a class, and those above 1 are left out with a warning: they are no pedestrians.

    :param unique_ids: False for detections, whose ids mean nothing.
    :returns: a row ``[frame, id, left, top, width, height, score]`` per line, shape ``(N, 7)``.
    :raises SourceError: if the file cannot be read or has another format, a frame is not in 1 to
        MAX_FRAMES, or an id occurs twice in a frame; with the number of the line.
    """
    lines = _read(path)
    others = lines.classes > _PEDESTRIAN
    if others.any():
        names = ', '.join(f'{each:g}' for each in np.unique(lines.classes[others]))
        text = f'{others.sum()} lines of the classes {names} (column 8); pedestrians are class 1'
        if others.all():
            raise SourceError(f'{path} has no pedestrian, but {text}')
        warn(f'{path}: left out are {text}')
    if unique_ids:
        _check_ids(path, lines.rows[~others], lines.numbers[~others])
    return lines.rows[~others]


@dataclass(frozen=True)
class GroundTruth:
    """
    The ground truth of a sequence.

    :ivar benchmark: one of BENCHMARKS; its rule decides how tracks are scored.
    :ivar rows: the persons that count, as :func:`read_mot` returns them.
    :ivar all_rows: also those that do not count.
    :ivar distractors: which of `all_rows` are distractors.
    """

    benchmark: str
    rows: FloatArray
    all_rows: FloatArray
    distractors: NDArray[np.bool_]

    @classmethod
    def load(cls, path: Path, benchmark: Optional[str] = None) -> GroundTruth:
        """
        Read ground truth.

        Lines count if their seventh column is not 0 and, except in MOT15, their class is that of
        pedestrians.

        :param path: the file, or the directory of a sequence with ``gt/gt.txt``.
        :param benchmark: one of BENCHMARKS. None is MOT15 for a file without classes, the one
            that the name of a sequence begins with, or MOT17 for any other eight or nine columns.
        :raises SourceError: as :func:`read_mot`, if nothing counts, or the benchmark has no such
            class.
        """
        file = path / 'gt' / 'gt.txt' if path.is_dir() else path
        lines = _read(file)
        benchmark = benchmark or _benchmark_of(file, lines)
        counts = lines.rows[:, 6].astype(int) != 0
        if benchmark != 'MOT15':
            for first in np.flatnonzero(~np.isin(lines.classes, _CLASSES)):
                raise SourceError(
                    f'line {lines.numbers[first]} of {file} has the class '
                    f'{lines.classes[first]:g} (column 8), but those of {benchmark} are 1 to 13, '
                    'and 1 is a pedestrian'
                )
            counts &= lines.classes == _PEDESTRIAN
        if not counts.any():
            raise SourceError(
                f'no line of {file} counts by the rule of {benchmark}: column 7 is not 0'
                + ('' if benchmark == 'MOT15' else ', and the class in column 8 is 1')
            )
        _check_ids(file, lines.rows[counts], lines.numbers[counts])
        distractors = np.isin(lines.classes, _DISTRACTORS[benchmark])
        return cls(benchmark, lines.rows[counts], lines.rows, distractors)

    def without_distractors(self, rows: FloatArray) -> FloatArray:
        """
        Remove tracks of distractors from tracks, as :func:`read_mot` returns them.

        In each frame, all tracks are matched with all lines of the ground truth that they overlap
        by an IoU of 0.5 or more.
        """
        kept = np.ones(len(rows), dtype=bool)
        for frame in np.unique(self.all_rows[self.distractors, 0]):
            here = np.flatnonzero(self.all_rows[:, 0] == frame)
            found = np.flatnonzero(rows[:, 0] == frame)
            overlap = iou(self.all_rows[here, 2:6], rows[found, 2:6])
            overlap[overlap < MIN_IOU] = 0.0
            persons, tracks = linear_sum_assignment(overlap, maximize=True)
            matched = (overlap[persons, tracks] > 0) & self.distractors[here[persons]]
            kept[found[tracks[matched]]] = False
        return rows[kept]


def read_sequence_info(path: Path) -> Mapping[str, str]:
    """
    Read the ``seqinfo.ini`` of a sequence; keys are in lower case.

    :returns: empty if there is no such file.
    :raises SourceError: if it cannot be read.
    """
    if not path.exists():
        return {}
    info = configparser.ConfigParser(interpolation=None)
    try:
        info.read_string(read_bytes(path, _MAX_SEQINFO).decode('utf-8-sig'))
        return dict(info['Sequence'])
    except (UnicodeDecodeError, KeyError, configparser.Error) as error:
        reason = ' '.join(str(error).split())
        raise SourceError(f'{path} is no seqinfo.ini: {reason}') from error


class _Lines(NamedTuple):
    """The lines of a file with their classes, -1 without one, and their numbers."""

    rows: FloatArray
    classes: FloatArray
    numbers: NDArray[np.intp]


def _benchmark_of(file: Path, lines: _Lines) -> str:
    """Return the benchmark of a file of ground truth."""
    if (lines.classes == -1).all():
        return 'MOT15'
    folder = file.resolve().parent
    directory = folder.parent if folder.name == 'gt' else folder
    names = (directory.name, read_sequence_info(directory / 'seqinfo.ini').get('name', ''))
    named = [each for name in names for each in BENCHMARKS if name.upper().startswith(each)]
    return named[0] if named else 'MOT17'


def _read(path: Path) -> _Lines:
    try:
        text = read_bytes(path, _MAX_BYTES, 'MOTChallenge file').decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise SourceError(f'{path} is no MOTChallenge file: it is no text') from error
    rows: list[list[float]] = []
    classes: list[float] = []
    numbers: list[int] = []
    first = True
    for number, line in enumerate(text.splitlines(), start=1):
        fields = re.split(r'\s*,\s*|\s+', line.strip().rstrip(',').rstrip())
        if fields == ['']:
            continue
        header = first and line.lstrip('#"\' ').lower().startswith('frame')
        first = False
        if header:
            continue
        try:
            values = [float(field) for field in fields]
            frame, id_ = map(int, values[:2])
            good = len(values) in _COLUMNS and all(map(math.isfinite, values))
            good &= values[:2] == [frame, id_] and 1 <= frame <= MAX_FRAMES and abs(id_) <= _MAX_ID
        except (ValueError, OverflowError):
            good = False
        if not (good and max(map(abs, values[2:6])) <= _MAX_COORDINATE):
            raise SourceError(
                f'line {number} of {path} is wrong: {line[:100]!r}; expected 6 to 10 numbers: '
                f'frame (1 to {MAX_FRAMES}), id (a whole number), box in pixels, score or flag'
            )
        rows.append([*values[:6], *(values[6:7] or [1.0])])
        classes.append(values[7] if len(fields) in _WITH_CLASS else -1.0)
        numbers.append(number)
    return _Lines(
        np.array(rows, dtype=np.float64).reshape(-1, 7),
        np.array(classes, dtype=np.float64),
        np.array(numbers, dtype=np.intp),
    )


def _check_ids(path: Path, rows: FloatArray, lines: NDArray[np.intp]) -> None:
    _, first = np.unique(rows[:, :2], axis=0, return_index=True)
    again = np.setdiff1d(np.arange(len(rows)), first)
    if len(again):
        frame, id_ = rows[again[0], :2]
        raise SourceError(
            f'line {lines[again[0]]} of {path} has the id {id_:.0f} for the second time in frame '
            f'{frame:.0f}'
        )


class MotWriter(OutputFile):
    """Writes tracks to a file, one line per track and frame."""

    def add(self, frame: int, tracks: Iterable[tuple[int, FloatArray, float]]) -> None:
        """
        Write the tracks of one frame.

        :param frame: number of the frame, counted from 1.
        :param tracks: id, box ``[left, top, width, height]`` and score of each.
        :raises OutputError: if they cannot be written.
        """
        lines = (
            f'{frame},{track_id},{left:.4f},{top:.4f},{width:.4f},{height:.4f},{score:.4f}'
            ',-1,-1,-1'
            for track_id, (left, top, width, height), score in tracks
        )
        self.write(''.join(f'{line}\n' for line in lines).encode())
