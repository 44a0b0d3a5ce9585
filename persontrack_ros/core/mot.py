"""
MOTChallenge text files: ``frame, id, left, top, width, height, score, -1, -1, -1``.

Frames and ids count from 1, boxes are in pixels. Source: Leal-Taixe et al.: MOTChallenge 2015,
arXiv:1504.01942.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Optional

import numpy as np

from persontrack_ros.core.errors import SourceError
from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.output import OutputFile


def read_mot(path: Path) -> FloatArray:
    """
    Read a file of tracks, detections or ground truth.

    :returns: a row ``[frame, id, left, top, width, height, score]`` per line, shape ``(N, 7)``.
        In ground truth the score is 1 in the lines that count and 0 in the others.
    :raises SourceError: if the file cannot be read or holds something else.
    """
    try:
        with path.open() as file:
            lines = [line.split(',')[:7] for line in file if line.strip()]
        rows = np.array(lines, dtype=np.float64).reshape(-1, 7)
    except (OSError, ValueError) as error:
        raise SourceError(f'cannot read the MOTChallenge file {path}: {error}') from error
    if not np.isfinite(rows).all():
        raise SourceError(f'{path} holds numbers that are not finite')
    return rows


def read_ground_truth(directory: Path) -> FloatArray:
    """
    Read the lines that count of ``gt/gt.txt`` below the directory of a sequence.

    :returns: as :func:`read_mot`.
    :raises SourceError: if the file cannot be read or nothing counts.
    """
    rows = read_mot(directory / 'gt' / 'gt.txt')
    rows = rows[rows[:, 6] == 1]
    if not len(rows):
        raise SourceError(f'no line of {directory / "gt" / "gt.txt"} counts')
    return rows


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
