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

import pytest

from persontrack_ros.bags.compare import Comparison, TrackedFrames, read_tracks
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.messages import message_to_tracks, stamp_to_nanoseconds

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
    """

    def __init__(self, messages: list[Detection2DArray], source: PathLike) -> None:
        """Take the messages of a source."""
        self.messages = messages
        numbered = dict(enumerate(messages, start=1))
        self._tracks = TrackedFrames(
            Path(source),
            {
                number: {id_: box for id_, box, _ in message_to_tracks(message)}
                for number, message in numbered.items()
            },
            {number: stamp_to_nanoseconds(message.header) for number, message in numbered.items()},
        )

    @property
    def frames(self) -> dict[int, dict[int, FloatArray]]:
        """Boxes ``[left, top, width, height]`` by id, by number of the frame, counted from 1."""
        return self._tracks.frames

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
        comparison = Comparison(self._tracks, read_tracks(Path(expected)), tolerance)
        lines = [f'{comparison.title(one)}: {one}' for one in comparison.differences]
        if len(lines) > allow:
            more = f'\nand {len(lines) - _NAMED} more' if len(lines) > _NAMED else ''
            raise AssertionError(
                f'{len(lines)} frames differ (A: this replay, B: {expected}), {allow} may:\n'
                + '\n'.join(lines[:_NAMED])
                + more
            )

    def assert_scores(self, ground_truth: PathLike, **minima: float) -> None:
        """
        Assert minimum scores in percent.

        An example: ``result.assert_scores('gt.txt', mota=80, idf1=75)``.

        :param ground_truth: folder of a MOTChallenge sequence, or gt.txt.
        """
        truth = read_tracks(Path(ground_truth))
        assert truth.truth, f'{ground_truth} is neither the folder of a sequence nor gt.txt'
        scores = Comparison(self._tracks, truth, 0.0).scores
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

    The fixture is a function. It publishes each image when the tracks of the last one have
    arrived, and returns a :class:`Replay`. Its parameters are those of
    :func:`persontrack_ros.ros.tools.replay.replay`:

    - `source`: a bag, video or folder of images;
    - `parameters`: of the node, by dotted name; they override `params_file`;
    - `params_file`: parameter file (YAML) of the node;
    - `image_topic`: topic of the images; required for a bag with several image topics;
    - `max_frames`: end after this number of images; 0: never;
    - `timeout`: in seconds.
    """

    def run(source: PathLike, **options: Any) -> Replay:
        # Imported here, so that tests that need no ROS work without it.
        from persontrack_ros.ros.tools.replay import replay as run_replay

        return Replay(run_replay(source, **options), source)

    return run
