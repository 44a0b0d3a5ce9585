"""Videos written from images."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Optional

import cv2

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.errors import OutputError


class VideoWriter:
    """
    Writes images to an .mp4 or .avi file.

    A context manager; the file is complete after leaving it. The first image decides the size.
    """

    def __init__(self, path: Path, rate: float) -> None:
        """
        Prepare a file; it is created with the first image.

        :param rate: images per second.
        :raises OutputError: if the directory does not exist.
        """
        if not path.parent.is_dir():
            raise OutputError(f'cannot write {path}: there is no directory {path.parent}')
        self._path = path
        self._rate = rate
        self._writer: Optional[cv2.VideoWriter] = None
        self._size = (0, 0)

    def write(self, image: BgrImage) -> None:
        """
        Append one image.

        :raises OutputError: if the file cannot be written.
        """
        if self._writer is None:
            code = 'MJPG' if self._path.suffix.lower() == '.avi' else 'mp4v'
            self._size = (image.shape[1], image.shape[0])
            self._writer = cv2.VideoWriter(
                str(self._path), cv2.VideoWriter_fourcc(*code), self._rate, self._size
            )
            if not self._writer.isOpened():
                raise OutputError(
                    f'cannot write the video {self._path}: is the directory writable, and does '
                    'the name end in .mp4 or .avi?'
                )
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size)
        self._writer.write(image)

    def __enter__(self) -> VideoWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.release()
