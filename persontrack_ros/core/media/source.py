"""Images from a video file, a folder of images, a camera or a stream."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Optional, TypeVar

import cv2

from persontrack_ros.core.base.errors import SourceError, without_passwords
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.media.camera import Camera
from persontrack_ros.core.media.folder import ImageFolder
from persontrack_ros.core.media.live import LiveReader
from persontrack_ros.core.media.reader import Reader

Item = TypeVar('Item')

_logger = logging.getLogger(__name__)

# The rate of sources without one: folders of images, raw streams, some cameras.
DEFAULT_RATE = 10.0


@dataclass(frozen=True)
class Frame:
    """
    One image of a source.

    :ivar number: counted from 1 over the images of the source after the skipped ones; damaged
        images, which are left out, count too.
    :ivar stamp: the source's own time in nanoseconds, strictly increasing; of a camera or live
        stream, the system's time since 1970.
    :ivar image: uint8 BGR, shape ``(height, width, 3)``.
    """

    number: int
    stamp: int
    image: BgrImage


@dataclass(frozen=True)
class SourceOptions:
    """
    Options for the images of a source.

    :ivar flip: mirror them left to right.
    :ivar skip_frames: number of first images to leave out.
    :ivar max_frames: deliver at most this number; 0 means all.
    :ivar width: scale to this width in pixels; 0 keeps the size.
    :ivar height: scale to this height in pixels; if one of both is 0, the aspect ratio is kept.
    :ivar loop: start again at the end (files and folders); the stamps go on.
    """

    flip: bool = False
    skip_frames: int = 0
    max_frames: int = 0
    width: int = 0
    height: int = 0
    loop: bool = False


class VideoSource(AbstractContextManager['VideoSource']):
    """
    Delivers the images of a source, each once; iterate over it to read them.

    A context manager: leaving it releases file, camera or connection.

    :ivar name: the source, as it was named, without passwords.
    :ivar is_live: whether it sets the pace itself, as a camera or a live stream.
    :ivar rate: images per second.
    """

    def __init__(
        self,
        source: str,
        options: SourceOptions = SourceOptions(),
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Open a source.

        :param source: path of a video file or of a folder of images (in the order of the numbers
            in their names), number of a camera or path of its device, or URL of a stream.
        :param stopped: returns whether to end the iteration; called often, also while waiting for
            an image of a camera or stream.
        :raises SourceError: if it does not exist or cannot be decoded.
        """
        self.name = without_passwords(source)
        self._source = source
        self._options = options
        self._stopped = stopped
        self._reader = _open(source, stopped)
        self.is_live = not self._reader.ends
        self.rate = self._reader.rate or DEFAULT_RATE

    @property
    def frame_count(self) -> Optional[int]:
        """The number of images, if known; else None."""
        if self.is_live or self._options.loop:
            return self._options.max_frames or None
        left = self._reader.frame_count - self._options.skip_frames
        if left <= 0:
            return None
        return min(left, self._options.max_frames or left)

    def __iter__(self) -> Iterator[Frame]:
        """
        Read the images.

        :raises SourceError: if an image of a folder cannot be decoded, or there is none; at the
            end, when all others were delivered, if images are damaged or missing.
        """
        options = self._options
        delivered = False
        for position, stamp, image in self._stamped():
            number = position - options.skip_frames
            if number > options.max_frames > 0:
                break
            if number > 0:
                delivered = True
                yield Frame(number, stamp, self._arrange(image))
            if self._stopped() or number == options.max_frames > 0:
                break
        if not delivered and not self._stopped():
            after = f' after the first {options.skip_frames}' if options.skip_frames else ''
            raise SourceError(f'no image can be read from {self.name}{after}')

    def __exit__(self, *_: object) -> None:
        """Release file, camera or connection."""
        self._reader.close()

    def _stamped(self) -> Iterator[tuple[int, int, BgrImage]]:
        """Give each image a number and a strictly increasing time stamp, over all rounds."""
        period = round(1e9 / self.rate)
        start = position = 0
        warned = False
        while True:
            stamp = start - period
            first = position
            for number, seconds, image in self._reader:
                # Raw streams have no times of their own, and broken files have some twice.
                told = stamp if seconds is None else start + round(seconds * 1e9)
                stamp = told if told > stamp else stamp + period
                position = first + number
                yield position, stamp, image
            try:
                self._reader.check()
            except SourceError as error:
                if not self._options.loop or position == first:
                    raise
                if not warned:
                    _logger.warning('%s', error)
                warned = True
            if not self._options.loop or position == first or self._stopped():
                return
            start = stamp + period
            self._reader.close()
            self._reader = _open(self._source, self._stopped)

    def _arrange(self, image: BgrImage) -> BgrImage:
        width, height = self._options.width, self._options.height
        if width or height:
            width = width or max(1, round(image.shape[1] * height / image.shape[0]))
            height = height or max(1, round(image.shape[0] * width / image.shape[1]))
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.flip(image, 1) if self._options.flip else image


class Partial(Generic[Item]):
    """
    Iterates over items until the source fails, so that results so far can be completed.

    Without any item, the error is raised at once.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        """Start without an error."""
        self._items = items
        self._error: Optional[SourceError] = None

    def __iter__(self) -> Iterator[Item]:
        """Return the items."""
        some = False
        try:
            for item in self._items:
                some = True
                yield item
        except SourceError as error:
            if not some:
                raise
            self._error = error

    def check(self) -> None:
        """
        Raise the error of the source, after the results are completed.

        :raises SourceError: if the source failed.
        """
        if self._error is not None:
            raise self._error


def with_frames(
    frames: Iterable[Frame], results: Iterable[tuple[int, Item]]
) -> Iterator[tuple[Frame, Item]]:
    """
    Join frames, and results of an earlier reading, by the numbers of the frames.

    Those without the other are left out: another reading of a damaged video may find other frames.
    """
    following = iter(results)
    entry = next(following, None)
    for frame in frames:
        while entry is not None and entry[0] < frame.number:
            entry = next(following, None)
        if entry is None:
            return
        if entry[0] == frame.number:
            yield frame, entry[1]


def first_image(source: str, options: SourceOptions = SourceOptions()) -> BgrImage:
    """
    Return the first image of a source.

    :raises SourceError: if there is none, or the source cannot be read.
    """
    with VideoSource(source, replace(options, max_frames=1)) as video:
        return next(iter(video)).image


def is_camera(source: str) -> bool:
    """Return whether a source is the number of a camera or the path of its device."""
    return source.isdecimal() or stat.S_ISCHR(_mode(source))


def _mode(path: str) -> int:
    """Return the kind of file of a path, with links followed; 0 if it does not exist."""
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return 0


def _open(source: str, stopped: Callable[[], bool]) -> Reader:
    if is_camera(source):
        return LiveReader(f'camera {source}', lambda: Camera(source), stopped)
    if stat.S_ISDIR(_mode(source)):
        return ImageFolder(Path(source))
    # Only here: a node that gets its images from a topic needs no PyAV.
    from persontrack_ros.core.media.media import Media

    if re.match(r'[a-z][a-z0-9+.-]*://', source, re.IGNORECASE):
        return LiveReader(source, lambda: Media(source), stopped)
    if not stat.S_ISREG(_mode(source)):
        hint = '; for numbered images, name their folder' if '%' in source else ''
        raise SourceError(f'no such video, folder or camera: {source}{hint}')
    return Media(source)
