"""The memory of images and models."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of glibc's mallopt(3), and their values.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# The largest threshold that there is; one image in full HD has 6 MB.
_KEPT_BLOCK = 32 * 1024**2
_KEPT_ALL = 128 * 1024**2
# The default.
_KEPT_LITTLE = 128 * 1024


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
