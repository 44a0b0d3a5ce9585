"""The base of all kinds of sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from persontrack_ros.core.base.images import BgrImage

# Number, counted from 1; time in seconds, None where the source has none; and pixels.
Image = tuple[int, Optional[float], BgrImage]


class Reader:
    """
    An open source; iterate over it once to read its images, SourceError if one cannot be read.

    :ivar rate: images per second; 0 if unknown.
    :ivar ends: whether it has an end, as a file has, and times of its own.
    :ivar frame_count: announced number of images; 0 if unknown.
    """

    rate = 0.0
    ends = True
    frame_count = 0

    def __iter__(self) -> Iterator[Image]:
        """Read the images."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise SourceError, at the end, if more was announced than could be read."""

    def close(self) -> None:
        """Release the file, connection or device."""
