"""Image in, tracks out."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from queue import SimpleQueue
from typing import Optional, Union

import numpy as np

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import LARGE, NONE, DetectorSettings, Settings
from persontrack_ros.core.inference.detectors import Detectors
from persontrack_ros.core.inference.embedder import make_embedder
from persontrack_ros.core.inference.ignore import make_mask
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.inference.similarity import same_person
from persontrack_ros.core.inference.stillness import Stillness
from persontrack_ros.core.media.scene import Scene
from persontrack_ros.core.media.source import Frame
from persontrack_ros.core.tracking.appearance import Embeddings
from persontrack_ros.core.tracking.association import IndexArray
from persontrack_ros.core.tracking.camera_motion import make_camera_motion
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.offline import OfflineTracker
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.tracker import OnlineTracker, make_tracker

STATISTICS_FRAMES = 200

Tracker = Union[OnlineTracker, OfflineTracker]

# The detections of a detector, and the seconds it took.
Search = Future[tuple[Detections, float]]

# The longest time for which detections are reused, for images without changes and for copies of an
# image; nanoseconds.
LONGEST_STILL = 1_000_000_000
LONGEST_COPY = 250_000_000


@dataclass(frozen=True)
class StageTimes:
    """Time spent on one frame, in seconds."""

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
    The result of one frame.

    :ivar tracks: the visible tracks.
    :ivar detections: all detections, without embeddings; `Track.detection` is an index of them.
        Empty for a frame without detection, by `detector.pattern`.
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

    :ivar mask: areas in which detections are ignored; None without such areas.
    :ivar turn: the word of `detector.pattern` for the newest image that is no copy.
    """

    def __init__(self, settings: Settings, pipelined: bool = False) -> None:
        """
        Load and warm up the models.

        :param pipelined: prepare for :meth:`process_all`.
        :raises ModelError: if a model or device cannot be used.
        :raises SettingsError: if the settings name no tracking algorithm, an unusable mask, or
            `tracker.camera_motion: tf`, which needs a caller that gives it to :meth:`track`.
        """
        self.mask = make_mask(settings.detector)
        runtime = Runtime(settings.inference)
        # In parallel, because the other cores are idle while a node starts.
        with ThreadPoolExecutor() as pool:
            # What assigns detections takes as long to import as the models to load.
            optimizers = pool.submit(import_module, 'scipy.optimize')
            embedder = pool.submit(make_embedder, settings.reid, runtime)
            self._detectors: Optional[Detectors] = None
            if settings.detector.model != NONE:
                self._detectors = Detectors(settings.detector, runtime, pipelined)
            self._embedder = embedder.result()
            optimizers.result()
        camera = Camera(Gallery(), same_person(settings.reid.model))
        self.tracker: Tracker = make_tracker(settings.tracker, camera)
        self._motion = make_camera_motion(settings.tracker, runtime.exact)
        self._exact = runtime.exact
        self._totals: deque[float] = deque(maxlen=STATISTICS_FRAMES)
        # The index of the next image in the pattern (None: the pattern begins anew), and the size
        # of the newest one.
        self.turn = LARGE
        self._turns: tuple[str, ...] = ()
        self._next: Optional[int] = None
        self._size: Optional[tuple[int, ...]] = None
        # The last detections and their stamp, where they may be reused.
        self._found: Optional[Detections] = None
        self._searched: Optional[int] = None
        self._stillness: Optional[Stillness] = None
        self._applied: Optional[DetectorSettings] = None
        # The stamp and result of the newest image that is no copy, and whether the next one is.
        self._scene = Scene(self._exact)
        self._came: Optional[int] = None
        self._result: Optional[Result] = None
        self._copied = False
        # Updates of the tracker since the last cut between scenes.
        self._since_cut = math.inf
        # The tracks of the newest frame with detections, and the number of frames since then.
        self._tracks: list[Track] = []
        self._stamp = 0
        self._skipped = 0
        self.apply(settings)

    def process(self, image: BgrImage, stamp: int) -> Result:
        """
        Process the next image of the stream.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        :param stamp: time of the image in nanoseconds.
        :raises SettingsError: if the settings name no detector.
        """
        started = time.perf_counter()
        detections = self.detect(image, stamp)
        result = self.track(detections, image, stamp, time.perf_counter() - started)
        self._totals.append(result.times.total)
        return result

    def detect(self, image: BgrImage, stamp: int) -> Optional[Detections]:
        """
        Detect persons in the next image; None for a frame without detection.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        :param stamp: time of the image in nanoseconds.
        :raises SettingsError: if the settings name no detector.
        """
        detectors = self._own_detectors
        self._copied, new = self._plan(image, stamp)
        if new:
            self._found = self._search(detectors, image, self.turn)
        return None if self.turn == NONE else self._found

    def _search(self, detectors: Detectors, image: BgrImage, turn: str) -> Detections:
        detections = detectors.detect(image, turn)
        return self.mask.apply(detections) if self.mask else detections

    @property
    def _own_detectors(self) -> Detectors:
        if self._detectors is None:
            raise SettingsError('detector.model is none, and there is no other detector')
        return self._detectors

    def process_all(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Result]]:
        """
        Process a stream whose next images are available in advance, such as a file.

        Persons are detected in several images in parallel while an earlier one is tracked. This
        uses all cores and delays each result by some images.

        :returns: each frame with its result, in their order.
        :raises SettingsError: if the settings name no detector.
        :raises SourceError: if the source fails, after the frames before are processed.
        """
        team = self._own_detectors.team()
        idle: SimpleQueue[Detectors] = SimpleQueue()
        for detectors in team:
            idle.put(detectors)

        def detect(image: BgrImage, turn: str) -> tuple[Detections, float]:
            detectors = idle.get()
            started = time.perf_counter()
            try:
                return self._search(detectors, image, turn), time.perf_counter() - started
            finally:
                idle.put(detectors)

        # Each frame with its search, whether the search was made for this frame, and whether the
        # frame is a copy.
        waiting: deque[tuple[Frame, Optional[Search], bool, bool]] = deque()
        search: Optional[Search] = None
        started = time.perf_counter()

        def finished(most: int) -> Iterator[tuple[Frame, Result]]:
            nonlocal started
            while len(waiting) > most:
                frame, search, own, self._copied = waiting.popleft()
                detections, duration = search.result() if search else (None, 0.0)
                result = self.track(detections, frame.image, frame.stamp, own * duration)
                self._totals.append(time.perf_counter() - started)
                yield frame, result
                started = time.perf_counter()

        # Detections of other calls are not reused, here and at the end.
        self._searched = self._came = None
        with ThreadPoolExecutor(len(team)) as pool:
            try:
                for frame in frames:
                    copied, new = self._plan(frame.image, frame.stamp)
                    if new:
                        search = pool.submit(detect, frame.image, self.turn)
                    due = self.turn != NONE
                    waiting.append((frame, search if due else None, new, copied))
                    # One more than the detectors work on, so that none waits for the tracker.
                    yield from finished(len(team) + 1)
            except SourceError:
                # The frames before the failure are processed.
                yield from finished(0)
                raise
            finally:
                self._searched = self._came = None
            yield from finished(0)

    def _plan(self, image: BgrImage, stamp: int) -> tuple[bool, bool]:
        """Return whether the next image is a copy, and whether to search for persons in it."""
        copied = self._scene.copied(image)
        if copied and self._came is not None and 0 < stamp - self._came < LONGEST_COPY:
            return True, False
        self._came = stamp
        # Predictions in pixels of another resolution are useless.
        if self._next is None or image.shape[:2] != self._size:
            self._next, self._searched = 0, None
        self.turn = self._turns[self._next]
        self._next, self._size = (self._next + 1) % len(self._turns), image.shape[:2]
        if self.turn == NONE or self._stillness is None:
            return False, self.turn != NONE
        still = self._stillness.is_still(image)
        if still and self._searched is not None and 0 < stamp - self._searched < LONGEST_STILL:
            return False, False
        self._stillness.searched()
        self._searched = stamp
        return False, True

    def track(
        self,
        detections: Optional[Detections],
        image: Optional[BgrImage],
        stamp: int,
        detection_time: float = 0.0,
        motion: Optional[FloatArray] = None,
    ) -> Result:
        """
        Advance the tracks to the next image.

        :param detections: the detections of any detector; None: the tracks are predicted.
        :param image: uint8 BGR, shape ``(height, width, 3)``; None without an image: then there
            are no embeddings and no estimated camera motion.
        :param stamp: time of the image in nanoseconds.
        :param detection_time: time that detection took, for the statistics; seconds.
        :param motion: camera motion, as in `Tracker.update`, if it is known.
        """
        started = time.perf_counter()
        last = self._result
        if self._copied and last and (detections is None or detections is last.detections):
            # A copy adds no information.
            if isinstance(self.tracker, OfflineTracker):
                self.tracker.repeat()
            times = StageTimes(detection_time, 0.0, time.perf_counter() - started)
            return dataclasses.replace(last, embedded=0, times=times)
        cut = image is not None and self._scene.cut(image)
        if cut:
            self._tracks, self._since_cut = [], 0
            if isinstance(self.tracker, OfflineTracker):
                self.tracker.cut()
        if detections is None:
            if isinstance(self.tracker, OfflineTracker):
                self.tracker.skip(stamp)
            self._skipped += 1
            elapsed = max(0, stamp - self._stamp) / 1e9
            tracks = [track.predicted(elapsed, self._skipped) for track in self._tracks]
            nothing = Detections.create([], [])
            times = StageTimes(detection_time, 0.0, time.perf_counter() - started)
            self._result = Result(tracks, nothing, 0, times)
            return self._result
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

        if self._motion is not None and image is not None:
            motion = self._motion.follow(image, detections.boxes)
        settings = self.tracker.settings
        if cut:
            # After a cut, overlap with an old track proves nothing: embed all detections.
            self.tracker.settings = dataclasses.replace(settings, refresh_time=0.0)
            motion = None
        tracks = self.tracker.update(detections, embed, stamp, motion)
        self.tracker.settings = settings
        # Predictions from before the cut are not shown.
        self._since_cut += 1
        tracks = [track for track in tracks if track.time_since_update < self._since_cut]
        self._tracks, self._stamp, self._skipped = tracks, stamp, 0
        tracking_time = time.perf_counter() - started - embedding_time
        times = StageTimes(detection_time, embedding_time, tracking_time)
        self._result = Result(tracks, detections, embedded, times)
        return self._result

    def apply(self, settings: Settings, pattern: str = '') -> None:
        """Apply the parameters that can change at run time; a pattern replaces theirs."""
        detector = settings.detector
        if self._detectors is not None and detector != self._applied:
            self._detectors.set_score_threshold(detector.score_threshold)
            self._stillness = Stillness(self._exact) if detector.skip_still else None
            self._searched = self._came = None
        self._applied = detector
        turns = tuple(pattern.split()) or detector.turns
        if turns != self._turns:
            self._turns, self._next = turns, None
        self.tracker.settings = settings.tracker

    def reset(self) -> None:
        """Forget all tracks; ids start at 1 again."""
        self.tracker.reset()
        self.use(self.tracker)

    def restart(self) -> None:
        """Forget all tracks; ids go on."""
        self.tracker.reset(self.tracker.next_id)
        self.use(self.tracker)

    def use(self, tracker: Tracker) -> None:
        """Continue with another or a changed tracker; persons are detected in the next image."""
        self.tracker = tracker
        self._next = self._came = self._result = None
        self._tracks = []

    @property
    def devices(self) -> dict[str, str]:
        """The devices of the models, by `detector` and `reid`; empty without a model."""
        detector = '' if self._detectors is None else self._detectors.large.device
        return {'detector': detector, 'reid': self._embedder.device}

    @property
    def dimension(self) -> int:
        """Length of the embeddings; 0 without embeddings."""
        return self._embedder.dimension

    @property
    def mean_time(self) -> float:
        """Mean time per frame over the last 200 frames, in seconds; 0 before the first one."""
        return float(np.mean(self._totals)) if self._totals else 0.0
