"""The way of a frame: processing, result, publishers, statistics."""

from __future__ import annotations

import math
import time

from rclpy.logging import LoggingSeverity
from rclpy.node import Node

from persontrack_ros.core.base.errors import one_line
from persontrack_ros.ros.tracker.checks import name_frame, name_publishers
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.processing import FrameResult
from persontrack_ros.ros.tracker.state import NodeState

_ERROR_PERIOD = 5.0


class Frames:
    """Processes frames and publishes their results; for one thread, the worker's."""

    def __init__(self, node: Node, state: NodeState) -> None:
        """Begin without a frame."""
        self._node = node
        self._state = state
        self._logger = node.get_logger()
        self._published = False
        self._logged: dict[type[BaseException], float] = {}

    def process(self, frame: Frame) -> None:
        """Process a frame and publish its result; an exception fails this frame alone."""
        state = self._state
        if not state.enabled:
            state.statistics.paused()
            self._logger.debug('frame not tracked: the node is paused')
            return
        self._published = False
        processor, outputs = state.processor, state.outputs
        # Both exist for as long as there is a worker.
        assert processor is not None
        assert outputs is not None
        started = time.monotonic()
        with processor.in_turn():
            settings, options = state.parameters.current
            result = processor.process(frame, self._arrival(frame), settings, options)
            self._warn(result)
            if result.restarted:
                outputs.restart()
                if options['time.restart_ids']:
                    state.parameters.end_target()
            if processor.tracks:
                outputs.publish_tracks(result.tracks, result.header)
                self._published = True
        # The target may have ended with its ids meanwhile.
        options = state.parameters.current.options
        outputs.publish_rest(result, settings.drawing, options)
        self._log(frame, result)
        persons = result.tracks if processor.tracks else result.detections or ()
        state.statistics.processed(
            frame.received,
            time.monotonic() - started,
            len(persons),
            [track.id for track in result.tracks],
            result.refused,
        )

    def _log(self, frame: Frame, result: FrameResult) -> None:
        """Log a line for each frame at the level debug."""
        if not self._logger.is_enabled_for(LoggingSeverity.DEBUG):
            return
        what = 'no detection by detector.pattern, tracks are predicted'
        if result.detections is not None:
            what = f'{len(result.detections)} detections, {result.embedded} embedded'
        ids = ' '.join(str(each) for each in sorted(track.id for track in result.tracks))
        self._logger.debug(
            f'frame {name_frame(frame)}: {what}; tracks {ids or "none"}; '
            f'{(time.monotonic() - frame.received) * 1000:.1f} ms after it came'
        )

    def fail(self, frame: Frame, error: BaseException) -> None:
        """Count a frame that raised an error, and log it."""
        if not self._node.context.ok():
            # Ctrl-C came before its tracks could be published.
            self._state.dropped += 1
            return
        line = one_line(error)
        if self._published:
            problem = f'after the tracks were published: {line}'
        else:
            problem = f'frame skipped: {line}'
        self._state.statistics.failed(problem)
        now = time.monotonic()
        # Each kind of error from time to time: the next frames mostly fail in the same way.
        if now - self._logged.get(type(error), -math.inf) > _ERROR_PERIOD:
            self._logged[type(error)] = now
            self._logger.error(f'{problem} (frame {name_frame(frame)})')

    def _warn(self, result: FrameResult) -> None:
        """Log the warnings of a frame."""
        logger = self._logger
        for source, text in result.warnings:
            if source:
                logger.warning(f'{name_publishers(self._node, self._state, source)}: {text}')
            else:
                self.report_jump(text)
        if result.refused:
            logger.warning(
                f'{result.refused} detections of another node refused: no person has such a '
                'position, size or score',
                throttle_duration_sec=_ERROR_PERIOD,
            )

    def _arrival(self, frame: Frame) -> int:
        """Return when a frame came, in nanoseconds of a clock that runs as the images do."""
        clock = self._node.get_clock()
        if clock.ros_time_is_active:
            return clock.now().nanoseconds
        return round(frame.received * 1e9)

    def report_jump(self, what: str) -> None:
        """Log that the tracks end, as time jumped."""
        ids = (
            'start at 1' if self._state.parameters.current.options['time.restart_ids'] else 'go on'
        )
        self._logger.warning(f'{what}: the tracks end here, ids {ids}')
