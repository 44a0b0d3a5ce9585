"""Memory: of images and models, and the shared memory of the middleware."""

from __future__ import annotations

import ctypes
import fcntl
import math
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.reading import open_regular

# Parameters of glibc's mallopt(3). The largest threshold that there is; one image in full HD has
# 6 MB.
_M_TRIM_THRESHOLD, _KEPT_ALL, _KEPT_LITTLE = -1, 128 * 1024**2, 128 * 1024
_M_MMAP_THRESHOLD, _KEPT_BLOCK = -3, 32 * 1024**2

FOLDER = Path('/dev/shm')  # noqa: S108 - it is this one that Fast DDS uses
# Of Fast DDS 2 and 3. A process holds a lock (flock) on the file SEGMENT_el for as long as it
# lives; ports, which are small, are taken over by the next process.
# Source: RobustExclusiveLock.hpp of Fast DDS, and its tool `fastdds shm clean`.
_LOCK = re.compile(r'(fastrtps|fastdds)_[0-9a-f]{16}_el')
# Seconds; the lock of a segment that is just being made may not be held yet.
_YOUNG = 10.0
# Bytes of free space below which rclpy cannot be imported: libraries that it loads write there,
# and the system ends the process by SIGBUS.
_NEEDED = 64 * 1024


def keep_freed_memory() -> None:
    """
    Let the memory of an image be used again for the next one; programs call it at their start.

    By default, glibc gives large blocks back to the system at once, which clears them page by page
    when they are allocated anew: more than half of what it costs to receive an image. Other
    libraries than glibc are left alone.
    """
    _call('mallopt', _M_MMAP_THRESHOLD, _KEPT_BLOCK)
    _call('mallopt', _M_TRIM_THRESHOLD, _KEPT_ALL)


@contextmanager
def giving_memory_back() -> Iterator[None]:
    """
    Return to the system what is freed for good in the block, and all that was kept.

    Before and not after it is freed: what threads of the past allocated is in heaps that shrink
    only then.
    """
    _call('mallopt', _M_TRIM_THRESHOLD, _KEPT_LITTLE)
    try:
        yield
    finally:
        _call('malloc_trim', 0)
        keep_freed_memory()


def _call(name: str, *arguments: int) -> None:
    """Call a function of the C library, if it has it."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)


def check_space(folder: Path = FOLDER) -> None:
    """
    Check, before rclpy is imported, that it can be.

    :raises SettingsError: if shared memory is full.
    """
    if free(folder) < _NEEDED:
        raise SettingsError(
            f'{folder} is full, and without space there a ROS node ends by SIGBUS: remove what '
            'fills it, or give it more (docker run --shm-size=1g)'
        )


def free(folder: Path = FOLDER) -> float:
    """Return how many bytes are free; infinity where there is no such folder."""
    if not folder.is_dir():
        return math.inf
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def remove_segments_of_dead(folder: Path = FOLDER) -> tuple[int, int]:
    """
    Remove the segments that killed processes of this user have left.

    :returns: their number and size in bytes.
    """
    number = size = 0
    locks = folder.iterdir() if folder.is_dir() else ()
    for lock in [each for each in locks if _LOCK.fullmatch(each.name)]:
        try:
            status = lock.stat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < _YOUNG:
                continue
            with open_regular(lock) as file:
                # A process that is alive holds it. While we do, no process takes the segment.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                segment = lock.with_name(lock.name[: -len('_el')])
                if segment.exists():
                    size += segment.stat().st_size
                    segment.unlink()
                lock.unlink()
                number += 1
        except OSError:
            # It is held, no file, or another node has removed it meanwhile.
            continue
    return number, size
