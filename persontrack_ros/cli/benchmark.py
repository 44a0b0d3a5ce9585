"""``persontrack benchmark``: how fast the tracker is here."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

from persontrack_ros.cli.options import add_settings_options, positive, settings_from
from persontrack_ros.cli.sample_video import sample_video_with_progress
from persontrack_ros.core.errors import PersontrackError, SettingsError
from persontrack_ros.core.files.interrupt import Interrupt
from persontrack_ros.core.files.output import write_file
from persontrack_ros.core.video.source import VideoSource

PARTS = ('pipeline', 'crowd', 'association', 'node', 'cameras', 'start', 'transport')


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'benchmark',
        help='measure how fast the tracker is on this machine',
        description='Measure the tracker against a straightforward pipeline, as one writes it in '
        'a notebook. All that is compared takes turns on the same frames; the machine should have '
        'nothing else to do. Parts: pipeline (in all modes), crowd (about 20 persons in full HD), '
        'association (of 10 to 200 tracks), node (between ROS processes), cameras (several in one '
        'node, against as many nodes), start (of the node) and transport (of images of up to 4K '
        'to the node, by the middleware of ROS).',
    )
    parser.add_argument(
        'parts',
        nargs='*',
        type=_part,
        metavar='PART',
        help=f'what to measure: {", ".join(PARTS)} (default: all)',
    )
    parser.add_argument(
        '--video',
        nargs='+',
        metavar='FILE',
        help='video to measure with, and more for the crowd (default: the sample video)',
    )
    parser.add_argument('--quick', action='store_true', help='fewer rounds, for a first idea')
    parser.add_argument(
        '--cameras',
        nargs='+',
        type=positive,
        metavar='N',
        help='how many cameras the part cameras measures (default: 1 2 4 8)',
    )
    parser.add_argument(
        '--seconds',
        type=positive,
        metavar='S',
        help='measure no longer than about this, with fewer frames and rounds, but each at least '
        'once (default: until all is measured); Ctrl-C shows what there is by then',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write all results there')
    parser.add_argument(
        '--plot',
        type=Path,
        metavar='FILE',
        help='also draw where the time goes (.svg or .png; needs matplotlib and part pipeline)',
    )
    add_settings_options(parser)
    parser.set_defaults(execute=execute, reads=('video', 'params'), writes=('json', 'plot'))


def _part(text: str) -> str:
    if text not in PARTS:
        raise ValueError('no part')
    return text


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    # Only here: no other command needs it.
    from persontrack_ros.benchmark import parts
    from persontrack_ros.benchmark.budget import Budget
    from persontrack_ros.benchmark.picture import draw_profile
    from persontrack_ros.benchmark.report import as_text, inference, machine

    if options.plot and 'pipeline' not in (options.parts or PARTS):
        raise SettingsError('--plot needs the part pipeline')
    if options.cameras and 'cameras' not in (options.parts or PARTS):
        raise SettingsError('--cameras needs the part cameras')
    settings = settings_from(options)
    videos = options.video or [str(sample_video_with_progress())]
    for video in videos:
        # Before anything takes its time.
        VideoSource(video).close()
    extent = parts.QUICK if options.quick else parts.FULL
    if options.cameras:
        extent = dataclasses.replace(extent, cameras=tuple(options.cameras))
    wanted = [part for part in PARTS if part in (options.parts or PARTS)]
    results = {'machine': machine(), 'video': videos[0], 'settings': settings.values()}
    if wanted != ['association']:
        results['inference'] = inference(settings)
    with Interrupt() as interrupt:
        budget = Budget(interrupt, options.seconds or math.inf)
        for number, part in enumerate(wanted):
            if not interrupt.requested:
                print(f'{part} ({number + 1} of {len(wanted)})', file=sys.stderr)
                share = budget.share(len(wanted) - number)
                results[part] = parts.measure(part, videos, settings, extent, share)
    results = {name: result for name, result in results.items() if result}
    if not results.keys() & set(PARTS):
        raise PersontrackError('interrupted before anything was measured')
    print(as_text(results))
    if options.json:
        write_file(options.json, json.dumps(results, indent=2).encode() + b'\n')
    if options.plot and 'pipeline' in results:
        draw_profile(results['pipeline'], options.plot)
    return 0
