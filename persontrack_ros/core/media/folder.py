"""Images in files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from persontrack_ros.core.base.errors import ImageError, SourceError
from persontrack_ros.core.base.images import BgrImage, silence
from persontrack_ros.core.base.reading import read_bytes
from persontrack_ros.core.media.encodings import SampleRange, decode_image
from persontrack_ros.core.media.reader import Image, Reader

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
_VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpg', '.ts', '.webm')
# More than the largest image that is decoded has without compression.
_MAX_IMAGE_BYTES = 1 << 29


class ImageFolder(Reader):
    """The images of a folder, in the order of the numbers in their names."""

    def __init__(self, directory: Path) -> None:
        """
        List the images.

        :raises SourceError: if there are none.
        """
        try:
            # macOS leaves files such as ._1.png on USB sticks and in archives.
            images = [
                path
                for path in directory.iterdir()
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.')
            ]
        except OSError as error:
            raise SourceError(f'cannot read the folder {directory}: {error.strerror}') from error
        if not images:
            videos = [one for one in directory.iterdir() if one.suffix.lower() in _VIDEO_SUFFIXES]
            hint = f'; it has videos: name one, as {min(videos)}' if videos else ''
            raise SourceError(
                f'no images ({", ".join(IMAGE_SUFFIXES)}) in the folder {directory}{hint}'
            )
        self._paths = sorted(images, key=_numbers)
        self.frame_count = len(images)

    def __iter__(self) -> Iterator[Image]:
        """
        Read the images.

        :raises SourceError: if one cannot be decoded.
        """
        samples = SampleRange()
        for number, path in enumerate(self._paths, start=1):
            yield number, None, read_image(path, samples)


def _numbers(path: Path) -> list[tuple[int, str]]:
    """Return a key to sort by: 10.png follows 9.png."""
    parts = re.split(r'(\d+)', path.name)
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts]


def read_image(path: Path, samples: Optional[SampleRange] = None) -> BgrImage:
    """
    Read an image file as uint8 BGR.

    :param samples: of the folder, for 16-bit samples; by default, the image is one of its own.
    :raises SourceError: if it does not exist or cannot be decoded.
    """
    silence()
    content = read_bytes(path, _MAX_IMAGE_BYTES, 'image')
    try:
        return decode_image(content, oriented=True, samples=samples)
    except ImageError as error:
        raise SourceError(f'cannot decode the image {path}: {error}') from error
