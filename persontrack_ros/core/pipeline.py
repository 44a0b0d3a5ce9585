"""Image in, tracks out."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Optional

import numpy as np

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.detection import Detector
from persontrack_ros.core.detections import Detections
from persontrack_ros.core.embedding import make_embedder
from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.models.runtime import Runtime
from persontrack_ros.core.settings import NONE
from persontrack_ros.core.settings import Settings
from persontrack_ros.core.tracking.appearance import Embeddings
from persontrack_ros.core.tracking.association import IndexArray
from persontrack_ros.core.tracking.camera_motion import CameraMotion
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.tracker import make_tracker

STATISTICS_FRAMES = 200


@dataclass(frozen=True)
class StageTimes:
    """Time spent on one image, in seconds."""

    detection: float
    embedding: float
    tracking: float

    @property
    def total(self) -> float:
        """The time from image to tracks."""
        return self.detection + self.embedding + self.tracking


@dataclass(frozen=True)
class Result:
    """
    What the pipeline made of one image.

    :ivar tracks: the visible tracks.
    :ivar detections: all detections, without embeddings; `Track.detection` is an index of them.
    :ivar embedded: number of detections whose embedding was computed.
    """

    tracks: list[Track]
    detections: Detections
    embedded: int
    times: StageTimes


class Pipeline:
    """
    Detection, re-identification and tracking of the persons in one image stream.

    Not thread-safe: one thread at a time may call its methods.
    """

    def __init__(self, settings: Settings) -> None:
        """
        Load and warm up the models.

        :raises ModelError: if a model or device cannot be used.
        :raises SettingsError: if the settings name no tracking algorithm.
        """
        runtime = Runtime(settings.inference)
        self._detector = (
            None if settings.detector.model == NONE else Detector(settings.detector, runtime)
        )
        self._embedder = make_embedder(settings.reid, runtime)
        self.tracker = make_tracker(settings.tracker)
        moving = settings.tracker.camera_motion != 'none'
        self._camera = CameraMotion() if moving else None
        self._totals: deque[float] = deque(maxlen=STATISTICS_FRAMES)

    def process(self, image: BgrImage, stamp: int) -> Result:
        """
        Process the next image of the stream.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        :param stamp: time of the image in nanoseconds.
        :raises SettingsError: if the settings name no detector.
        """
        started = time.perf_counter()
        detections = self.detect(image)
        return self.track(detections, image, stamp, time.perf_counter() - started)

    def detect(self, image: BgrImage) -> Detections:
        """
        Find the persons in an image, see :meth:`Detector.detect`.

        :raises SettingsError: if the settings name no detector.
        """
        if self._detector is None:
            raise SettingsError('detector.model: none finds nobody')
        return self._detector.detect(image)

    def track(
        self,
        detections: Detections,
        image: Optional[BgrImage],
        stamp: int,
        detection_time: float = 0.0,
    ) -> Result:
        """
        Advance the tracks by the persons found in the next image, by whomever.

        :param image: uint8 BGR, shape ``(height, width, 3)``; None where there is none: then
            nothing is known of the looks of the persons, nor of the motion of the camera.
        :param stamp: time of the image in nanoseconds.
        :param detection_time: what it took to find them, for the statistics; seconds.
        """
        embedded = 0
        embedding_time = 0.0

        def embed(indices: IndexArray) -> Embeddings:
            nonlocal embedded, embedding_time
            if image is None:
                return np.empty((len(indices), 0), dtype=np.float32)
            began = time.perf_counter()
            embeddings = self._embedder.embed(image, detections.boxes[indices])
            embedded += len(indices)
            embedding_time += time.perf_counter() - began
            return embeddings

        started = time.perf_counter()
        motion = None
        if self._camera is not None and image is not None:
            motion = self._camera.follow(image, detections.boxes)
        tracks = self.tracker.update(detections, embed, stamp, motion)
        tracking_time = time.perf_counter() - started - embedding_time
        times = StageTimes(detection_time, embedding_time, tracking_time)
        self._totals.append(times.total)
        return Result(tracks, detections, embedded, times)

    def apply(self, settings: Settings) -> None:
        """Take over the parameters that can change between two images, the `runtime` ones."""
        if self._detector is not None:
            self._detector.set_score_threshold(settings.detector.score_threshold)
        self.tracker.settings = settings.tracker

    @property
    def mean_time(self) -> float:
        """Mean time per image over the last 200 images, in seconds; 0 before the first one."""
        return float(np.mean(self._totals)) if self._totals else 0.0
