"""The interface of all kinds of sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional, Protocol

from persontrack_ros.core.base.images import BgrImage

# Number, counted from 1; time in seconds, None where the source has none; and pixels.
Image = tuple[int, Optional[float], BgrImage]


class Reader(Protocol):
    """
    An open source; iterate over it once to read its images.

    :ivar rate: images per second; 0 if unknown.
    :ivar ends: whether it has an end, as a file has, and times of its own.
    """

    rate: float
    ends: bool

    @property
    def frame_count(self) -> int:
        """The number of images; 0 if unknown."""

    def __iter__(self) -> Iterator[Image]:
        """Read the images; SourceError if one cannot be read."""

    def check(self) -> None:
        """Raise SourceError, at the end, if more was announced than could be read."""

    def close(self) -> None:
        """Release the file, connection or device."""
