"""What the log says of each image at the level debug."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from rclpy.logging import LoggingSeverity
from rclpy.node import Node

from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.processing import FrameResult


class ImageLog:
    """Writes one line for each image: what was found, looked at and matched, and what got lost."""

    def __init__(self, node: Node) -> None:
        """Begin without any image."""
        self._logger = node.get_logger()
        self._ids: set[int] = set()
        self._counts: dict[str, int] = {}

    def tell(self, frame: Frame, result: FrameResult, losses: Mapping[str, int]) -> None:
        """
        Write the line of an image that was processed, if anybody wants to read it.

        :param losses: how many got lost so far since the activation, by what happened to them.
        """
        if not self._logger.is_enabled_for(LoggingSeverity.DEBUG):
            return
        tracks = result.tracks
        if result.detections is None:
            what = 'left out by detector.interval, tracks are predicted'
        else:
            matched = sum(track.detection is not None for track in tracks)
            what = (
                f'{len(result.detections)} detections, {result.embedded} looked at, '
                f'{matched} of visible tracks'
            )
        ids = {track.id for track in tracks}
        changes = [
            f'{change} {_listed(each)}'
            for change, each in (('new', ids - self._ids), ('gone', self._ids - ids))
            if each
        ]
        self._ids = ids
        lost = []
        for how, total in losses.items():
            before = self._counts.get(how, 0)
            # The counts begin anew with each activation.
            number = total - before if total >= before else total
            if number:
                lost.append(f'{number} {how}')
        self._counts = dict(losses)
        self._logger.debug(
            f'image {stamp_to_nanoseconds(frame.header) / 1e9:.3f}: {what}; '
            f'tracks {_listed(ids) or "none"}{"".join(f", {each}" for each in changes)}; '
            f'{(time.monotonic() - frame.received) * 1000:.1f} ms after it came'
            + (f'; since the one before: {", ".join(lost)}' if lost else '')
        )


def _listed(ids: Iterable[int]) -> str:
    return ' '.join(map(str, sorted(ids)))
