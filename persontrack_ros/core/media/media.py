"""
Video files and streams, decoded by FFmpeg through PyAV.

OpenCV has the same decoders, but gives images that it failed to convert (all that are interlaced,
with FFmpeg 8) as if they were good, and does not report which were damaged.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from persontrack_ros.core.base.errors import SourceError, without_passwords
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.media.reader import Image, Reader

# Timeouts of a server: seconds until it answers, and until it sends more.
TIMEOUT = (10.0, 10.0)

_logger = logging.getLogger(__name__)

# Titles need not be UTF-8. PyAV 19 handles that by itself, and has no such option any more.
_LENIENT: dict[str, Any] = (
    {'metadata_errors': 'replace'} if int(av.__version__.partition('.')[0]) < 19 else {}
)

# Containers with their duration at the start; for others, FFmpeg guesses it from their end.
_ANNOUNCING = {'avi', 'flv', 'asf', 'matroska', 'mov'}

# Decoders that flag the images for which data is missing. What FFmpeg flags in a .ts file is the
# packet before the gap, which is whole, and where two files were put together nothing is missing.
_FLAGGING = ('h264', 'mpeg1video', 'mpeg2video', 'mpeg4')

_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


class Media(Reader):
    """A video: a file, also on a server, or a stream, which has no end."""

    def __init__(self, location: str) -> None:
        """
        Open a video.

        :param location: path, or URL of any protocol that FFmpeg knows.
        :raises SourceError: if it cannot be read, or holds no video.
        """
        self._name = without_passwords(location)
        self._remote = '://' in location
        # Over UDP, the first router that is busy costs an image.
        options = {'rtsp_transport': 'tcp'} if location.startswith('rtsp') else {}
        # Else FFmpeg takes a step back, as between .ts files put together, for one of 26 hours on.
        options['correct_ts_overflow'] = '0'
        try:
            self._container = av.open(location, options=options, timeout=TIMEOUT, **_LENIENT)
        except (av.error.FFmpegError, ValueError) as error:
            # Not from the error, which a traceback would show with the password.
            raise SourceError(f'cannot decode the video {self._name}: {_reason(error)}') from None
        stream = self._container.streams.best('video')
        if not isinstance(stream, VideoStream):
            self._container.close()
            raise SourceError(f'there is no video in {self._name}')
        self._stream = stream
        # On several threads; without it only decoders use them that split images into slices.
        stream.thread_type = 'AUTO'
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        # Raw streams report absurd rates.
        self.rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else 0.0
        # A playlist is no file with a video in it.
        listed = self._container.format.name in ('hls', 'dash')
        self.ends = self._container.duration is not None or (
            (self._container.size or 0) > 0 and not listed
        )
        self._announced = self._written_duration()
        self.frame_count = stream.frames or round(self._announced * self.rate)
        self._position = 0
        self._damaged = 0
        self._losses = 0
        # Time of the last image, and the two longest times between images.
        self._end = 0.0
        self._gaps = [1 / self.rate if self.rate else 0.0] * 2
        self._problem = ''

    def __iter__(self) -> Iterator[Image]:
        """
        Decode the images; damaged ones are left out.

        :returns: the number of each, counted from 1 and with the damaged ones, its time in
            seconds from the start on, None where the video has no times, and the image.
        """
        # A new one for each image would take half a millisecond.
        converter = VideoReformatter()
        # The order of the packets of an .avi file is its only time.
        has_pts = 'avi' not in self._container.format.name
        base = float(self._stream.time_base or 0)
        start = None
        for frame in self._frames():
            self._position += 1
            if frame.is_corrupt:
                self._damaged += 1
                continue
            ticks = frame.pts if has_pts and frame.pts is not None else frame.dts
            seconds = None
            if ticks is not None:
                start = ticks if start is None else start
                seconds = (ticks - start) * base
                self._gaps = sorted([*self._gaps, seconds - self._end])[-2:]
                self._end = max(self._end, seconds)
            # Interpolated and rounded as OpenCV does it, so that the pixels are the same.
            pixels = converter.reformat(frame, format='bgr24', interpolation='BICUBIC')
            image: BgrImage = np.asarray(pixels.to_ndarray(), dtype=np.uint8)
            turn = _TURNS.get(frame.rotation % 360)
            yield self._position, seconds, image if turn is None else cv2.rotate(image, turn)

    def check(self) -> None:
        """
        Compare the images read with the announced number.

        :raises SourceError: if images were damaged, or it ended too early; of a live stream, only
            if the connection failed.
        """
        if self._remote and self._problem:
            raise SourceError(
                f'{self._name} broke off after {self._position} images: {self._problem}'
            )
        if not self.ends:
            return
        problems = []
        if self._damaged:
            problems.append(
                f'{self._damaged} of {max(self.frame_count, self._position)} images are damaged '
                'and left out, and those behind them can show traces of it'
            )
        if self._losses:
            problems.append(f'data is missing in {self._losses} places, and images show it')
        # Some have more images than are to be shown; and the last may be shown as long as others,
        # but for one time that is longer because images are missing there.
        complete = 0 < self._stream.frames <= self._position
        if not complete and self._end + 2.25 * self._gaps[0] < self._announced:
            problems.append(
                f'it was cut off, or changed while it was read, after {self._position} of '
                f'{self.frame_count} images'
            )
        elif self._problem:
            problems.append(f'it cannot be read to its end: {self._problem}')
        if problems:
            raise SourceError(f'{self._name} is damaged: {"; ".join(problems)}')

    def close(self) -> None:
        """Close the file or connection."""
        self._container.close()

    def _written_duration(self) -> float:
        """Return the duration in seconds from the container; 0 if unknown."""
        if not _ANNOUNCING & set(self._container.format.name.split(',')):
            return 0.0
        stream = self._stream
        if 'avi' in self._container.format.name and self.rate:
            # FFmpeg corrects the duration of an .avi file by what is there of it.
            return stream.frames / self.rate
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        end = 0.0
        if len(self._container.streams) == 1:
            end = (self._container.duration or 0) / av.time_base
        elif tag := re.match(r'(\d+):(\d+):(\d+\.\d+)', stream.metadata.get('DURATION', '')):
            # The container's own is that of the sound, where that is longer.
            hours, minutes, seconds = map(float, tag.groups())
            end = 3600 * hours + 60 * minutes + seconds
        # These count from the start of their clock.
        return end - float((stream.start_time or 0) * (stream.time_base or 0))

    def _frames(self) -> Iterator[av.VideoFrame]:
        flagging = self._stream.codec_context.name in _FLAGGING
        try:
            for packet in self._container.demux(self._stream):
                self._losses += packet.is_corrupt and not flagging
                try:
                    yield from self._stream.decode(packet)
                except av.error.FFmpegError:
                    self._position += 1
                    self._damaged += 1
        except av.error.FFmpegError as error:
            self._problem = _reason(error)
            # The decoder has images left, perhaps with gaps. A server is asked for them again.
            if not self._remote:
                with suppress(av.error.FFmpegError):
                    yield from self._stream.decode(None)


def _reason(error: Exception) -> str:
    return getattr(error, 'strerror', None) or str(error)
