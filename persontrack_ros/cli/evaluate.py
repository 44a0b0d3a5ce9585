"""``persontrack evaluate``: compare tracks with ground truth."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from persontrack_ros.cli.files import check_outputs, read_by
from persontrack_ros.cli.options import (
    add_offline_option,
    add_replay_options,
    add_settings_options,
    settings_from,
)
from persontrack_ros.core.base.errors import OutputError, SettingsError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.drawing import track_color
from persontrack_ros.core.evaluation.baseline import BASELINES, BUFFERS, track_with_baseline
from persontrack_ros.core.evaluation.mot import BENCHMARKS, GroundTruth, read_mot
from persontrack_ros.core.evaluation.recording import Recording, track
from persontrack_ros.core.evaluation.scores import Scores, evaluate, follow
from persontrack_ros.core.inference.ignore import make_mask

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
        description='Compare tracks with the ground truth of MOTChallenge sequences. Give tracks '
        'or stored detections in the order of the sequences; with none of them, the public '
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
        '--plot',
        type=Path,
        metavar='DIR',
        help='also draw the ids of each person over the frames into NAME.tracks.png there '
        '(package matplotlib)',
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
        reads=('ground_truth', 'results', 'detections', 'params'),
        writes={},
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    names = [directory.resolve().name for directory in options.ground_truth]
    public = [directory / 'det' / 'det.txt' for directory in options.ground_truth]
    inputs = options.results or options.detections or public
    if len(inputs) != len(names):
        raise SettingsError(f'{len(names)} sequences but {len(inputs)} files to compare with them')
    if options.baseline and options.results:
        raise SettingsError('--baseline needs --detections, or the public detections')
    plots = [options.plot / f'{name}.tracks.png' for name in names] if options.plot else []
    check_outputs(plots, read_by(options), options.overwrite)
    mask = make_mask(settings.detector)
    every = options.every
    truths = [GroundTruth.load(path, options.benchmark) for path in options.ground_truth]
    pairs = []
    recordings = []
    for truth, path in zip(truths, inputs):
        if options.results:
            rows = read_mot(path)
        else:
            recording = Recording.load(path, options.rate).masked(mask)
            recordings.append(recording)
            threshold = settings.detector.score_threshold
            rows = track(recording, settings.tracker, threshold, every, options.offline)
        pairs.append(_pair(truth, rows, every))
    table = _table(names, pairs)
    for name, pair, path in zip(names, pairs, plots):
        try:
            options.plot.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f'cannot make the directory {options.plot}: {error}') from error
        _plot(follow(*pair), name, path)
    for baseline in options.baseline:
        table |= _baseline(baseline, names, truths, recordings, threshold, every)
    rules = {name: truth.benchmark for name, truth in zip(names, truths)}
    if options.json:
        content = {name: dataclasses.asdict(row) for name, row in table.items()}
        for name, rule in rules.items():
            content[name]['benchmark'] = rule
        print(json.dumps(content, indent=2))
    else:
        print(_as_text(table, rules))
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


def _plot(persons: Mapping[int, Mapping[int, int]], title: str, path: Path) -> None:
    """Draw a line per person over the frames, in the colour of the id, with gaps where missed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError('plots need the package matplotlib: pip install matplotlib') from error
    figure = Figure(figsize=(16, 1.5 + 0.3 * len(persons)), layout='constrained')
    axes = figure.add_subplot()
    for row, frames in enumerate(persons.values()):
        times, ids = np.array(list(frames.items())).T
        axes.plot(times[[0, -1]], [row, row], color='0.85', linewidth=1, zorder=1)
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        for first, last in zip(starts, [*starts[1:], len(ids)]):
            if ids[first]:
                blue, green, red = (part / 255 for part in track_color(ids[first]))
                duration = times[last - 1] - times[first] + 1
                axes.barh(row, duration, 0.6, times[first], color=(red, green, blue))
        seen = ids > 0
        named = np.flatnonzero(seen)[np.flatnonzero(np.diff(ids[seen], prepend=-1))]
        for index in named:
            axes.text(times[index], row - 0.32, str(ids[index]), fontsize=7, va='bottom')
    axes.set_yticks(range(len(persons)), [str(person) for person in persons])
    axes.invert_yaxis()
    axes.set_xlabel('frame')
    axes.set_ylabel('person of the ground truth')
    axes.set_title(title)
    with OutputFile(path) as file:
        figure.savefig(file, format='png')


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
