"""The line of each frame in the log at the level debug."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from rclpy.logging import LoggingSeverity
from rclpy.node import Node

from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.processing import FrameResult


class ImageLog:
    """Logs one line for each frame: detections, tracks and the frames missing before it."""

    def __init__(self, node: Node) -> None:
        """Begin without a frame."""
        self._logger = node.get_logger()
        self._ids: set[int] = set()
        self._counts: dict[str, int] = {}

    def write(self, frame: Frame, result: FrameResult, missing: Mapping[str, int]) -> None:
        """
        Log the line of a frame that was processed, if the level is debug.

        :param missing: number of frames that were not processed since the activation, by reason.
        """
        if not self._logger.is_enabled_for(LoggingSeverity.DEBUG):
            return
        tracks = result.tracks
        if result.detections is None:
            what = 'skipped by detector.interval, tracks are predicted'
        else:
            matched = sum(track.detection is not None for track in tracks)
            what = (
                f'{len(result.detections)} detections, {result.embedded} embedded, '
                f'{matched} of visible tracks'
            )
        ids = {track.id for track in tracks}
        changes = [
            f'{change} {_listed(each)}'
            for change, each in (('new', ids - self._ids), ('lost', self._ids - ids))
            if each
        ]
        self._ids = ids
        before_it = []
        for how, total in missing.items():
            before = self._counts.get(how, 0)
            # The counts begin anew with each activation.
            number = total - before if total >= before else total
            if number:
                before_it.append(f'{number} {how}')
        self._counts = dict(missing)
        self._logger.debug(
            f'frame {stamp_to_nanoseconds(frame.header) / 1e9:.3f}: {what}; '
            f'tracks {_listed(ids) or "none"}{"".join(f", {each}" for each in changes)}; '
            f'{(time.monotonic() - frame.received) * 1000:.1f} ms after it came'
            + (f'; since the one before: {", ".join(before_it)}' if before_it else '')
        )


def _listed(ids: Iterable[int]) -> str:
    return ' '.join(map(str, sorted(ids)))
