"""The tracker for Python programs. The public names are those that ``persontrack_ros`` exports."""

from __future__ import annotations

import dataclasses
import numbers
import threading
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Optional, Union

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import (
    ImageError,
    ModelError,
    OutputError,
    SettingsError,
    SourceError,
)
from persontrack_ros.core.base.geometry import FloatArray, as_boxes
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.parameter_file import read_settings
from persontrack_ros.core.config.settings import Settings, Value
from persontrack_ros.core.drawing import draw
from persontrack_ros.core.inference.devices import kinds
from persontrack_ros.core.inference.download import with_default_models
from persontrack_ros.core.inference.runtime import check_process
from persontrack_ros.core.inference.similarity import Similarity, compare
from persontrack_ros.core.inference.threads import keep_after_fork
from persontrack_ros.core.media.conversion import as_bgr
from persontrack_ros.core.media.source import Frame, Partial, VideoSource, first_image, with_frames
from persontrack_ros.core.media.writer import VideoWriter
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.report.events import Event, ZoneCounter
from persontrack_ros.core.report.page import write_report
from persontrack_ros.core.report.zones import Zones
from persontrack_ros.core.tracking.offline import OfflineTracker
from persontrack_ros.core.tracking.track import Track

Source = Union[str, 'PathLike[str]', int]

# What fits into nanoseconds of 64 bits.
MAX_SECONDS = 9e9


class FrameResult(NamedTuple):
    """
    The result of one frame of a source.

    :ivar number: number of the frame, counted from 1.
    :ivar seconds: time since the start of a video; for a camera or stream, since 1970.
    :ivar image: uint8 BGR, shape ``(height, width, 3)``.
    :ivar tracks: the visible tracks.
    :ivar events: who crossed a line, entered or left a zone, with `zones` of :meth:`watch`.
    """

    number: int
    seconds: float
    image: BgrImage
    tracks: list[Track]
    events: Sequence[Event] = ()

    @property
    def xyxy(self) -> FloatArray:
        """``[left, top, right, bottom]`` of the tracks in pixels, shape ``(N, 4)``."""
        boxes = as_boxes([track.box for track in self.tracks])
        return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])

    @property
    def ids(self) -> NDArray[np.intp]:
        """The ids of the tracks, shape ``(N,)``."""
        return np.array([track.id for track in self.tracks], dtype=np.intp)

    @property
    def scores(self) -> FloatArray:
        """The confidence of the tracks, shape ``(N,)``."""
        return np.array([track.score for track in self.tracks], dtype=np.float64)


