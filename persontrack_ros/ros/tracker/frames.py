"""The way of a frame: processing, result, publishers, statistics."""

from __future__ import annotations

import time

from rclpy.logging import LoggingSeverity
from rclpy.node import Node

from persontrack_ros.core.base.errors import one_line
from persontrack_ros.ros.tracker.checks import name_frame, name_publishers
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.outputs import Outputs
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
        with state.share.processing(lambda: processor.pipeline.turn):
            with processor.in_turn():
                settings, options = state.parameters.current
                processor.pattern = state.share.pattern
                result = processor.process(frame, self._arrival(frame), settings, options)
                self._warn(result, outputs)
                if processor.tracks:
                    outputs.publish_tracks(result.tracks, result.header)
                    self._published = True
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
        what = 'after the tracks were published' if self._published else 'frame skipped'
        problem = f'{what}: {one_line(error)}'
        self._state.statistics.failed(problem)
        # The next frames mostly fail in the same way.
        self._logger.error(
            f'{problem} (frame {name_frame(frame)})', throttle_duration_sec=_ERROR_PERIOD
        )

    def _warn(self, result: FrameResult, outputs: Outputs) -> None:
        """Log the warnings of a frame; a jump of time ends markers and trails, too."""
        logger = self._logger
        for source, text in result.warnings:
            if source:
                logger.warning(f'{name_publishers(self._node, self._state, source)}: {text}')
            else:
                logger.warning(f'{text}: the tracks end here, ids go on')
                outputs.clear()
        if result.refused:
            logger.warning(
                f'{result.refused} detections of another node refused: no person has such a '
                'position, size or score',
                throttle_duration_sec=_ERROR_PERIOD,
            )

    def _arrival(self, frame: Frame) -> int:
        """Return when a frame came, in nanoseconds of a clock that runs as the images do."""
        clock = self._node.get_clock()
        return clock.now().nanoseconds if clock.ros_time_is_active else round(frame.received * 1e9)
