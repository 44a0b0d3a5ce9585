"""
Replay tests for users of this package, with pytest.

Put ``pytest_plugins = ['persontrack_ros.testing']`` into the ``conftest.py`` at the root of the
tests; a test then has the fixture :func:`replay`::

    def test_corridor(replay):
        result = replay('bags/corridor', params_file='config/tracker.yaml')
        assert result.ids == {1, 2, 3}
        result.assert_tracks('expected/corridor.txt', tolerance=0.5)

Expected files are bags with tracks, or tracks in MOTChallenge format, as `persontrack bag track`
and `persontrack run` write them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import pytest

from persontrack_ros.bags.compare import read_tracks
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.messages import message_to_tracks, stamp_to_nanoseconds
from persontrack_ros.core.evaluation.comparison import TrackedFrames, compare
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.scores import evaluate

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray

__all__ = ['Replay', 'replay']

PathLike = Union[str, Path]

# Differences that a failed assertion names.
_NAMED = 10


class Replay:
    """
    The result of a replay.

    :ivar messages: messages of the topic ``tracks``, one for each frame, in their order.
    :ivar frames: boxes ``[left, top, width, height]`` by id, by number of the frame, from 1 on.
    """

    def __init__(self, messages: list[Detection2DArray]) -> None:
        """Take the messages of a source."""
        self.messages = messages
        self.frames: dict[int, dict[int, FloatArray]] = {
            number: {id_: box for id_, box, _ in message_to_tracks(message)}
            for number, message in enumerate(messages, start=1)
        }

    @property
    def ids(self) -> set[int]:
        """All ids."""
        return {id_ for boxes in self.frames.values() for id_ in boxes}

    def assert_tracks(self, expected: PathLike, tolerance: float = 0.01, allow: int = 0) -> None:
        """
        Assert the ids and boxes in each frame.

        :param expected: bag with tracks, or file of tracks.
        :param tolerance: largest difference of boxes in pixels; infinite: overlapping will do.
        :param allow: number of frames that may differ.
        """
        headers = enumerate((message.header for message in self.messages), start=1)
        stamps = {number: stamp_to_nanoseconds(header) for number, header in headers}
        tracks = TrackedFrames(self.frames, stamps)
        differences, _ = compare(tracks, read_tracks(Path(expected)), tolerance)
        lines = [one.text for one in differences]
        if len(lines) > allow:
            what = f'{len(lines)} frames differ (A: this replay, B: {expected}), {allow} may:'
            raise AssertionError('\n'.join([what, *lines[:_NAMED]]))

    def assert_scores(self, ground_truth: PathLike, **minima: float) -> None:
        """
        Assert minimum scores in percent.

        An example: ``result.assert_scores('gt.txt', mota=80, idf1=75)``.

        :param ground_truth: folder of a MOTChallenge sequence, or gt.txt.
        """
        truth = GroundTruth.load(Path(ground_truth))
        rows = [
            [number, id_, *box]
            for number, boxes in self.frames.items()
            for id_, box in boxes.items()
        ]
        tracks = np.array(rows, dtype=np.float64).reshape(-1, 6)
        known = truth.rows[truth.rows[:, 0] <= len(self.messages)]
        scores = evaluate([(known, truth.without_distractors(tracks))])
        low = [
            f'{name} is {getattr(scores, name):.2f}, not {least}'
            for name, least in minima.items()
            if getattr(scores, name) < least
        ]
        assert not low, '; '.join(low)


@pytest.fixture(scope='session')
def replay() -> Callable[..., Replay]:
    """
    Replay a bag or video through the node, in its own process and ROS domain.

    The fixture is a function with the parameters of
    :func:`persontrack_ros.ros.tools.replay.replay`; it returns a :class:`Replay`.
    """

    def run(source: PathLike, **options: Any) -> Replay:
        # Imported here, so that tests that need no ROS work without it.
        from persontrack_ros.ros.tools.replay import replay as run_replay

        return Replay(run_replay(source, **options))

    return run
