"""Images from a video file, a folder of images or a camera, and videos written from images."""

from __future__ import annotations

import itertools
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Optional

import cv2

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.errors import SourceError

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')

# For sources that do not say how fast they are: folders of images, raw streams, some cameras.
DEFAULT_RATE = 10.0


@dataclass(frozen=True)
class Frame:
    """
    One image of a source.

    :ivar number: counted from 1 over the frames that are delivered.
    :ivar stamp: the source's own time in nanoseconds, strictly increasing; of a camera, the
        system's time since 1970.
    :ivar image: uint8 BGR, shape ``(height, width, 3)``.
    """

    number: int
    stamp: int
    image: BgrImage


@dataclass(frozen=True)
class SourceOptions:
    """
    What to do with the images of a source.

    :ivar flip: mirror them left to right.
    :ivar skip_frames: number of first images to leave out.
    :ivar max_frames: deliver at most this number; 0 means all.
    :ivar width: scale to this width in pixels; 0 keeps the size.
    :ivar height: scale to this height; 0 with a width keeps the aspect ratio, and likewise.
    :ivar loop: start again at the end (files and folders); the stamps go on.
    """

    flip: bool = False
    skip_frames: int = 0
    max_frames: int = 0
    width: int = 0
    height: int = 0
    loop: bool = False


class VideoSource:
    """
    Delivers the images of a source, each once; iterate over it to read them.

    A context manager: leaving it releases file or camera.
    """

    def __init__(self, source: str, options: SourceOptions = SourceOptions()) -> None:
        """
        Open a source.

        :param source: path of a video file or of a folder of images (in the order of the numbers
            in their names), or the number of a camera.
        :raises SourceError: if it does not exist or cannot be decoded.
        """
        self.name = source
        self.is_camera = source.isdigit()
        self._options = options
        self._images: list[Path] = []
        self._capture: Optional[cv2.VideoCapture] = None
        if not self.is_camera and Path(source).is_dir():
            self._images = _images_in(Path(source))
        else:
            self._capture = _open_capture(source)
        rate = self._capture.get(cv2.CAP_PROP_FPS) if self._capture else 0.0
        # Raw streams report 0, nan or absurd rates.
        self.rate: float = rate if math.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_RATE

    @property
    def frame_count(self) -> Optional[int]:
        """How many images there will be, as far as the source tells; None where it does not."""
        if self.is_camera or self._options.loop:
            return self._options.max_frames or None
        count = len(self._images)
        if self._capture:
            count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        left = count - self._options.skip_frames
        if left <= 0:
            return None
        return min(left, self._options.max_frames or left)

    def __iter__(self) -> Iterator[Frame]:
        """
        Read the images.

        :raises SourceError: if an image cannot be decoded, there is none, or a camera fails.
        """
        options = self._options
        stop = options.skip_frames + options.max_frames if options.max_frames else None
        frames = itertools.islice(self._stamped(), options.skip_frames, stop)
        number = 0
        for number, (stamp, image) in enumerate(frames, start=1):
            yield Frame(number, stamp, self._arrange(image))
        if not number:
            after = f' after the first {options.skip_frames}' if options.skip_frames else ''
            raise SourceError(f'no image can be read from {self.name}{after}')

    def close(self) -> None:
        """Release the file or camera."""
        if self._capture:
            self._capture.release()

    def __enter__(self) -> VideoSource:
        """Return the source."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Close the source."""
        self.close()

    def _stamped(self) -> Iterator[tuple[int, BgrImage]]:
        """Give each image a strictly increasing time stamp, over all rounds of a loop."""
        period = round(1e9 / self.rate)
        start = 0
        while True:
            stamp = start - period
            count = 0
            for count, (seconds, image) in enumerate(self._read(), start=1):
                if self.is_camera:
                    yield time.time_ns(), image
                    continue
                told = start + round(seconds * 1e9)
                # Raw streams have no times of their own, and broken files have some twice.
                stamp = told if told > stamp else stamp + period
                yield stamp, image
            if self.is_camera:
                raise SourceError(f'camera {self.name} gives no more images')
            if not self._options.loop or not count:
                return
            start = stamp + period
            if self._capture:
                self._capture.release()
                self._capture = _open_capture(self.name)

    def _read(self) -> Iterator[tuple[float, BgrImage]]:
        """Read images with the source's time in seconds."""
        if self._capture:
            while True:
                read, image = self._capture.read()
                if not read:
                    return
                yield self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, image
        for index, path in enumerate(self._images):
            yield index / self.rate, read_image(path)

    def _arrange(self, image: BgrImage) -> BgrImage:
        width, height = self._options.width, self._options.height
        if width or height:
            width = width or max(1, round(image.shape[1] * height / image.shape[0]))
            height = height or max(1, round(image.shape[0] * width / image.shape[1]))
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.flip(image, 1) if self._options.flip else image


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


class Window:
    """
    A pop-up window that shows images.

    A context manager; leaving it closes the window.
    """

    def __init__(self, title: str) -> None:
        """
        Open the window.

        :raises OutputError: if there is no display or OpenCV was built without windows.
        """
        self._title = title
        # In another process: without a display, Qt ends the one that asks for a window.
        trial = [sys.executable, '-c', 'import cv2; cv2.namedWindow("trial")']
        if subprocess.run(trial, capture_output=True).returncode:
            raise OutputError(
                'cannot open a window: this OpenCV has none (install opencv-python instead of '
                'opencv-python-headless) or there is no display'
            )
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def show(self, image: BgrImage) -> bool:
        """Show an image; return False when Esc or q was pressed or the window was closed."""
        cv2.imshow(self._title, image)
        if cv2.waitKey(1) & 0xFF in (27, ord('q')):
            return False
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def __enter__(self) -> Window:
        """Return the window."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)


def read_image(path: Path) -> BgrImage:
    """
    Read an image file as uint8 BGR.

    :raises SourceError: if it does not exist or cannot be decoded.
    """
    if not path.is_file():
        raise SourceError(f'no image file {path}')
    _silence_opencv()
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError(f'cannot decode the image {path}')
    return image


def _images_in(directory: Path) -> list[Path]:
    def natural(path: Path) -> list[tuple[int, str]]:
        # 10.png follows 9.png.
        parts = re.split(r'(\d+)', path.name)
        return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]

    images = [path for path in directory.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise SourceError(f'no images ({", ".join(IMAGE_SUFFIXES)}) in the folder {directory}')
    return sorted(images, key=natural)


def _silence_opencv() -> None:
    """What OpenCV's back ends print about an unreadable file says less than our own error."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    if 'OPENCV_LOG_LEVEL' not in os.environ:
        # OpenCV read that variable when it was imported. The function has moved between versions.
        set_level = getattr(cv2, 'setLogLevel', None) or cv2.utils.logging.setLogLevel
        set_level(0)


def _open_capture(source: str) -> cv2.VideoCapture:
    _silence_opencv()
    if source.isdigit():
        capture = cv2.VideoCapture(int(source))
        if not capture.isOpened():
            raise SourceError(f'camera {source} is not there or in use; see ls /dev/video*')
        return capture
    if not Path(source).is_file():
        raise SourceError(f'no such video, folder or camera: {source}')
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise SourceError(f'cannot decode the video {source}')
    return capture
