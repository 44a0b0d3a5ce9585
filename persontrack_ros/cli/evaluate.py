"""``persontrack evaluate``: compare tracks with ground truth."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Optional

import numpy as np

from persontrack_ros.cli.files import check_outputs, read_by
from persontrack_ros.cli.options import (
    add_offline_option,
    add_replay_options,
    add_settings_options,
    settings_from,
)
from persontrack_ros.cli.progress import tqdm
from persontrack_ros.core.base.errors import OutputError, SettingsError, SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import write_image
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.evaluation.baseline import BASELINES, BUFFERS, track_with_baseline
from persontrack_ros.core.evaluation.failures import MAX_SWITCHES, contact_sheet, plot
from persontrack_ros.core.evaluation.mot import BENCHMARKS, GroundTruth, read_mot
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import Scores, evaluate, follow, switches
from persontrack_ros.core.inference.ignore import make_mask
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.tracking.offline import OfflineTracker, make_offline_tracker

COLUMNS = {
    'HOTA': 'hota',
    'DetA': 'det_a',
    'AssA': 'ass_a',
    'IDF1': 'idf1',
    'MOTA': 'mota',
    'IDs': 'id_switches',
    'Frag': 'fragmentations',
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'evaluate',
        help='compare tracks with ground truth: HOTA, IDF1, MOTA',
        description='Compare tracks with the ground truth of MOTChallenge sequences. Give tracks, '
        'stored detections or videos in the order of the sequences; with none of them, the public '
        'detections det/det.txt of the sequences are tracked.',
    )
    parser.add_argument(
        '--ground-truth',
        type=Path,
        nargs='+',
        required=True,
        metavar='DIR',
        help='directories of sequences, each with gt/gt.txt',
    )
    parser.add_argument(
        '--benchmark',
        choices=BENCHMARKS,
        help='the MOTChallenge by whose rule to score: which classes of the ground truth count '
        'and which are distractors; by default the one that the name of the sequence begins with, '
        'else MOT17 where there are classes (eight or nine columns), and MOT15 without any',
    )
    inputs = parser.add_mutually_exclusive_group()
    inputs.add_argument(
        '--results', type=Path, nargs='+', metavar='FILE', help='tracks in MOTChallenge format'
    )
    inputs.add_argument(
        '--detections',
        type=Path,
        nargs='+',
        metavar='FILE',
        help='what `persontrack detect` stored, or det.txt',
    )
    parser.add_argument(
        '--video',
        nargs='+',
        metavar='FILE',
        help='videos or folders of images: to track, or for the pictures of --plot',
    )
    parser.add_argument(
        '--plot',
        type=Path,
        metavar='DIR',
        help='also draw the ids of each person over the frames (package matplotlib) and, with '
        '--video, pictures of the id switches, into NAME.tracks.png and NAME.switches.png there',
    )
    parser.add_argument(
        '--baseline',
        type=lambda text: next((one for one in BASELINES if one.lower() == text.lower()), text),
        choices=BASELINES,
        nargs='+',
        default=[],
        metavar='NAME',
        help='also track the detections with other trackers, those of the package trackers, and '
        f'print their scores: {", ".join(BASELINES)}; of each the better of two buffers '
        f'({" and ".join(map(str, BUFFERS))} frames at 30 per second)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    add_offline_option(parser)
    add_replay_options(parser)
    add_settings_options(parser)
    parser.set_defaults(
        execute=execute,
        reads=('ground_truth', 'results', 'detections', 'video', 'params'),
        writes={},
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    names = [directory.resolve().name for directory in options.ground_truth]
    inputs = options.results or options.detections or options.video
    if inputs is None:
        inputs = [directory / 'det' / 'det.txt' for directory in options.ground_truth]
    if len(inputs) != len(names):
        raise SettingsError(f'{len(names)} sequences but {len(inputs)} files to compare with them')
    if options.video and len(options.video) != len(names):
        raise SettingsError(f'{len(names)} sequences but {len(options.video)} videos')
    if options.video and (options.results or options.detections) and not options.plot:
        raise SettingsError('--video beside --results or --detections is for --plot')
    if options.baseline and inputs in (options.results, options.video):
        raise SettingsError('--baseline needs --detections, or the public detections')
    if options.plot:
        pictures = [path for name in names for path in _pictures(options.plot, name)]
        check_outputs(pictures, read_by(options), options.overwrite)
    mask = make_mask(settings.detector)
    every = options.every
    truths = [GroundTruth.load(path, options.benchmark) for path in options.ground_truth]
    pairs = []
    recordings = []
    for truth, path in zip(truths, inputs):
        if options.results:
            rows = read_mot(path)
        elif not options.detections and options.video:
            rows = _track_video(path, settings, every, options.offline)
        else:
            recording = Recording.load(path, options.rate).masked(mask)
            recordings.append(recording)
            threshold = settings.detector.score_threshold
            rows = track(recording, settings.tracker, threshold, every, options.offline)
        pairs.append(_pair(truth, rows, every))
    table = _table(names, pairs)
    if options.plot:
        videos = options.video or [None] * len(names)
        for name, pair, video in zip(names, pairs, videos):
            _plot(options.plot, name, *pair, video)
    for baseline in options.baseline:
        table |= _baseline(baseline, names, truths, recordings, threshold, every)
    rules = {name: truth.benchmark for name, truth in zip(names, truths)}
    print(_as_json(table, rules) if options.json else _as_text(table, rules))
    return 0


def _pair(truth: GroundTruth, rows: FloatArray, every: int) -> tuple[FloatArray, FloatArray]:
    """Return the tracks to score, of every n-th frame."""
    pair = (truth.rows, truth.without_distractors(rows))
    first, second = (each[(each[:, 0] - 1) % every == 0] for each in pair)
    return first, second


def _table(
    names: list[str], pairs: list[tuple[FloatArray, FloatArray]], suffix: str = ''
) -> dict[str, Scores]:
    """Return the scores of each sequence and, if there are several, of all."""
    table = {name: evaluate([pair]) for name, pair in zip(names, pairs)}
    if len(pairs) > 1:
        means = np.mean([dataclasses.astuple(each) for each in table.values()], axis=0)
        table[f'mean{suffix}'] = Scores(*means.tolist())
        table[f'overall{suffix}'] = evaluate(pairs)
    return table


def _baseline(
    baseline: str,
    names: list[str],
    truths: list[GroundTruth],
    recordings: list[Recording],
    threshold: float,
    every: int,
) -> dict[str, Scores]:
    """Return the scores of another tracker, with the better of two buffers."""

    def scores(buffer: int) -> dict[str, Scores]:
        pairs = [
            _pair(truth, track_with_baseline(baseline, recording, threshold, every, buffer), every)
            for truth, recording in zip(truths, recordings)
        ]
        return _table([f'{name} ({baseline})' for name in names], pairs, f' ({baseline})')

    # The last row is for all sequences together.
    return max(map(scores, BUFFERS), key=lambda table: [*table.values()][-1].hota)


def _track_video(source: str, settings: Settings, every: int, offline: bool) -> FloatArray:
    pipeline = Pipeline(settings)
    if offline:
        pipeline.tracker = make_offline_tracker(settings)
    numbers = []
    images = []
    with VideoSource(source) as video:
        for frame in tqdm(video, total=video.frame_count, unit='frame'):
            if (frame.number - 1) % every == 0:
                numbers.append(frame.number)
                images.append(pipeline.process(frame.image, frame.stamp).tracks)
    if isinstance(pipeline.tracker, OfflineTracker):
        images = pipeline.tracker.finish()
    return as_rows(numbers, images)


def _plot(
    directory: Path, name: str, truth: FloatArray, rows: FloatArray, video: Optional[str]
) -> None:
    """Draw the ids of each person, and pictures of the id switches."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'cannot make the directory {directory}: {error.strerror}') from error
    persons = follow(truth, rows)
    found = switches(persons)
    tracks, sheet = _pictures(directory, name)
    plot(persons, name, tracks)
    if not found or video is None:
        reason = 'there is none' if not found else 'they need --video'
        print(f'{name}: no pictures of id switches, {reason}', file=sys.stderr)
        return
    if len(found) > MAX_SWITCHES:
        print(f'{name}: pictures of the first {MAX_SWITCHES} id switches only', file=sys.stderr)
        found = found[:MAX_SWITCHES]
    images = _images(video, {frame for switch in found for frame in switch.frames})
    write_image(sheet, contact_sheet(found, truth, rows, images))


