"""Files that somebody else wrote: whatever is in them, they cost bounded time and memory."""

from __future__ import annotations

from pathlib import Path

from persontrack_ros.core.errors import SourceError


def read_bytes(path: Path, limit: int) -> bytes:
    """
    Read a file whole.

    :param limit: the largest size in bytes that makes sense.
    :raises SourceError: if it cannot be read, is no regular file (a device or pipe may never end)
        or is larger.
    """
    try:
        if path.exists() and not path.is_file():
            raise SourceError(f'{path} is no regular file')
        with path.open('rb') as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise SourceError(f'cannot read {path}: {getattr(error, "strerror", error)}') from error
    if len(content) > limit:
        raise SourceError(f'{path} is larger than {limit} bytes, too large for what it should be')
    return content
