"""
The state of a tracker in a file, to continue after a restart with the same ids.

A state is an .npz file of the arrays that `OnlineTracker.state` returns, and of ``format`` (the
name and version of this layout) and ``algorithm``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.arrays import read_arrays
from persontrack_ros.core.base.errors import OutputError, SourceError, one_line
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.tracking.tracker import OnlineTracker

FORMAT = 'persontrack state 6'
_KIND = FORMAT.rpartition(' ')[0]

# Bytes that a state may have: 100 persons with 100 embeddings of 512 numbers each have 20 MB.
LIMIT = 256 * 2**20


def save_state(algorithm: str, state: Mapping[str, NDArray[Any]], path: Path) -> None:
    """
    Write the state of a tracker; an existing state is replaced only by a complete one.

    :raises OutputError: if the file cannot be written, or an existing file is no state.
    """
    try:
        # The path may come from an untrusted client.
        if path.is_symlink():
            raise SourceError('it is a link')
        if os.path.lexists(path) and not _format(read_arrays(path, LIMIT, only='format')):
            raise SourceError('there is another file; remove it, or name another one')
    except (OSError, SourceError, ValueError) as error:
        raise OutputError(f'cannot write the state {path}: {one_line(error)}') from error
    arrays: dict[str, Any] = {'format': FORMAT, 'algorithm': algorithm, **state}
    with OutputFile(path) as file:
        np.savez(file, **arrays)


def _format(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return name and version of the layout of a state, or nothing for other files."""
    found = str(arrays.get('format', ''))
    return found if found.startswith(_KIND) else ''


def load_tracker(tracker: OnlineTracker, path: Path) -> str:
    """
    Let a tracker continue from a stored state; its settings do not change.

    :returns: the array ``counts``, a list in JSON.
    :raises SourceError: if the file cannot be read, is damaged, no state, of another version or
        of another algorithm; the tracker is then unchanged.
    """
    arrays = read_arrays(path, LIMIT)
    found = _format(arrays)
    if not found:
        raise SourceError(f'{path} is no state of a tracker')
    if found != FORMAT:
        raise SourceError(f'{path} has the format {found!r}; this version reads {FORMAT!r}')
    algorithm, wanted = str(arrays.pop('algorithm', '')), tracker.settings.algorithm
    if algorithm != wanted:
        raise SourceError(f'{path} is of the algorithm {algorithm}, but the tracker is {wanted}')
    counts = str(arrays.pop('counts', '[]'))
    try:
        for name, event, number in json.loads(counts):
            if not (isinstance(name, str) and isinstance(event, str) and 0 <= number < 2**32):
                raise ValueError('its counts are wrong')
        tracker.restore(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f'the state {path} is damaged: {one_line(error)}') from error
    return counts
