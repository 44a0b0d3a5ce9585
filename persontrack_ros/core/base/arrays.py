"""Named arrays in .npz files from anywhere: of bounded size, and whole or refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import SourceError, one_line
from persontrack_ros.core.base.reading import open_regular


def read_arrays(path: Path, limit: int, what: str = '', only: str = '') -> dict[str, NDArray[Any]]:
    """
    Read all arrays of a file.

    :param limit: largest total size in bytes, however small the file is.
    :param what: kind of file, for errors.
    :param only: name of the only array to read, if it exists.
    :raises SourceError: if it is no regular file, cannot be read, is damaged or above the limit.
    """
    name = f'{what} {path}'.lstrip()
    arrays = {}
    size = 0
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                key = member.filename.removesuffix('.npy')
                if key == member.filename or (only and key != only):
                    continue
                # zipfile returns at most the announced size of a member.
                size += member.file_size
                if size > limit:
                    raise ValueError(f'it has {size} bytes or more; {limit} are allowed')
                # Read to the end, where the checksum is compared.
                content = io.BytesIO(archive.read(member))
                arrays[key] = npy.read_array(content, allow_pickle=False)
    except OSError as error:
        raise SourceError(f'cannot read {name}: {error.strerror or error}') from error
    except Exception as error:
        raise SourceError(f'cannot read {name}: {one_line(error)}') from error
    return arrays