class PersonTracker:
    """
    Tracks the persons in images; each keeps one id.

    Several threads may share a tracker. A process forked later cannot use it.
    """

    def __init__(self, **settings: Mapping[str, Value]) -> None:
        """
        Load and warm up the models.

        Default models that are missing are downloaded; if that fails, smaller ones are used, with
        a warning in the log.

        :param settings: parameters by group, as in config/persontrack.yaml:
            ``detector={'pattern': 'large none'}, tracker={'remember': 60.0}``. Other parameters
            have their defaults.
        :raises SettingsError: if a parameter is unknown or a value is not allowed.
        :raises ModelError: if a model or device cannot be used, or this process was forked from
            one that has loaded models.
        """
        groups = [group.name for group in dataclasses.fields(Settings)]
        values = {}
        for group, own in settings.items():
            if group not in groups or not isinstance(own, Mapping):
                raise SettingsError(
                    f'{group} is {own!r}; expected parameters by group ({", ".join(groups)}), as '
                    "detector={'pattern': 'large none'}"
                )
            values.update({f'{group}.{name}': value for name, value in own.items()})
        self._settings = with_default_models(Settings.from_values(values))
        self._pipeline = Pipeline(self._settings)
        self._lock = threading.RLock()
        # Identifies the video of an unfinished `watch`.
        self._video: Optional[object] = None
        self._stamp: Optional[int] = None

    @classmethod
    def from_yaml(
        cls, path: Union[str, PathLike[str]], node: Optional[str] = None
    ) -> PersonTracker:
        """
        Make a tracker with the parameters of a ROS parameter file.

        Unknown names in it are Python warnings.

        :param path: as config/persontrack.yaml.
        :param node: full name of the node whose parameters are taken; by default
            ``/person_tracker``, or the only other person_tracker of the file.
        :raises SettingsError: if the file cannot be read, or a value is not allowed.
        :raises ModelError: as in the constructor.
        """
        settings = read_settings(Path(path), lambda text: warnings.warn(text, stacklevel=4), node)
        return cls(**dataclasses.asdict(settings))

    def track(self, image: NDArray[Any], seconds: float) -> list[Track]:
        """
        Track the persons in the next image.

        :param image: uint8 BGR, shape ``(height, width, 3)``, or an array that :func:`as_bgr`
            converts.
        :param seconds: time of the image, by any clock; later than the time of the last image.
        :raises ImageError: if the image cannot be converted, or its time is not later.
        :raises SourceError: while a video of :meth:`watch` is unfinished.
        :raises ModelError: in a forked process.
        """
        check_process()
        pixels = as_bgr(image)
        stamp = _nanoseconds(seconds)
        with self._lock:
            if self._video is not None:
                raise SourceError(
                    'this tracker is in the middle of a video: go on to the end of watch(), call '
                    'reset() first, or use a tracker for each'
                )
            if self._stamp is not None and stamp <= self._stamp:
                raise ImageError(
                    f'seconds is {seconds!r}, not later than the last image, at '
                    f'{self._stamp / SECOND!r}: give images in their order, or call reset() first'
                )
            self._stamp = stamp
            return self._pipeline.process(pixels, stamp).tracks

    def watch(
        self,
        source: Source,
        online: bool = False,
        zones: Union[str, PathLike[str], None] = None,
    ) -> Iterator[FrameResult]:
        """
        Track the persons in a video from its start; earlier persons are forgotten.

        The whole video is used for each frame: tracks are joined, smoothed and completed, and the
        video is read twice. Cameras and streams have no end: there, as with `online`, a frame uses
        those before it, and comes at once.

        A tracker reads one video at a time: the first frame of a new one ends the one before.

        :param source: video file, folder of images, camera or URL, see docs/sources.md.
        :param online: use only the frames so far, as a robot does.
        :param zones: file of lines and zones, see docs/zones.md; for `FrameResult.events`.
        :returns: the results in the order of the frames, for one thread.
        :raises SourceError: if the source cannot be read or ends too early, after the frames that
            could be read; also if the tracker has begun another video or was reset.
        :raises SettingsError: if the zones are wrong.
        :raises ModelError: in a forked process.
        """
        check_process()
        if not isinstance(source, (str, PathLike, int)) or isinstance(source, bool):
            raise SourceError(f'source is {source!r}, expected a path, a URL or a camera')
        places = None if zones is None else Zones.load(Path(zones))
        return self._watch(source, online, places)

    def _watch(
        self, source: Source, online: bool, zones: Optional[Zones]
    ) -> Generator[FrameResult, None, None]:
        self.reset()
        video = self._video = object()
        results = self._track(source, online, zones)
        keep_after_fork(results)
        try:
            while True:
                check_process()
                with self._lock:
                    if self._video is not video:
                        raise SourceError(
                            'this video was ended: its tracker began another one, or was reset. '
                            'Use a tracker for each video'
                        )
                    result = next(results, None)
                if result is None:
                    return
                yield result
        finally:
            if self._video is video:
                self._video = None

    def _track(
        self, source: Source, online: bool, zones: Optional[Zones]
    ) -> Generator[FrameResult, None, None]:
        counter = ZoneCounter(zones) if zones else None
        with VideoSource(str(source)) as frames:
            online |= frames.is_live
            if counter and not online:
                # Before the work of the first reading.
                counter.fit(first_image(str(source)).shape[1::-1])
            results = self._track_online(frames) if online else self._track_offline(source, frames)
            for frame, tracks in results:
                events: Sequence[Event] = ()
                if counter:
                    counter.fit(frame.image.shape[1::-1])
                    events = counter.follow(frame.stamp, tracks, online)
                seconds = frame.stamp / SECOND
                yield FrameResult(frame.number, seconds, frame.image, tracks, events)

    def _track_online(self, frames: VideoSource) -> Iterator[tuple[Frame, list[Track]]]:
        for frame, result in self._pipeline.process_all(frames):
            self._stamp = frame.stamp
            yield frame, result.tracks

    def _track_offline(
        self, source: Source, frames: VideoSource
    ) -> Iterator[tuple[Frame, list[Track]]]:
        tracker = OfflineTracker(self._settings.tracker)
        online = self._pipeline.tracker
        self._pipeline.use(tracker)
        try:
            results = Partial(self._pipeline.process_all(frames))
            numbers = [frame.number for frame, _ in results]
        finally:
            self._pipeline.use(online)
        with VideoSource(str(source)) as again:
            yield from with_frames(Partial(again), zip(numbers, tracker.finish()))
        results.check()

    def compare(self, image_a: NDArray[Any], image_b: NDArray[Any]) -> Similarity:
        """
        Compare two pictures, each cropped to one person.

        :param image_a: as for :meth:`track`.
        :param image_b: as `image_a`, of any size.
        :raises ImageError: if one of them cannot be converted.
        :raises SettingsError: if ``reid.model`` is none.
        :raises ModelError: in a forked process.
        """
        return compare(as_bgr(image_a, 'image_a'), as_bgr(image_b, 'image_b'), self._settings)

    def reset(self) -> None:
        """
        Forget all persons and end an unfinished video; ids start at 1 again.

        :raises ModelError: in a forked process.
        """
        check_process()
        with self._lock:
            self._video = None
            self._pipeline.reset()
            self._stamp = None

    def __getstate__(self) -> NoReturn:
        """Refuse copies and pickles."""
        raise ModelError('a PersonTracker cannot be copied or pickled: make one in each process')


