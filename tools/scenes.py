"""What the studies of the tracker share: scenes with their detections, and scores with changes."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from persontrack_ros.core import tracking
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import evaluate

SETTING = 'tracker.'

DROPPED = 0.03
JITTER = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """
    What was filmed once, and what detectors found there.

    :ivar truth: `rows` of a `GroundTruth`.
    :ivar recordings: the public detections of the MOTChallenge, then the others.
    """

    name: str
    truth: FloatArray
    recordings: list[Recording]


def parse_arguments(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, list[Scene]]:
    """Return the options, those that name the scenes added, and the scenes."""
    parser.add_argument(
        'directory', type=Path, metavar='DIR', help='directory of MOTChallenge sequences'
    )
    parser.add_argument(
        '--detections',
        nargs='+',
        default=[],
        metavar='SEQUENCE=FILE',
        help='what `persontrack detect` stored for sequences',
    )
    options = parser.parse_args()
    scenes = {
        path.name: Scene(
            path.name, GroundTruth.load(path).rows, [Recording.load(path / 'det' / 'det.txt')]
        )
        for path in sorted(options.directory.iterdir())
        # Some have a ground truth alone.
        if (path / 'det' / 'det.txt').exists()
    }
    for each in options.detections:
        name, _, file = each.partition('=')
        if name not in scenes:
            parser.error(f'no sequence {name!r} in {options.directory}')
        scenes[name].recordings.append(Recording.load(Path(file)))
    return options, list(scenes.values())


def score(
    truth: FloatArray,
    recording: Recording,
    changes: Mapping[str, Any],
    every: int = 1,
    offline: bool = False,
) -> FloatArray:
    """
    Return HOTA, IDF1 and MOTA of what the tracker makes of a recording.

    :param changes: settings, such as ``tracker.n_init``, and other values for what modules of
        `persontrack_ros.core.tracking` have at their top or in classes, such as
        ``stages.REACH``.
    """
    settings = {
        name.removeprefix(SETTING): value
        for name, value in changes.items()
        if name.startswith(SETTING)
    }
    with contextlib.ExitStack() as stack:
        for name, value in changes.items():
            if not name.startswith(SETTING):
                stack.enter_context(mock.patch(f'{tracking.__name__}.{name}', value))
        tracker = dataclasses.replace(TrackerSettings(), **settings)
        rows = as_rows(track(recording, tracker, 0.0, every, offline))
    result = evaluate([(truth[(truth[:, 0] - 1) % every == 0], rows)])
    return np.array([result.hota, result.idf1, result.mota])


def cell(scores: FloatArray) -> str:
    """Return HOTA, IDF1 and MOTA as text."""
    # Adding 0 makes -0.0, which is nothing, 0.0.
    return '/'.join(f'{value:.1f}' for value in np.round(scores, 1) + 0.0)


def disturbed(recording: Recording, seed: int) -> Recording:
    """Return a recording less some detections, and with others boxes."""
    random = np.random.default_rng(seed)
    all_ = recording.detections
    kept = random.random(len(all_)) >= DROPPED
    boxes = all_.boxes[kept]
    boxes = boxes + JITTER * np.tile(boxes[:, 2:], 2) * random.standard_normal(boxes.shape)
    detections = dataclasses.replace(
        all_,
        boxes=boxes,
        scores=all_.scores[kept],
        embeddings=None if all_.embeddings is None else all_.embeddings[kept],
    )
    return dataclasses.replace(recording, frames=recording.frames[kept], detections=detections)
