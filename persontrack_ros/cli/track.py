"""``persontrack track``: track from stored detections."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from persontrack_ros.cli.options import (
    PAGE,
    TRACKS,
    add_offline_option,
    add_replay_options,
    add_report_option,
    add_settings_options,
    settings_from,
)
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.evaluation.recording import Recording, track
from persontrack_ros.core.inference.ignore import make_mask
from persontrack_ros.core.report.observations import Observations
from persontrack_ros.core.report.page import write_report


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'track',
        help='track from stored detections, without a video',
        description='Track from the detections that `persontrack detect` stored, or from a '
        'MOTChallenge det.txt, and write the tracks in MOTChallenge format.',
    )
    parser.add_argument('detections', type=Path, metavar='DETECTIONS', help='.npz, or det.txt')
    parser.add_argument(
        'output',
        type=Path,
        metavar='FILE',
        help='file to write (.txt or .csv); - is standard output',
    )
    add_report_option(parser)
    add_offline_option(parser)
    add_replay_options(parser)
    add_settings_options(parser)
    parser.set_defaults(
        execute=execute, reads=('detections', 'params'), writes={'output': TRACKS, 'report': PAGE}
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    recording = Recording.load(options.detections, options.rate)
    recording = recording.masked(make_mask(settings.detector))
    threshold = settings.detector.score_threshold
    with ExitStack() as stack:
        writer = stack.enter_context(MotWriter(options.output))
        report = options.report and stack.enter_context(
            write_report(
                options.report,
                options.detections.name,
                settings.values(),
                recording.detections.image_size,
                'From stored detections, without images.',
            )
        )
        rows = track(recording, settings.tracker, threshold, options.every, options.offline)
        for frame, track_id, *box, score in rows:
            writer.add(int(frame), [(int(track_id), box, score)])
        if report:
            _report(report, recording, rows, options.every)
    return 0


def _report(report: Observations, recording: Recording, rows: FloatArray, every: int) -> None:
    """Add each frame to a report; `rows` come from :func:`track`."""
    for number in range(1, len(recording.stamps) + 1, every):
        here = rows[slice(*np.searchsorted(rows[:, 0], [number, number + 1]))]
        ids, scores = here[:, 1].astype(int).tolist(), here[:, 6].tolist()
        report.add(int(recording.stamps[number - 1]), ids, here[:, 2:6], scores)
