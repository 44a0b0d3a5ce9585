"""``persontrack benchmark``: the speed of the tracker on this machine."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from persontrack_ros.benchmark.frontier import WAYS, Way, choose, draw, measure, missing
from persontrack_ros.benchmark.measure import CAMERA_RATE, machine
from persontrack_ros.benchmark.pipeline import measure_pipeline
from persontrack_ros.cli.options import add_settings_options, number, rate, settings_from
from persontrack_ros.cli.sample_video import sample_video
from persontrack_ros.core.base.errors import ModelError, PersontrackError, SettingsError
from persontrack_ros.core.base.output import write_file
from persontrack_ros.core.config.settings import NONE, Settings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.download import with_default_models
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.media.source import VideoSource

PARTS = ('pipeline', 'node', 'ways')

# Frames of the pipeline; rounds of the node at each size, and images in each; frames of the ways,
# fewer where they take longer, in seconds.
_FRAMES, _ROUNDS, _IMAGES = 300, 5, 40
_WAY_FRAMES, _WAY_SECONDS = 120, 60.0
# The size whose reception is counted in the cores of a way.
_SIZE = '640x480'


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'benchmark',
        help='measure how fast the tracker is on this machine',
        description='Measure the time of each part of the pipeline, the latency of the node '
        'between ROS processes, and the processor time of each way to save some, beside its loss '
        'of accuracy. The machine should have no other load. To see what a parameter changes, run '
        'it again with --set.',
    )
    parser.add_argument(
        'parts',
        nargs='*',
        type=_part,
        metavar='PART',
        help=f'what to measure: {", ".join(PARTS)} (default: all; without ROS, not the node)',
    )
    parser.add_argument(
        '--video', metavar='FILE', help='video to measure with (default: the sample video)'
    )
    parser.add_argument(
        '--cores',
        type=number(0.01, kind=float),
        metavar='N',
        help='print the parameters of the most accurate way that takes no more cores',
    )
    parser.add_argument(
        '--rate', type=rate, metavar='FPS', help='of the camera (default: that of the video)'
    )
    parser.add_argument(
        '--plot', type=Path, metavar='FILE', help='draw the ways into a picture (.svg)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write all results there')
    add_settings_options(parser)
    writes = {'json': ('.json',), 'plot': ('.svg',)}
    parser.set_defaults(execute=execute, reads=('video', 'params'), writes=writes)


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f'{text} is none of {", ".join(PARTS)}')
    return text


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    # Without ROS, the node is left out.
    wanted = options.parts or [part for part in PARTS if part != 'node' or find_spec('rclpy')]
    if 'node' in wanted and not find_spec('rclpy'):
        raise SettingsError('the part node needs ROS 2: source it, or name other parts')
    video = options.video or str(sample_video())
    if 'ways' not in wanted and (options.cores or options.rate or options.plot):
        raise SettingsError('--cores, --rate and --plot need the part ways')
    # Check this before the long measurement.
    with VideoSource(video) as source:
        frame_rate = options.rate or source.rate
    settings = with_default_models(settings_from(options))
    if settings.detector.model == NONE:
        raise SettingsError('detector.model is none: there is nothing to measure')
    if 'ways' in wanted and (commands := missing(WAYS[0])):
        needed = ' and '.join(sorted(commands))
        raise ModelError(f'ways need the default models: run {needed}, or name other parts')
    about, device = machine(), Detector(settings.detector, Runtime(settings.inference)).device
    results: dict[str, Any] = {
        'machine': about,
        'video': video,
        'settings': settings.values(),
        'device': device,
    }
    print(
        f'{about["processor"]}, {about["cores"]} cores, inference on {device}; '
        f'OpenVINO {about["openvino"]}, Python {about["python"]}'
    )
    if 'pipeline' in wanted:
        results['pipeline'] = measure_pipeline(video, settings, _FRAMES)
        _show_pipeline(results['pipeline'], Path(video).name)
    if 'node' in wanted:
        results['node'] = _measure_node(video, settings)
        _show_node(results['node'])
    if 'ways' in wanted:
        ways = [way for way in WAYS if not missing(way)]
        rows = measure(video, settings, ways, _WAY_FRAMES, _WAY_SECONDS)
        receiving = results['node'][_SIZE]['receiving_ms'] if 'node' in results else 0.0
        for row in rows:
            row['cores'] = (row['cpu_ms'] + receiving) * frame_rate / 1e3
        results['ways'] = sorted(rows, key=lambda row: -row['cores'])
        _show_ways(options, results['ways'], f'at {frame_rate:g} frames per second')
    if options.json:
        write_file(options.json, json.dumps(results, indent=2).encode() + b'\n')
    return 0


def _measure_node(video: str, settings: Settings) -> dict[str, Any]:
    """Run the part that needs ROS in a process that may import it."""
    module = 'persontrack_ros.ros.tools.benchmark'
    arguments = [os.path.abspath(video), json.dumps(settings.values()), str(_ROUNDS), str(_IMAGES)]
    command = [sys.executable, '-m', module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise PersontrackError('the part node failed; see above')
    return dict(json.loads(done.stdout))


def _show_pipeline(row: Mapping[str, Any], video: str) -> None:
    parts = ', '.join(f'{name} {value:.1f}' for name, value in row['parts_ms'].items())
    print(
        f'\npipeline, {video}: {row["frame_ms"]:.1f} ms per frame, '
        f'{1e3 / row["frame_ms"]:.0f} frames per second\n'
        f'  ms per frame:  {parts}\n'
        f'  latency:       p50 {row["latency"]["p50_ms"]:.1f} ms, '
        f'p99 {row["latency"]["p99_ms"]:.1f} ms\n'
        f'  processors:    {row["cpu_ms"]:.1f} ms per frame; other programs used '
        f'{row["others_cores"]:.1f} cores\n'
        f'  embeddings:    of {row["embedded"]} of {row["detections"]} detections\n'
        f'  memory:        {row["peak_memory_mb"]:.0f} MB'
    )


def _show_node(node: Mapping[str, Any]) -> None:
    print(
        f'\nnode, between processes, {CAMERA_RATE} images per second; ms\n'
        f'{"image":10}{"p50":>7}{"p99":>7}{"pipeline p50":>14}{"difference":>12}{"CPU":>7}'
        f'{"receiving":>11}{"missed":>11}{"MB":>6}'
    )
    for size, row in node.items():
        missed = f'{row["missed"]} of {row["images"]}'
        print(
            f'{size:10}{row["node"]["p50_ms"]:7.1f}{row["node"]["p99_ms"]:7.1f}'
            f'{row["pipeline"]["p50_ms"]:14.1f}{row["node_minus_pipeline_ms"]:12.1f}'
            f'{row["cpu_ms"]:7.1f}{row["receiving_ms"]:11.1f}{missed:>11}{row["peak_memory_mb"]:6.0f}'
        )
    start = max(row['start_s'] for row in node.values())
    print(f'start of the node to its first tracks: {start:.1f} s')


def _show_ways(options: argparse.Namespace, rows: list[Way], at: str) -> None:
    """Print the table of ways, and the lines for the cores that are wanted; write the picture."""
    print(
        f'\nways; cores {at}, with receiving images where the part node was measured\n'
        f'{"":4}{"models":27}{"pattern":26}{"ratio":>6}{"CPU ms":>8}{"ms":>7}{"cores":>7}'
        '  loss of HOTA/IDF1/MOTA'
    )
    for position, row in enumerate(rows, 1):
        loss = '/'.join(f'{each:.1f}' for each in row['loss'])
        print(
            f'{position:2}  {row["name"]:27}{row["pattern"]:26}{row["ratio"]:6.2f}'
            f'{row["cpu_ms"]:8.1f}{row["frame_ms"]:7.1f}{row["cores"]:7.2f}  {loss}'
        )
    if commands := {command for way in WAYS for command in missing(way)}:
        print(f'more ways need models; get them by: {"; ".join(sorted(commands))}')
    chosen = choose(rows, options.cores) if options.cores else None
    if chosen:
        print(f'for {options.cores:g} cores {at}, below ros__parameters in the parameter file:')
        for name, value in chosen['values'].items():
            print(f'    {name}: {value}')
    elif options.cores:
        least = min(row['cores'] for row in rows)
        print(f'no way takes {options.cores:g} cores {at}, but {least:.2f}: lower the rate')
    if options.plot:
        write_file(options.plot, draw(rows, chosen).encode())
