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

from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.errors import SourceError
from persontrack_ros.core.geometry import FloatArray


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

    A context manager; each frame is flushed, so that an interrupted run leaves a complete file.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file.

        :raises OutputError: if it cannot be written.
        """
        try:
            self._file = path.open('w')
        except OSError as error:
            raise OutputError(f'cannot write {path}: {error.strerror}') from error

    def write(self, frame: int, tracks: Iterable[tuple[int, FloatArray, float]]) -> None:
        """
        Write the tracks of one frame.

        :param frame: number of the frame, counted from 1.
        :param tracks: id, box ``[left, top, width, height]`` and score of each.
        """
        for track_id, (left, top, width, height), score in tracks:
            self._file.write(
                f'{frame},{track_id},{left:.4f},{top:.4f},{width:.4f},{height:.4f},'
                f'{score:.4f},-1,-1,-1\n'
            )
        self._file.flush()

    def __enter__(self) -> MotWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Close the file."""
        self._file.close()
