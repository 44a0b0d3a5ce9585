"""Named arrays in .npz files from anywhere: of bounded size, and whole or refused."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import SourceError, one_line
from persontrack_ros.core.base.reading import open_regular

# The errors that damaged or other archives and arrays raise.
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


def read_arrays(path: Path, limit: int, what: str = '', only: str = '') -> dict[str, NDArray[Any]]:
    """
    Read all arrays of a file.

    :param limit: largest total size in bytes, however small the file is.
    :param what: kind of file, for errors.
    :param only: name of the only array to read, if it exists.
    :raises SourceError: if it is no regular file, cannot be read, is damaged or above the limit.
    """
    name = f'{what} {path}'.lstrip()
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return _read_members(archive, limit, only)
    except OSError as error:
        raise SourceError(f'cannot read {name}: {error.strerror or error}') from error
    except _DAMAGES as error:
        raise SourceError(f'cannot read {name}: {one_line(error)}') from error


def _read_members(archive: zipfile.ZipFile, limit: int, only: str) -> dict[str, NDArray[Any]]:
    members = [
        each
        for each in archive.infolist()
        if each.filename.endswith(_SUFFIX) and (not only or each.filename == only + _SUFFIX)
    ]
    # zipfile returns at most the announced size of a member.
    size = sum(each.file_size for each in members)
    if size > limit:
        raise ValueError(f'it has {size} bytes; {limit} are allowed')
    arrays = {}
    for member in members:
        with archive.open(member) as file:
            array = npy.read_array(file, allow_pickle=False)
            # A checksum is compared at the end only.
            file.read(1)
        arrays[member.filename[: -len(_SUFFIX)]] = array
    return arrays
