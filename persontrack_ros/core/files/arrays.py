"""Named arrays in .npz files from anywhere: of bounded size, and whole or refused."""

from __future__ import annotations

import os
import stat
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from persontrack_ros.core.errors import SourceError, one_line

# What comes of archives and arrays that are damaged or something else.
_DAMAGES = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

_SUFFIX = '.npy'


def read_arrays(path: Path, limit: int, what: str = '') -> dict[str, NDArray[Any]]:
    """
    Read all arrays of a file.

    :param limit: bytes that they may have together, however small the file is.
    :param what: kind of file, for errors.
    :raises SourceError: if it is no regular file, cannot be read, is damaged or has more.
    """
    name = f'{what} {path}'.lstrip()
    try:
        # A device or a pipe can wait for ever, at the opening already.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise SourceError(f'cannot read {name}: it is no regular file')
        with zipfile.ZipFile(path) as archive:
            return _read_members(archive, limit)
    except OSError as error:
        raise SourceError(f'cannot read {name}: {error.strerror or error}') from error
    except _DAMAGES as error:
        raise SourceError(f'cannot read {name}: {one_line(error)}') from error


def _read_members(archive: zipfile.ZipFile, limit: int) -> dict[str, NDArray[Any]]:
    members = [each for each in archive.infolist() if each.filename.endswith(_SUFFIX)]
    # zipfile gives no more than a member says it has.
    size = sum(each.file_size for each in members)
    if size > limit:
        raise ValueError(f'it has {size} bytes; {limit} are allowed')
    arrays = {}
    for member in members:
        with archive.open(member) as file:
            _check_length(file, member.file_size)
        with archive.open(member) as file:
            array = npy.read_array(file, allow_pickle=False)
            # A checksum is compared at the end only.
            file.read(1)
        arrays[member.filename[: -len(_SUFFIX)]] = array
    return arrays


def _check_length(file: Any, size: int) -> None:
    """Compare what an array announces with what there is, before memory is taken for it."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    announced = file.tell() + dtype.itemsize * int(np.prod(shape, dtype=object))
    if min(shape, default=0) < 0 or announced != size:
        raise ValueError(f'an array of shape {shape} is announced in {size} bytes')
