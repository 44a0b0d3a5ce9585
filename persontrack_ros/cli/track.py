"""``persontrack track``: track from stored detections."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from persontrack_ros.cli.options import add_replay_options, add_settings_options
from persontrack_ros.cli.outputs import WRITES, Outputs, add_output_options, settings_of
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.evaluation.recording import Recording, track
from persontrack_ros.core.inference.ignore import make_mask


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
        'mot_output',
        type=Path,
        metavar='FILE',
        help='file to write (.txt or .csv); - is standard output',
    )
    add_output_options(parser, images=False)
    add_replay_options(parser)
    add_settings_options(parser)
    parser.set_defaults(execute=execute, reads=('detections', 'params', 'zones'), writes=WRITES)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_of(options)
    recording = Recording.load(options.detections, options.rate)
    recording = recording.masked(make_mask(settings.detector))
    size, threshold = recording.detections.image_size, settings.detector.score_threshold
    if options.zones and size is None:
        raise SettingsError(
            '--zones needs the size of the images: store it with persontrack detect'
        )
    with ExitStack() as stack:
        outputs = Outputs(
            stack,
            options,
            settings,
            options.detections.name,
            size=size,
            note='From stored detections, without images.',
            offline=options.offline,
        )
        frames = track(recording, settings.tracker, threshold, options.every, options.offline)
        for number, tracks in frames:
            outputs.add(number, int(recording.stamps[number - 1]), tracks)
    return 0
