"""The memory of images."""

import ctypes

# Parameters of glibc's mallopt(3), and their values.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# The largest threshold that there is; one image in full HD has 6 MB.
_KEPT_BLOCK = 32 * 1024**2
_KEPT_ALL = 128 * 1024**2


def keep_freed_memory() -> None:
    """
    Let the memory of an image be used again for the next one; programs call it at their start.

    By default, glibc gives large blocks back to the system at once, which clears them page by page
    when they are asked for anew: more than half of what it costs to receive an image. Other
    libraries than glibc are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_ALL)


def give_freed_memory_back() -> None:
    """Return to the system what :func:`keep_freed_memory` keeps, when much was freed for good."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)
