"""From a frame to its tracks."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from std_msgs.msg import Header

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.geometry import iou
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import Classes, message_to_detections
from persontrack_ros.core.base.timeline import Moment, Timeline
from persontrack_ros.core.config.node_options import ANY_CLASS, DETECTIONS
from persontrack_ros.core.config.settings import NONE, TF, Settings, TrackerSettings, Value
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.inference.similarity import (
    load_embedding,
    most_similar,
    same_person,
)
from persontrack_ros.core.media.encodings import SampleRange
from persontrack_ros.core.pipeline import STATISTICS_FRAMES, Pipeline
from persontrack_ros.core.tracking.appearance import Embeddings
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.state import load_tracker, save_state
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.tracker import make_tracker
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.matching import Depth
from persontrack_ros.ros.tracker.transforms import TurningCamera

# A detection of our own that overlaps one of another node by more than this (IoU) is the same.
SAME_PERSON = 0.5
# Seconds that services wait for the frame in work.
PATIENCE = 5.0


@dataclass(frozen=True)
class FrameResult:
    """
    The result of one frame.

    :ivar moment: the time of the frame in its stream.
    :ivar detections: None where the tracks are predicted.
    :ivar sources: index of each detection in the message of the topic `detections`; None for those
        that are not in it.
    :ivar depth: of the image, where it is subscribed; it may come later.
    :ivar refused: number of detections of another node that were refused.
    :ivar mask: the pixels where detections are ignored.
    :ivar warnings: new faults of the stream, each with its source: `image` or `detections`, whose
        publisher has to fix it; empty if all tracks ended, as time jumped.
    :ivar tracks: the visible ones.
    :ivar embedded: number of detections whose embedding was computed.
    :ivar mean_time: of the newest frames, in seconds.
    :ivar similar: the visible person of the file that `target` names.
    """

    header: Header
    moment: Moment
    image: Optional[BgrImage]
    detections: Optional[Detections]
    sources: Sequence[Optional[int]]
    depth: Optional[Future[Depth]]
    refused: int
    mask: Optional[IgnoreMask]
    warnings: Sequence[tuple[str, str]]
    tracks: Sequence[Track]
    embedded: int
    mean_time: float
    similar: Optional[int] = None


class Processor:
    """
    Processes the frames of one stream.

    The worker's thread calls :meth:`process` and publishes the tracks within :meth:`in_turn`;
    services, on another thread, replace or save the tracker between two frames.

    :ivar pipeline: of the models and the tracker.
    :ivar tracker: idle with `tracker.algorithm: none`.
    :ivar tracks: whether it tracks, and not only detects.
    :ivar classes: of the detections of another node.
    :ivar pattern: replaces `detector.pattern`, unless it is empty.
    :ivar turning: the rotation of the camera, with `tracker.camera_motion: tf`.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any], camera: Camera) -> None:
        """
        Load and warm up the models that are needed.

        :param camera: of the gallery that is used with `tracker.remember`.
        :raises ModelError: if a model or device cannot be used.
        """
        unused: dict[str, Value] = {}
        self._settings = settings
        self.tracks = settings.tracker.algorithm != NONE
        if not self.tracks:
            # A pipeline has a tracker; this one stays idle.
            unused |= {
                'tracker.algorithm': TrackerSettings().algorithm,
                'reid.model': NONE,
                'tracker.remember': 0.0,
            }
        if options['input'] == DETECTIONS:
            # Without images, there are no embeddings.
            unused |= {'detector.model': NONE, 'reid.model': NONE, 'tracker.remember': 0.0}
        self._detects = NONE not in (unused.get('detector.model'), settings.detector.model)
        self.pattern = ''
        if settings.tracker.camera_motion == TF:
            # The motion is passed to the pipeline.
            unused['tracker.camera_motion'] = NONE
        self.pipeline = Pipeline(Settings.from_values(unused, base=settings))
        self._times: deque[float] = deque(maxlen=STATISTICS_FRAMES)
        # Without `tracker.remember`, cameras share no gallery.
        camera = camera if settings.tracker.remember else Camera(Gallery())
        camera.same_person = same_person(settings.reid.model)
        self._lock = threading.Lock()
        self.tracker = make_tracker(self.pipeline.tracker.settings, camera)
        self.pipeline.use(self.tracker)
        self._timeline = Timeline()
        self._samples = SampleRange()
        self.classes = Classes()
        self.turning: Optional[TurningCamera] = None
        self._warnings: list[tuple[str, str]] = []
        # What `load_target` read, by file.
        self._targets: dict[str, Embeddings] = {}

    @contextmanager
    def in_turn(self, patience: float = -1.0) -> Iterator[None]:
        """
        Let frames and services use the tracker one after the other.

        :param patience: seconds to wait for the other thread; by default, as long as it takes.
        :raises PersontrackError: if it takes longer.
        """
        if not self._lock.acquire(timeout=patience):
            raise PersontrackError(
                f'the frame in work takes more than {patience:g} s; try again later'
            )
        try:
            yield
        finally:
            self._lock.release()

    def load_target(self, file: str) -> None:
        """
        Read the file of a person to follow, a value of the parameter `target`.

        :raises SourceError: see :func:`load_embedding`.
        """
        model, dimension = self._settings.reid.model, self.pipeline.dimension
        self._targets[file] = load_embedding(Path(file).expanduser(), model, dimension)

    def reset(self) -> None:
        """
        Begin without tracks.

        :raises PersontrackError: if the frame in work takes too long.
        """
        with self.in_turn(PATIENCE):
            self.pipeline.reset()

    def save(self, path: Path, counts: str) -> None:
        """
        Save the state after the newest frame.

        :param counts: of lines and zones, as text.
        :raises PersontrackError: if the file cannot be written, or the frame takes too long.
        """
        with self.in_turn(PATIENCE):
            state = self.tracker.state()
        state['counts'] = np.array(counts)
        save_state(self.tracker.settings.algorithm, state, path)

    def load(self, path: Path) -> str:
        """
        Continue with a saved state.

        :returns: the counts of lines and zones.
        :raises PersontrackError: see :func:`load_tracker`, or if the frame in work takes too long;
            the tracker is then as it was.
        """
        with self.in_turn(PATIENCE):
            counts = load_tracker(self.tracker, path)
            self.pipeline.use(self.tracker)
        return counts

    def process(
        self, frame: Frame, arrival: int, settings: Settings, options: Mapping[str, Any]
    ) -> FrameResult:
        """
        Find and track the persons in a frame.

        :param arrival: when it came, in nanoseconds.
        :raises ImageError: if the image cannot be used.
        :raises ModelError: if a model gives impossible numbers.
        """
        image = frame.decode(options['max_megapixels'], self._samples)
        moment = self._timeline.advance_to(frame.header, arrival, options['time.jump_threshold'])
        # If this frame fails from here on, the next one reports it.
        if moment.jump:
            self._warnings.append(('', f'the stamps {moment.jump}'))
            self.pipeline.restart()
            if self.turning is not None:
                self.turning.forget()
        source = 'detections' if image is None else 'image'
        self._warnings += [(source, f'the stamps {fault}') for fault in moment.faults]
        if frame.detections is not None:
            self.classes.add(frame.detections, _class_id(options))
        if self.turning is not None:
            self.turning.expect(frame.header, moment.stamped)
        started = time.perf_counter()
        self.pipeline.apply(settings, self.pattern)
        detections, sources, refused = self._detect(frame, image, moment.time, settings, options)
        elapsed = time.perf_counter() - started
        tracks: Sequence[Track] = ()
        embedded = 0
        if self.tracks:
            motion = None
            if self.turning is not None and detections is not None:
                motion = self.turning.motion(frame.info, image)
            tracked = self.pipeline.track(detections, image, moment.time, elapsed, motion)
            tracks, embedded = tracked.tracks, tracked.embedded
        self._times.append(time.perf_counter() - started)
        warnings, self._warnings = self._warnings, []
        return FrameResult(
            frame.header,
            moment,
            image,
            detections,
            sources,
            frame.depth,
            refused,
            self.pipeline.mask,
            warnings,
            tracks,
            embedded,
            mean_time=sum(self._times) / len(self._times),
            similar=self._find_similar(tracks, options['target']),
        )

    def _find_similar(self, tracks: Sequence[Track], target: str) -> Optional[int]:
        """Return the visible person of the file that is the target, if it is one."""
        if target not in self._targets:
            return None
        visible = {track.id for track in tracks}
        known = {id_: each for id_, each in self.tracker.embeddings.items() if id_ in visible}
        return most_similar(self._targets[target], known, same_person(self._settings.reid.model))

    def _detect(
        self,
        frame: Frame,
        image: Optional[BgrImage],
        stamp: int,
        settings: Settings,
        options: Mapping[str, Any],
    ) -> tuple[Optional[Detections], Sequence[Optional[int]], int]:
        """
        Return the detections of a frame; None without detection, by detector.pattern.

        :returns: also the index of each in the message of their topic, and the number of refused
            ones.
        """
        own = None
        if self._detects:
            assert image is not None
            own = self.pipeline.detect(image, stamp)
            if own is None:
                return None, (), 0
            if frame.detections is None:
                return own, range(len(own)), 0
        others, sources, refused = message_to_detections(
            frame.detections,
            _class_id(options),
            settings.detector.score_threshold,
            None if image is None else (image.shape[1], image.shape[0]),
        )
        if self.pipeline.mask:
            hidden = self.pipeline.mask.hides(others.boxes, others.image_size)
            others = others.without(hidden)
            sources = [source for source, left_out in zip(sources, hidden) if not left_out]
        if own is None:
            return others, sources, refused
        new = ~(iou(own.boxes, others.boxes) > SAME_PERSON).any(axis=1)
        both = Detections.create(
            np.concatenate([others.boxes, own.boxes[new]]),
            np.concatenate([others.scores, own.scores[new]]),
            image_size=own.image_size,
        )
        ignored = [each.ignored for each in (own, others) if each.ignored is not None]
        if ignored:
            both = dataclasses.replace(both, ignored=np.concatenate(ignored))
        return both, [*sources, *[None] * int(new.sum())], refused


def _class_id(options: Mapping[str, Any]) -> Optional[str]:
    """Return the class that is tracked, or None for all of them."""
    wanted: str = options['detections.class_id']
    return None if wanted == ANY_CLASS else wanted