def _pictures(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f'{name}.tracks.png', directory / f'{name}.switches.png'


def _images(source: str, wanted: set[int]) -> dict[int, BgrImage]:
    """Read the frames with these numbers."""
    with VideoSource(source, SourceOptions(max_frames=max(wanted))) as video:
        images = {frame.number: frame.image for frame in video if frame.number in wanted}
    missing = wanted - set(images)
    if missing:
        raise SourceError(f'{source} has no frame {min(missing)}, so it is of another sequence')
    return images


def _as_json(table: dict[str, Scores], rules: dict[str, str]) -> str:
    rows = {
        name: dataclasses.asdict(row) | ({'benchmark': rules[name]} if name in rules else {})
        for name, row in table.items()
    }
    return json.dumps(rows, indent=2)


def _as_text(table: dict[str, Scores], rules: dict[str, str]) -> str:
    width = max(len(name) for name in table)
    lines = [' ' * width + ''.join(f'{title:>7}' for title in COLUMNS)]
    for name, row in table.items():
        values = (getattr(row, attribute) for attribute in COLUMNS.values())
        cells = ''.join(f'{v:7d}' if isinstance(v, int) else f'{v:7.1f}' for v in values)
        lines.append(f'{name:{width}}{cells}')
    for benchmark in dict.fromkeys(rules.values()):
        scored = ', '.join(name for name, rule in rules.items() if rule == benchmark)
        lines.append(f'scored by the rule of {benchmark}: {scored}')
    return '\n'.join(lines)
