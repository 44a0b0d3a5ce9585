"""``persontrack bag golden``: a new case for replay tests."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from persontrack_ros.cli.bag.options import (
    add_force_option,
    add_image_topic_option,
    add_score_options,
    least_scores,
    pixels,
)
from persontrack_ros.cli.files import read_by
from persontrack_ros.cli.options import count
from persontrack_ros.core.errors import SettingsError, SourceError
from persontrack_ros.core.files.output import check_outputs


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'golden',
        help='track a bag or video and keep the result as a case for replay tests',
        description='Make a folder with a reference to a bag or video, the parameters, the tracks '
        'and the tolerances, for tests with persontrack_ros.testing. The input is named from the '
        'folder on, or from a directory in PERSONTRACK_TEST_DATA if it is below one.',
    )
    parser.add_argument('case', type=Path, metavar='CASE', help='folder to make')
    parser.add_argument('source', type=Path, metavar='SOURCE', help='bag, video or image folder')
    parser.add_argument(
        '--params', type=Path, metavar='FILE', help='parameter file of the node (YAML); is copied'
    )
    parser.add_argument(
        '--max-frames', type=count, default=0, metavar='N', help='end after N images (0: never)'
    )
    parser.add_argument(
        '--tolerance',
        type=pixels,
        default=0.01,
        metavar='PX',
        help='pixels by which boxes may differ (default: 0.01)',
    )
    parser.add_argument(
        '--allow', type=count, default=0, metavar='N', help='frames that may differ (default: 0)'
    )
    parser.add_argument(
        '--ground-truth', type=Path, metavar='PATH', help='folder of a sequence, or gt.txt'
    )
    add_score_options(parser)
    add_image_topic_option(parser)
    add_force_option(parser)
    parser.set_defaults(execute=execute, reads=('source', 'ground_truth'))


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    from persontrack_ros.bags.golden import FILES, GoldenCase, add_case, name_input
    from persontrack_ros.bags.writer import check_output
    from persontrack_ros.core.parameters.parameter_file import read_settings
    from persontrack_ros.core.report import warn

    check_output(options.case / 'case.yaml', options.force)
    check_outputs((options.case / name for name in FILES), read_by(options))
    minima = least_scores(options)
    if minima and not options.ground_truth:
        raise SettingsError('least scores need --ground-truth')
    for path in filter(None, (options.source, options.ground_truth)):
        if not path.exists():
            raise SourceError(f'there is no {path}')
    if options.params:
        read_settings(options.params, warn)
    truth = options.ground_truth
    case = GoldenCase(
        options.case,
        name_input(options.source, options.case),
        image_topic=options.image_topic or '',
        max_frames=options.max_frames,
        tolerance=options.tolerance,
        allow=options.allow,
        ground_truth=name_input(truth, options.case) if truth else '',
        minima=minima,
    )
    frames = 0
    for frames in tqdm(add_case(case, options.params), unit='frame', mininterval=0.5):
        pass
    print(f'{options.case}: {frames} frames')
    return 0
