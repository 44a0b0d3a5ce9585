"""From a frame to its tracks: what the worker of the node does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from typing import Any
from typing import Optional

import numpy as np

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.detections import Detections
from persontrack_ros.core.geometry import iou
from persontrack_ros.core.messages import message_to_detections
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.core.node_options import ANY_CLASS
from persontrack_ros.core.node_options import DETECTIONS
from persontrack_ros.core.pipeline import STATISTICS_FRAMES
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.settings import NONE
from persontrack_ros.core.settings import Settings
from persontrack_ros.core.settings import TrackerSettings
from persontrack_ros.core.tracking.gallery import Camera
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.tracker import Tracker
from persontrack_ros.core.tracking.tracker import make_tracker
from persontrack_ros.ros.inputs import Frame
from persontrack_ros.ros.outputs import Outcome
from persontrack_ros.ros.outputs import Outputs
from persontrack_ros.ros.session import Session
from persontrack_ros.ros.timeline import Timeline

# A detection of our own that overlaps one of another node by more than this (IoU) is the same.
SAME_PERSON = 0.5


class Processor:
    """
    Processes the frames of one stream; :meth:`process` is for one thread, the worker's.

    :ivar session: the tracker.
    :ivar timeline: the time of the stream.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any], camera: Camera) -> None:
        """
        Load and warm up the models that are needed.

        :param camera: of the gallery that is used if `reid.shared_gallery` says so.
        :raises ModelError: if a model or device cannot be used.
        """
        unused = {}
        self._tracks = settings.tracker.algorithm != NONE
        if not self._tracks:
            # A pipeline has a tracker; this one stays idle.
            unused |= {
                'tracker.algorithm': TrackerSettings().algorithm,
                'reid.model': NONE,
                'reid.shared_gallery': False,
            }
        if options['input'] == DETECTIONS:
            unused |= {'detector.model': NONE, 'reid.model': NONE}
        self._detects = NONE not in (unused.get('detector.model'), settings.detector.model)
        self._pipeline = Pipeline(Settings.from_values(unused, base=settings))
        self._times: deque[float] = deque(maxlen=STATISTICS_FRAMES)
        make = camera.make_tracker if settings.reid.shared_gallery else make_tracker
        self._pipeline.use(make(self._pipeline.tracker.settings))
        self.session = Session(self._pipeline.tracker, make)
        self.timeline = Timeline()

    @property
    def devices(self) -> dict[str, str]:
        """What the models run on, see :attr:`Pipeline.devices`."""
        return self._pipeline.devices

    def process(
        self,
        frame: Frame,
        settings: Settings,
        options: Mapping[str, Any],
        outputs: Outputs,
        tell: Callable[[str], None],
    ) -> Outcome:
        """
        Publish what is in a frame.

        :param tell: called with a line where time went back.
        :raises ImageError: if the image cannot be used.
        """
        image = frame.decode()
        stamp = stamp_to_nanoseconds(frame.header)
        restart, back = self.timeline.advance(stamp, options['time.jump_threshold'])
        if restart:
            self._restart(settings, options)
            outputs.clear()
        if back:
            tell(f'the stamps went back by {back:.3f} s')
        started = time.perf_counter()
        self._take_tracker(settings)
        detections, sources = self._detect(frame, image, settings, options)
        elapsed = time.perf_counter() - started
        tracks: list[Track] = []
        embedded = 0
        while self._tracks:
            tracker = self._take_tracker(settings)
            result = self._pipeline.track(detections, image, stamp, elapsed)
            tracks, embedded = result.tracks, result.embedded
            if self.session.finish(tracker, partial(outputs.publish_tracks, tracks, frame.header)):
                break
        self._times.append(time.perf_counter() - started)
        mean_time = sum(self._times) / len(self._times)
        outcome = Outcome(
            frame.header, image, detections, sources, tracks, mean_time, frame.depth, embedded
        )
        outputs.publish_rest(outcome, settings.drawing, options)
        return outcome

    def _take_tracker(self, settings: Settings) -> Tracker:
        """Go on with the tracker of the session, which services may have replaced."""
        tracker = self.session.tracker
        if tracker is not self._pipeline.tracker:
            self._pipeline.use(tracker)
        self._pipeline.apply(settings)
        return tracker

    def _restart(self, settings: Settings, options: Mapping[str, Any]) -> None:
        first_id = 1 if options['time.restart_ids'] else self.session.tracker.next_id
        self.session.restart(settings.tracker, first_id)

    def _detect(
        self,
        frame: Frame,
        image: Optional[BgrImage],
        settings: Settings,
        options: Mapping[str, Any],
    ) -> tuple[Optional[Detections], Sequence[Optional[int]]]:
        """Return the detections, and the index of each in the message of their topic; or None."""
        own = None
        if self._detects:
            own = self._pipeline.detect(image)
            if own is None:
                return None, ()
            if frame.detections is None:
                return own, range(len(own))
        wanted = options['detections.class_id']
        others, sources = message_to_detections(
            frame.detections,
            None if wanted == ANY_CLASS else wanted,
            settings.detector.score_threshold,
            None if image is None else (image.shape[1], image.shape[0]),
        )
        if own is None:
            return others, sources
        new = ~(iou(own.boxes, others.boxes) > SAME_PERSON).any(axis=1)
        both = Detections.create(
            np.concatenate([others.boxes, own.boxes[new]]),
            np.concatenate([others.scores, own.scores[new]]),
            image_size=own.image_size,
        )
        return both, [*sources, *[None] * int(new.sum())]
