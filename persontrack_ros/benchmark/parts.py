"""The parts of a benchmark."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persontrack_ros.benchmark.association import measure_association
from persontrack_ros.benchmark.budget import Budget, results_of
from persontrack_ros.benchmark.mosaic import write_mosaic
from persontrack_ros.benchmark.pipelines import measure_pipelines
from persontrack_ros.benchmark.variants import DEFAULT, INT8, MODES
from persontrack_ros.core.parameters.settings import Settings

_CROWD_FRAMES = 60


@dataclass(frozen=True)
class Extent:
    """
    How much is measured.

    :ivar rounds: of the pipelines; each is in turn in each round.
    :ivar frames: in a round.
    :ivar starts: of the node, cold and warm.
    :ivar node_rounds: of the node at each size of images, of `node_frames` images.
    :ivar updates: of each tracker in the association.
    :ivar transported: images of each size, at each rate.
    :ivar cameras: numbers of cameras.
    :ivar camera_seconds: for which they are measured, each in both ways.
    """

    rounds: int
    frames: int
    crowd_rounds: int
    starts: int
    node_rounds: int
    node_frames: int
    updates: int
    transported: int
    cameras: tuple[int, ...]
    camera_seconds: int


FULL = Extent(10, 79, 5, 5, 6, 40, 100, 30, (1, 2, 4, 8), 15)
QUICK = Extent(3, 30, 2, 1, 2, 20, 20, 5, (1, 4), 5)


def measure(
    part: str, videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    """
    Run one part.

    :param part: a key of :data:`PARTS`.
    :param videos: the first one is measured, the crowd is made of all.
    :returns: the results; nothing if Ctrl-C came before there were any.
    :raises PersontrackError: if it cannot be run.
    """
    return PARTS[part](videos, settings, extent, budget)


def _pipeline(
    videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    rounds, frames = extent.rounds, extent.frames
    return measure_pipelines(videos[0], settings, list(MODES), rounds, frames, budget)


def _crowd(
    videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, 'mosaic.avi')
        write_mosaic(videos, path, _CROWD_FRAMES)
        rounds, frames = extent.crowd_rounds, min(extent.frames, 20)
        modes = [DEFAULT, INT8]
        return measure_pipelines(str(path), settings, modes, rounds, frames, budget)


def _association(
    videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    return measure_association(extent.updates, budget)


def _node(
    videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    return _with_ros('node', videos[0], settings, budget, extent.node_rounds, extent.node_frames)


def _cameras(
    videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    return _with_ros(
        'cameras', videos[0], settings, budget, extent.camera_seconds, *extent.cameras
    )


def _start(
    videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    return _with_ros('start', videos[0], settings, budget, extent.starts)


def _transport(
    videos: Sequence[str], settings: Settings, extent: Extent, budget: Budget
) -> dict[str, Any]:
    return _with_ros('transport', videos[0], settings, budget, extent.transported)


def _with_ros(
    part: str, video: str, settings: Settings, budget: Budget, *amounts: int
) -> dict[str, Any]:
    """Run a part in a process that imports ROS, which this one must do without."""
    command = [
        sys.executable,
        '-m',
        'persontrack_ros.ros.tools.benchmark',
        part,
        os.path.abspath(video),
    ]
    command += [json.dumps(settings.values()), str(budget.seconds), *map(str, amounts)]
    problem = f'part {part}: it needs ROS 2, and a node that starts; see above'
    return results_of(command, budget, problem)


PARTS = {
    'pipeline': _pipeline,
    'crowd': _crowd,
    'association': _association,
    'node': _node,
    'cameras': _cameras,
    'start': _start,
    'transport': _transport,
}
