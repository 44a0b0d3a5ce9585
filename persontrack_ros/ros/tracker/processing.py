"""From a frame to its tracks."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Optional

import numpy as np
from std_msgs.msg import Header

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.geometry import FloatArray, iou
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import Classes, message_to_detections
from persontrack_ros.core.base.timeline import Moment, Timeline
from persontrack_ros.core.config.node_options import ANY_CLASS, DETECTIONS
from persontrack_ros.core.config.settings import NONE, TF, Settings, TrackerSettings, Value
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.inference.similarity import same_person
from persontrack_ros.core.media.encodings import SampleRange
from persontrack_ros.core.pipeline import STATISTICS_FRAMES, Pipeline, StageTimes
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.tracker import OnlineTracker, make_tracker
from persontrack_ros.ros.tracker.depth_input import Depth
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.session import Session
from persontrack_ros.ros.tracker.turning_camera import TurningCamera

# A detection of our own that overlaps one of another node by more than this (IoU) is the same.
SAME_PERSON = 0.5


class Warned(NamedTuple):
    """
    A fault of the frames of a stream.

    :ivar source: `image` or `detections`, whose publisher has to fix it; empty if time jumped.
    """

    source: str
    text: str


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
    :ivar times: of this frame.
    :ivar motion: of the camera since the frame before, where tf knows it.
    :ivar restarted: whether all tracks ended before this frame, as time jumped.
    :ivar warnings: new faults of the stream.
    :ivar tracker: that made the tracks.
    :ivar tracks: the visible ones.
    :ivar embedded: number of detections whose embedding was computed.
    :ivar mean_time: of the newest frames, in seconds.
    """

    header: Header
    moment: Moment
    image: Optional[BgrImage]
    detections: Optional[Detections]
    sources: Sequence[Optional[int]]
    depth: Optional[Future[Depth]]
    refused: int
    mask: Optional[IgnoreMask]
    times: StageTimes
    motion: Optional[FloatArray]
    restarted: bool
    warnings: Sequence[Warned]
    tracker: Optional[OnlineTracker] = None
    tracks: Sequence[Track] = ()
    embedded: int = 0
    mean_time: float = 0.0


class Processor:
    """
    Processes the frames of one stream; :meth:`process` is for one thread, the worker's.

    :ivar session: the tracker.
    :ivar timeline: the time of the stream.
    :ivar classes: of the detections of another node.
    :ivar turning: the rotation of the camera, with `tracker.camera_motion: tf`.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any], camera: Camera) -> None:
        """
        Load and warm up the models that are needed.

        :param camera: of the gallery that is used with `tracker.remember`.
        :raises ModelError: if a model or device cannot be used.
        """
        unused: dict[str, Value] = {}
        self._tracks = settings.tracker.algorithm != NONE
        if not self._tracks:
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
        if settings.tracker.camera_motion == TF:
            # The motion is passed to the pipeline.
            unused['tracker.camera_motion'] = NONE
        self._pipeline = Pipeline(Settings.from_values(unused, base=settings))
        self._times: deque[float] = deque(maxlen=STATISTICS_FRAMES)
        # Without `tracker.remember`, cameras share no gallery.
        camera = camera if settings.tracker.remember else Camera(Gallery())
        camera.same_person = same_person(settings.reid.model)
        make = partial(make_tracker, camera=camera)
        tracker = make(self._pipeline.tracker.settings)
        self._pipeline.use(tracker)
        self.session = Session(tracker, make)
        self.timeline = Timeline()
        self._samples = SampleRange()
        self.classes = Classes()
        self.turning: Optional[TurningCamera] = None
        self._restarted = False
        self._warnings: list[Warned] = []

    @property
    def devices(self) -> dict[str, str]:
        """The devices of the models, see :attr:`Pipeline.devices`."""
        return self._pipeline.devices

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
        moment = self.timeline.advance_to(frame.header, arrival, options['time.jump_threshold'])
        if moment.restart:
            self._restart(settings, options)
            if self.turning is not None:
                self.turning.forget()
        # If this frame fails from here on, the next one reports it.
        self._restarted |= moment.restart
        if moment.jump:
            self._warnings.append(Warned('', f'the stamps {moment.jump}'))
        source = 'detections' if image is None else 'image'
        self._warnings += [Warned(source, f'the stamps {fault}') for fault in moment.faults]
        if frame.detections is not None:
            self.classes.add(frame.detections, _class_id(options))
        if self.turning is not None:
            self.turning.expect(frame.header, moment.stamped)
        started = time.perf_counter()
        self._take_tracker(self.session.tracker, settings)
        detections, sources, refused = self._detect(frame, image, moment.time, settings, options)
        elapsed = time.perf_counter() - started
        motion = None
        if self.turning is not None and detections is not None:
            motion = self.turning.motion(frame.info, image)
        result = FrameResult(
            frame.header,
            moment,
            image,
            detections,
            sources,
            depth=frame.depth,
            refused=refused,
            mask=self._pipeline.mask,
            times=StageTimes(elapsed, 0.0, 0.0),
            motion=motion,
            restarted=self._restarted,
            warnings=tuple(self._warnings),
        )
        if self._tracks:
            result = self.track(result, settings)
        self._times.append(time.perf_counter() - started)
        self._restarted, self._warnings = False, []
        return dataclasses.replace(result, mean_time=sum(self._times) / len(self._times))

    def track(self, result: FrameResult, settings: Settings) -> FrameResult:
        """Track the detections of a frame; again, if its tracker was replaced meanwhile."""
        with self.session.in_hand() as tracker:
            self._take_tracker(tracker, settings)
            tracked = self._pipeline.track(
                result.detections,
                result.image,
                result.moment.time,
                result.times.detection,
                result.motion,
            )
        return dataclasses.replace(
            result,
            tracker=tracker,
            tracks=tracked.tracks,
            embedded=tracked.embedded,
            times=tracked.times,
        )

    def _take_tracker(self, tracker: OnlineTracker, settings: Settings) -> None:
        """Use the tracker of the session, which services may have replaced."""
        if tracker is not self._pipeline.tracker:
            self._pipeline.use(tracker)
        self._pipeline.apply(settings)

    def _restart(self, settings: Settings, options: Mapping[str, Any]) -> None:
        first_id = 1 if options['time.restart_ids'] else self.session.tracker.next_id
        self.session.restart(settings.tracker, first_id)

    def _detect(
        self,
        frame: Frame,
        image: Optional[BgrImage],
        stamp: int,
        settings: Settings,
        options: Mapping[str, Any],
    ) -> tuple[Optional[Detections], Sequence[Optional[int]], int]:
        """
        Return the detections of a frame; None if detector.interval skips it.

        :returns: also the index of each in the message of their topic, and the number of refused
            ones.
        """
        own = None
        if self._detects:
            assert image is not None
            own = self._pipeline.detect(image, stamp)
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
        if self._pipeline.mask:
            hidden = self._pipeline.mask.hides(others.boxes, others.image_size)
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
