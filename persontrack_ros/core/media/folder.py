"""Images in files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from persontrack_ros.core.base.errors import ImageError, SourceError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.opencv import silence
from persontrack_ros.core.base.reading import read_bytes
from persontrack_ros.core.media.encodings import SampleRange, decode_image
from persontrack_ros.core.media.reader import Image

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
_VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpg', '.ts', '.webm')
# More than the largest image that is decoded has without compression.
_MAX_IMAGE_BYTES = 1 << 29


class ImageFolder:
    """The images of a folder, in the order of the numbers in their names."""

    rate = 0.0
    ends = True

    def __init__(self, directory: Path) -> None:
        """
        List the images.

        :raises SourceError: if there are none.
        """
        self._paths = images_in(directory)
        self.frame_count = len(self._paths)

    def __iter__(self) -> Iterator[Image]:
        """
        Read the images.

        :raises SourceError: if one cannot be decoded.
        """
        samples = SampleRange()
        for number, path in enumerate(self._paths, start=1):
            yield number, None, read_image(path, samples)

    def check(self) -> None:
        """Do nothing: a missing image fails when it is read."""

    def close(self) -> None:
        """Do nothing: no file stays open."""


def images_in(directory: Path) -> list[Path]:
    """
    Return the image files of a folder in the order of the numbers in their names.

    :raises SourceError: if there are none.
    """

    def natural(path: Path) -> list[tuple[int, str]]:
        # 10.png follows 9.png.
        parts = re.split(r'(\d+)', path.name)
        return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts]

    # macOS leaves files such as ._1.png on USB sticks and in archives, which are no images.
    try:
        images = [
            path
            for path in directory.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.')
        ]
    except OSError as error:
        raise SourceError(f'cannot read the folder {directory}: {error.strerror}') from error
    if not images:
        videos = [path for path in directory.iterdir() if path.suffix.lower() in _VIDEO_SUFFIXES]
        hint = f'; it has videos: name one, as {min(videos)}' if videos else ''
        raise SourceError(
            f'no images ({", ".join(IMAGE_SUFFIXES)}) in the folder {directory}{hint}'
        )
    return sorted(images, key=natural)


def read_image(path: Path, samples: Optional[SampleRange] = None) -> BgrImage:
    """
    Read an image file as uint8 BGR.

    :param samples: of the folder, for 16-bit samples; by default, the image is one of its own.
    :raises SourceError: if it does not exist or cannot be decoded.
    """
    if not path.is_file():
        raise SourceError(f'no image file {path}')
    silence()
    try:
        return decode_image(read_bytes(path, _MAX_IMAGE_BYTES), oriented=True, samples=samples)
    except ImageError as error:
        raise SourceError(f'cannot decode the image {path}: {error}') from error
