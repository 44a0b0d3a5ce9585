"""Videos written from images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Optional

import av
import cv2
from av.video.stream import VideoStream

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import OutputFile

# The usual rates are divisors of it.
_CLOCK = 60_000
# An .avi file gets an empty time slot for each missing image of its rate; FFmpeg allows 1024.
_MOST_EMPTY = 1000


class _Kind(NamedTuple):
    container: str
    codec: str
    pixels: str
    options: dict[str, object]
    any_time: bool


# Browsers play VP9, and the licence of its encoder allows any use; x264 is under the GPL.
_FAST: dict[str, object] = {'deadline': 'realtime', 'cpu-used': '8', 'crf': '32', 'b': '0'}
_GOOD: dict[str, object] = {'flags': '+qscale', 'global_quality': '472'}
_VP9 = ('libvpx-vp9', 'yuv420p', _FAST, True)
_KINDS = {
    '.mp4': _Kind('mp4', *_VP9),
    '.webm': _Kind('webm', *_VP9),
    '.mkv': _Kind('matroska', *_VP9),
    '.avi': _Kind('avi', 'mjpeg', 'yuvj420p', _GOOD, False),
}


class VideoWriter:
    """
    Writes images to a video file, each at its own time.

    A context manager; leaving it completes the file. If there was an error or no image, there is
    none. The first image decides the size.
    """

    def __init__(self, path: Path, rate: float) -> None:
        """
        Create a file.

        :param path: the suffix decides the format: .mp4, .webm, .mkv or .avi.
        :param rate: images per second; in an .avi file, images move to the next free time slot of
            this rate.
        :raises OutputError: if the directory does not exist, the suffix is unknown, or the file
            cannot be written.
        """
        if not path.parent.is_dir():
            raise OutputError(f'cannot write {path}: there is no directory {path.parent}')
        kind = _KINDS.get(path.suffix.lower())
        if kind is None:
            raise OutputError(
                f'cannot write the video {path}: the name has to end in {", ".join(_KINDS)}'
            )
        self._kind = kind
        self._rate = Fraction(rate).limit_denominator(1001)
        self._tick = Fraction(1, _CLOCK) if kind.any_time else 1 / self._rate
        self._path = path
        self._file = OutputFile(path)
        self._container: Optional[av.container.OutputContainer] = None
        self._start = 0
        self._last = -1
        self._image: Optional[BgrImage] = None

    def write(self, image: BgrImage, stamp: int) -> None:
        """
        Append one image.

        :param stamp: its time in nanoseconds, later than that of the one before.
        :raises OutputError: if the file cannot be written.
        """
        with self._errors():
            if self._image is None:
                self._open(image)
                self._start = stamp
            elif image.shape != self._image.shape:
                image = cv2.resize(image, (self._image.shape[1], self._image.shape[0]))
            ticks = max(round((stamp - self._start) / 1_000_000_000 / self._tick), self._last + 1)
            if self._image is not None and not self._kind.any_time:
                while ticks - self._last > _MOST_EMPTY:
                    self._encode(self._image, self._last + _MOST_EMPTY)
            self._encode(image, ticks)
        self._image = image

    def _open(self, image: BgrImage) -> None:
        self._container = av.open(self._file, 'w', format=self._kind.container)
        stream = self._container.add_stream(self._kind.codec, rate=self._rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = self._kind.pixels
        stream.time_base = stream.codec_context.time_base = self._tick
        stream.options = self._kind.options
        self._stream = stream

    def _encode(self, image: BgrImage, ticks: int) -> None:
        assert self._container is not None
        frame = av.VideoFrame.from_ndarray(image, 'bgr24')
        frame.time_base = self._tick
        frame.pts = self._last = ticks
        self._container.mux(self._stream.encode(frame))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            raise OutputError(f'cannot write the video {self._path}: {error.strerror}') from error

    def __enter__(self) -> VideoWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Complete the file, or remove it after an error."""
        try:
            if self._container is not None:
                with self._errors():
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
                if kind is None:
                    self._file.commit()
        except OutputError:
            # Of what failed before, it would fail here again.
            if kind is None:
                raise
        finally:
            self._file.discard()
