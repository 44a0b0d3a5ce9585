"""The tracker for programs in Python; what is public is what ``persontrack_ros`` exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import NamedTuple, Union

import openvino as ov

from persontrack_ros.core.embedding.likeness import Likeness, compare
from persontrack_ros.core.images import BgrImage
from persontrack_ros.core.models.devices import kinds
from persontrack_ros.core.parameters.settings import Settings, Value
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.timeline import SECOND
from persontrack_ros.core.tracking.offline import make_offline_tracker
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.video.source import VideoSource

Source = Union[str, 'PathLike[str]']


class Seen(NamedTuple):
    """
    One image and the persons in it.

    :ivar number: of the image, counted from 1.
    :ivar seconds: its time since the start of a video; of a camera or stream, since 1970.
    :ivar image: uint8 BGR, shape ``(height, width, 3)``.
    :ivar tracks: the persons.
    """

    number: int
    seconds: float
    image: BgrImage
    tracks: list[Track]


class PersonTracker:
    """Finds persons in images and tells who they are by an id that stays with each."""

    def __init__(self, **settings: Mapping[str, Value]) -> None:
        """
        Load and warm up the models, which are never downloaded here.

        :param settings: parameters by group, as in config/persontrack.yaml:
            ``detector={'interval': 2}, tracker={'remember': 60.0}``. The others have their
            defaults.
        :raises SettingsError: if a parameter is unknown or a value is not allowed.
        :raises ModelError: if a model or device cannot be used.
        """
        self._settings = Settings.from_values(
            {
                f'{group}.{name}': each
                for group, own in settings.items()
                for name, each in own.items()
            }
        )
        self._pipeline = Pipeline(self._settings)

    def track(self, image: BgrImage, seconds: float) -> list[Track]:
        """
        Track the persons in the next image.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        :param seconds: its time, later than that of the image before; by any clock.
        """
        return self._pipeline.process(image, round(seconds * SECOND)).tracks

    def watch(self, source: Source, offline: bool = False) -> Iterator[Seen]:
        """
        Track the persons in a video, from its start on; those of earlier images are forgotten.

        :param source: video file, folder of images, camera or URL, see docs/sources.md.
        :param offline: use the whole video for each image, which is then read twice: tracks are
            joined, smoothed and completed. Of what ends only.
        :returns: the images in their order.
        :raises SourceError: if it cannot be read, or ends before it should; what came before that
            is not lost.
        :raises SettingsError: if it is to be offline, and not every image searched.
        """
        self.reset()
        if offline:
            yield from self._watch_offline(source)
            return
        with VideoSource(str(source)) as frames:
            for frame, result in self._pipeline.process_all(frames):
                yield Seen(frame.number, frame.stamp / SECOND, frame.image, result.tracks)

    def _watch_offline(self, source: Source) -> Iterator[Seen]:
        tracker = make_offline_tracker(self._settings)
        online = self._pipeline.tracker
        self._pipeline.use(tracker)
        try:
            with VideoSource(str(source)) as frames:
                for _ in self._pipeline.process_all(frames):
                    pass
        finally:
            self._pipeline.use(online)
        with VideoSource(str(source)) as frames:
            for frame, tracks in zip(frames, tracker.finish()):
                yield Seen(frame.number, frame.stamp / SECOND, frame.image, tracks)

    def compare(self, image_a: BgrImage, image_b: BgrImage) -> Likeness:
        """
        Tell whether two pictures, each cut to one person, show the same one.

        :param image_a: uint8 BGR, shape ``(height, width, 3)``.
        :param image_b: likewise, of any size.
        :raises SettingsError: if ``reid.model`` is none.
        """
        return compare(image_a, image_b, self._settings)

    def reset(self) -> None:
        """Forget all persons; ids start at 1 again."""
        self._pipeline.reset()


def devices() -> dict[str, str]:
    """Return the devices that models can run on, with their kind, as ``CPU``."""
    return kinds(ov.Core())
