"""
Shared memory that killed processes have left.

Fast DDS removes the segment of a process when it ends, but not if it is killed. A process
holds a lock (flock) on the file SEGMENT_el for as long as it lives. Ports, which are
small, are taken over by the next process.

Source: RobustExclusiveLock.hpp of Fast DDS, and its tool ``fastdds shm clean``.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import time
from pathlib import Path

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.reading import open_regular

FOLDER = Path('/dev/shm')  # noqa: S108 - it is this one that Fast DDS uses
# Fast DDS 2 and 3.
_LOCK = re.compile(r'(fastrtps|fastdds)_[0-9a-f]{16}_el')
# Seconds; the lock of a segment that is just being made may not be held yet.
_YOUNG = 10.0


# Bytes of free space below which rclpy cannot be imported: libraries that it loads write there,
# and the system ends the process by SIGBUS.
_NEEDED = 64 * 1024


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
    Remove the segments of processes of this user that have ended.

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
