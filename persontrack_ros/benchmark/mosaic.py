"""A crowd in full HD, put together from the videos at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.images import BgrImage
from persontrack_ros.core.video.source import SourceOptions, VideoSource

WIDTH, HEIGHT = 1920, 1080
_TILES = 2
_RATE = 10.0


def write_mosaic(videos: Sequence[str], path: Path, frames: int) -> None:
    """
    Write two by two tiles as an uncompressed video, which takes next to no time to read.

    :param videos: shown in turn; of one that is shown again, later frames.
    :param path: a file that ends in .avi; 3 MB per frame.
    :raises SourceError: if a video cannot be read.
    :raises OutputError: if the file cannot be written.
    """
    tiles = [
        _tile(videos[index % len(videos)], index // len(videos) * frames)
        for index in range(_TILES * _TILES)
    ]
    size = (WIDTH, HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'I420'), _RATE, size)
    if not writer.isOpened():
        raise OutputError(f'cannot write the video {path}')
    for _, *images in zip(range(frames), *tiles):
        rows = [np.hstack(images[row : row + _TILES]) for row in range(0, len(images), _TILES)]
        writer.write(np.vstack(rows))
    writer.release()


def _tile(video: str, skipped: int) -> Iterator[BgrImage]:
    size = SourceOptions(
        loop=True, skip_frames=skipped, width=WIDTH // _TILES, height=HEIGHT // _TILES
    )
    with VideoSource(video, size) as source:
        for frame in source:
            yield frame.image
