"""
The state of a tracker in a file, to continue after a restart with the same ids.

A state is an .npz file of the arrays that `Tracker.state` returns, and of ``format`` (the name and
version of this layout) and ``algorithm``.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.errors import SourceError
from persontrack_ros.core.tracking.tracker import Tracker

FORMAT = 'persontrack state 2'

# What NumPy raises for files that are damaged or something else.
_DAMAGES = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


def save_tracker(tracker: Tracker, path: Path) -> None:
    """
    Write all that a tracker knows; a file that is there is replaced only by a complete one.

    :raises OutputError: if the file cannot be written.
    """
    arrays: dict[str, Any] = {
        'format': np.array(FORMAT),
        'algorithm': np.array(tracker.settings.algorithm),
        **tracker.state(),
    }
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix='.part', delete=False) as file:
            temporary = file.name
            np.savez(file, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(f'cannot write the state {path}: {error.strerror}') from error


def load_tracker(tracker: Tracker, path: Path) -> None:
    """
    Let a tracker continue from what :func:`save_tracker` wrote; its settings stay as they are.

    :raises SourceError: if the file cannot be read, is damaged, no state, of another version or
        of another algorithm; the tracker is then as it was.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except _DAMAGES as error:
        raise SourceError(f'cannot read the state {path}: {error}') from error
    except (AttributeError, TypeError) as error:
        # NumPy takes a file of one array for what it is, not for an archive.
        raise SourceError(f'{path} is no state of a tracker') from error
    found = str(arrays.pop('format', ''))
    if not found.startswith(FORMAT.rpartition(' ')[0]):
        raise SourceError(f'{path} is no state of a tracker')
    if found != FORMAT:
        raise SourceError(f'{path} has the format {found!r}; this version reads {FORMAT!r}')
    algorithm, wanted = str(arrays.pop('algorithm', '')), tracker.settings.algorithm
    if algorithm != wanted:
        raise SourceError(f'{path} is of the algorithm {algorithm}, but the tracker is {wanted}')
    try:
        tracker.restore(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f'the state {path} is damaged: {error}') from error
