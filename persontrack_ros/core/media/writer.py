"""Videos written from images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Optional

import av
import cv2
from av.video.stream import VideoStream

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import OutputFile

# The usual rates are divisors of it.
_CLOCK = 60_000
_CONTAINERS = {'.mp4': 'mp4', '.webm': 'webm', '.mkv': 'matroska'}
VIDEO_SUFFIXES = tuple(_CONTAINERS)
# Browsers play VP9, and the licence of its encoder allows any use; x264 is under the GPL.
_CODEC = 'libvpx-vp9'
_OPTIONS: dict[str, object] = {'deadline': 'realtime', 'cpu-used': '8', 'crf': '32', 'b': '0'}


class VideoWriter(AbstractContextManager['VideoWriter']):
    """
    Writes images to a video file, each at its own time.

    A context manager; leaving it completes the file. If there was an error or no image, there is
    none. The first image decides the size.
    """

    def __init__(self, path: Path, rate: float) -> None:
        """
        Create a file.

        :param path: the suffix decides the format: .mp4, .webm or .mkv.
        :param rate: images per second.
        :raises OutputError: if the directory does not exist, the suffix is unknown, or the file
            cannot be written.
        """
        if path.suffix.lower() not in _CONTAINERS:
            raise OutputError(
                f'cannot write the video {path}: the name has to end in .mp4, .webm or .mkv'
            )
        self._rate = Fraction(rate).limit_denominator(1001)
        self._path = path
        self._file = OutputFile(path)
        self._container: Optional[av.container.OutputContainer] = None
        self._start = 0
        self._last = -1

    def write(self, image: BgrImage, stamp: int) -> None:
        """
        Append one image.

        :param stamp: its time in nanoseconds, later than that of the one before.
        :raises OutputError: if the file cannot be written.
        """
        with self._errors():
            if self._container is None:
                self._container = self._open(image)
                self._start = stamp
            size = (self._stream.width, self._stream.height)
            if image.shape[1::-1] != size:
                image = cv2.resize(image, size)
            frame = av.VideoFrame.from_ndarray(image, 'bgr24')
            frame.time_base = Fraction(1, _CLOCK)
            ticks = round((stamp - self._start) / 1_000_000_000 * _CLOCK)
            frame.pts = self._last = max(ticks, self._last + 1)
            self._container.mux(self._stream.encode(frame))

    def _open(self, image: BgrImage) -> av.container.OutputContainer:
        container = av.open(self._file, 'w', format=_CONTAINERS[self._path.suffix.lower()])
        stream = container.add_stream(_CODEC, rate=self._rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.time_base = stream.codec_context.time_base = Fraction(1, _CLOCK)
        stream.options = _OPTIONS
        self._stream = stream
        return container

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            raise OutputError(f'cannot write the video {self._path}: {error.strerror}') from error

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        """Complete the file, or remove it after an error."""
        try:
            # After an error there is nothing to complete, and FFmpeg may crash.
            if kind is None and self._container is not None:
                with self._errors():
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
                self._file.commit()
        finally:
            self._file.discard()
