"""``persontrack benchmark``: the speed of the tracker on this machine."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persontrack_ros.cli.options import add_settings_options, settings_from
from persontrack_ros.cli.sample_video import sample_video_with_progress
from persontrack_ros.core.base.errors import PersontrackError, SettingsError
from persontrack_ros.core.base.output import write_file
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.media.source import VideoSource

PARTS = ('pipeline', 'node')

# Rounds of the pipelines, frames in each, rounds of the node at each size, images in each.
_FULL = (10, 79, 6, 40)
_QUICK = (3, 30, 2, 20)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'benchmark',
        help='measure how fast the tracker is on this machine',
        description='Measure the tracker against a straightforward pipeline, like those in '
        'notebooks. All variants process the same frames in turns; the machine should have '
        'no other load. Parts: pipeline (in all modes) and node (between ROS processes).',
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
        metavar='FILE',
        help='video to measure with (default: the sample video)',
    )
    parser.add_argument('--quick', action='store_true', help='fewer rounds, for a first idea')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write all results there')
    parser.add_argument(
        '--plot',
        type=Path,
        metavar='FILE',
        help='also draw where the time goes (.svg or .png; needs matplotlib and part pipeline)',
    )
    add_settings_options(parser)
    parser.set_defaults(
        execute=execute,
        reads=('video', 'params'),
        writes={'json': ('.json',), 'plot': ('.png', '.svg', '.pdf')},
    )


def _part(text: str) -> str:
    if text not in PARTS:
        raise ValueError('no part')
    return text


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    # Imported here: no other command needs it.
    from persontrack_ros.benchmark.picture import draw_profile
    from persontrack_ros.benchmark.pipelines import measure_pipelines
    from persontrack_ros.benchmark.report import as_text, inference, machine
    from persontrack_ros.benchmark.variants import MODES

    wanted = [part for part in PARTS if part in (options.parts or PARTS)]
    if options.plot and 'pipeline' not in wanted:
        raise SettingsError('--plot needs the part pipeline')
    settings = settings_from(options)
    video = options.video or str(sample_video_with_progress())
    # Check this before the long measurement.
    VideoSource(video).close()
    rounds, frames, *amounts = _QUICK if options.quick else _FULL
    results: dict[str, Any] = {
        'machine': machine(),
        'video': video,
        'settings': settings.values(),
        'inference': inference(settings),
    }
    if 'pipeline' in wanted:
        results['pipeline'] = measure_pipelines(video, settings, list(MODES), rounds, frames)
    if 'node' in wanted:
        results['node'] = _measure_node(video, settings, amounts)
    print(as_text(results))
    if options.json:
        write_file(options.json, json.dumps(results, indent=2).encode() + b'\n')
    if options.plot:
        draw_profile(results['pipeline'], options.plot)
    return 0


def _measure_node(video: str, settings: Settings, amounts: Sequence[int]) -> dict[str, Any]:
    """Run the part that needs ROS in a process that may import it."""
    module = 'persontrack_ros.ros.tools.benchmark'
    arguments = [os.path.abspath(video), json.dumps(settings.values()), *map(str, amounts)]
    command = [sys.executable, '-m', module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise PersontrackError('part node: it needs ROS 2, and a node that starts; see above')
    return dict(json.loads(done.stdout))