def _nanoseconds(seconds: Any) -> int:
    """Return a time in nanoseconds; ImageError if it is none."""
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real):
        raise ImageError(f'seconds is {seconds!r}, expected a number')
    # What is not a number is not less, either.
    if not seconds < MAX_SECONDS or seconds <= -MAX_SECONDS:
        raise ImageError('seconds is infinite, not a number, or too large: is it in nanoseconds?')
    return round(float(seconds) * SECOND)


def annotate(image: NDArray[Any], tracks: Sequence[Track]) -> BgrImage:
    """
    Return a copy of an image with the boxes and ids of tracks; a predicted box is dashed.

    :param image: as for :meth:`PersonTracker.track`.
    """
    return draw(as_bgr(image), tracks, 0.0)


def save(
    results: Iterable[FrameResult],
    video: Union[str, PathLike[str], None] = None,
    report: Union[str, PathLike[str], None] = None,
) -> Iterator[FrameResult]:
    """
    Pass results on, and write them to files, which are complete when the iteration ends.

    Files that exist are replaced.

    :param video: annotated video (.mp4, .webm or .mkv).
    :param report: page for a browser (.html) that shows who was there, and when.
    :raises OutputError: if a file cannot be written.
    """
    if report and Path(report).suffix.lower() != '.html':
        raise OutputError(f'cannot write {report}: the name has to end in .html')
    with ExitStack() as stack:
        writer = video and stack.enter_context(VideoWriter(Path(video), 25.0))
        page = report and stack.enter_context(write_report(Path(report), 'results', {}))
        for result in results:
            stamp = round(result.seconds * SECOND)
            if writer:
                writer.write(annotate(result.image, result.tracks), stamp)
            if page:
                page.add(stamp, result.tracks, result.image, result.events)
            try:
                yield result
            except GeneratorExit:
                # The caller has seen enough.
                return


def devices() -> dict[str, str]:
    """Return the devices that models can run on, with their kind, as ``CPU``."""
    return kinds(ov.Core())
