"""``persontrack evaluate``: compare tracks with ground truth."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from persontrack_ros.cli.options import add_replay_options, add_settings_options, settings_from
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.evaluation.mot import BENCHMARKS, GroundTruth, read_mot
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import Scores, evaluate
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
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    add_replay_options(parser)
    add_settings_options(parser)
    parser.set_defaults(execute=execute, reads=('ground_truth', 'results', 'detections', 'params'))


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    if options.results and options.offline:
        raise SettingsError('--offline is for detections; --results are scored as they are')
    names = [directory.resolve().name for directory in options.ground_truth]
    public = [directory / 'det' / 'det.txt' for directory in options.ground_truth]
    inputs = options.results or options.detections or public
    if len(inputs) != len(names):
        raise SettingsError(f'{len(names)} sequences but {len(inputs)} files to compare with them')
    mask = make_mask(settings.detector)
    every = options.every
    truths = [GroundTruth.load(path, options.benchmark) for path in options.ground_truth]
    pairs: list[tuple[FloatArray, FloatArray]] = []
    for truth, path in zip(truths, inputs):
        if options.results:
            rows = read_mot(path)
        else:
            recording = Recording.load(path, options.rate).masked(mask)
            threshold = settings.detector.score_threshold
            rows = as_rows(track(recording, settings.tracker, threshold, every, options.offline))
        first, second = (
            each[(each[:, 0] - 1) % every == 0]
            for each in (truth.rows, truth.without_distractors(rows))
        )
        pairs.append((first, second))
    table = _table(names, pairs)
    rules = {name: truth.benchmark for name, truth in zip(names, truths)}
    if options.json:
        content = {name: dataclasses.asdict(row) for name, row in table.items()}
        for name, rule in rules.items():
            content[name]['benchmark'] = rule
        print(json.dumps(content, indent=2))
    else:
        print(_as_text(table, rules))
    return 0


def _table(names: list[str], pairs: list[tuple[FloatArray, FloatArray]]) -> dict[str, Scores]:
    """Return the scores of each sequence and, if there are several, of all."""
    table = {name: evaluate([pair]) for name, pair in zip(names, pairs)}
    if len(pairs) > 1:
        means = np.mean([dataclasses.astuple(each) for each in table.values()], axis=0)
        table['mean'] = Scores(*means.tolist())
        table['overall'] = evaluate(pairs)
    return table


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
