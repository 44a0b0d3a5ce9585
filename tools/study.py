#!/usr/bin/env python3
"""
Measure what each idea of the persistent tracker gains, or what other constants change.

    scripts/env tools/study.py mot --detections PETS09-S2L1=vtest.avi.npz ...
    scripts/env tools/study.py mot --detections ... --change tracker.refresh_time=0
    scripts/env tools/study.py mot --detections ... --offline --change offline.FILL_TIME=1.5

All scenes are tracked with what ships and once for each change. Every detection of all frames and
of every second frame is used, less 3 %, and with boxes jittered by 1 % of their size, anew in each
round: an exchange of two persons more or less, by chance, is no gain. The table has the losses by
a change: HOTA/IDF1/MOTA that ships less that with the change, in the mean over the recordings and
over the public detections, and standard errors of these means over the rounds. It takes
12 minutes on one core.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
from scenes import Scene, cell, disturbed, parse_arguments, score
from tqdm import tqdm

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.tracking import persistent, stages, table
from persontrack_ros.core.tracking.kalman_filter import DEEP_SORT_NOISE, Noise, Stds

STRIDES = (1, 2)

# Deep SORT's noise is that of one frame, taken as a tenth of a second.
RATE = 10.0

NEVER = -1.0
ALWAYS = 2.0

_by_everything = stages.by_everything
_start = table.Table.start


def _times(stds: Stds, factor: float) -> Stds:
    return tuple(factor * std for std in stds)  # type: ignore[return-value]


def _none_leave(tracks: Any, *_: Any) -> Any:
    """Disable the exit rule."""
    return np.zeros(len(tracks), dtype=bool)


def _cascade(matching: Any, tracks: Any, pairs: Any, found: Any) -> None:
    """Match those first who were seen last, as Deep SORT does."""
    for count in np.unique(tracks.misses):
        alike = pairs[tracks.misses[pairs.tracks] == count]
        _by_everything(matching, tracks, alike, found)


def _start_sure(*arguments: Any) -> Any:
    """Start tracks with embeddings that count as the mean of many."""
    tracks = _start(*arguments)
    tracks.embedding_counts *= 1000
    return tracks


# What replaces each idea.
IDEAS: dict[str, dict[str, Any]] = {
    'appearance in the association at all': {
        'stages.APPEARANCE_WEIGHT': 0.0,
        'stages.MAX_DISTANCE': ALWAYS,
        'stages.REUNION_DISTANCE': NEVER,
    },
    'one assignment instead of a cascade': {'persistent.by_everything': _cascade},
    'a new track joins a lost one': {'stages.REUNION_DISTANCE': NEVER},
    'moving average instead of the newest embedding': {'persistent.MEMORY': 0.0},
    'even mean of the first embeddings': {'table.Table.start': staticmethod(_start_sure)},
    'lazy re-identification': {'tracker.refresh_time': 0.0},
    'lost persons without embeddings are deleted early': {'persistent.UNKNOWN_TIME': math.inf},
    'and sooner where persons come nearer': {'persistent.NEARING': math.inf},
    'exit rule': {'persistent.leaving': _none_leave},
    'who is covered is shown': {'persistent.COVERED_PART': ALWAYS},
    'who is missed is shown': {'persistent.MISSED_TIME': NEVER},
    'one clear detection to confirm': {'persistent.CLEAR_SCORE': 0.0},
    'certain detection confirms': {
        'persistent.CERTAIN_SCORE': math.inf,
        'persistent.CERTAIN_PART': math.inf,
    },
    'scores by what is usual': {
        'persistent.CLEAR_PART': math.inf,
        'persistent.CERTAIN_PART': math.inf,
    },
    'noise by maximum likelihood': {
        'persistent.WALKING': Noise(
            DEEP_SORT_NOISE.measurement,
            _times(DEEP_SORT_NOISE.position, RATE**0.5),
            _times(DEEP_SORT_NOISE.velocity, RATE**1.5),
            DEEP_SORT_NOISE.first_position,
            _times(DEEP_SORT_NOISE.first_velocity, RATE),
        )
    },
    'gate wider than the noise': {'stages.GATE': persistent.WALKING.measurement},
}


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--rounds', type=int, default=10, metavar='N', help='default: 10')
    parser.add_argument('--offline', action='store_true', help='use the whole video')
    parser.add_argument(
        '--change',
        nargs='+',
        metavar='NAME=VALUE',
        help='measure these changes, one at a time, instead of the ideas',
    )
    options, scenes = parse_arguments(parser)
    changes = IDEAS
    if options.change:
        pairs = [each.partition('=') for each in options.change]
        changes = {f'{name} {value}': {name: float(value)} for name, _, value in pairs}
    changes = {'': {}, **changes}
    # Of the recordings and of the public detections, by round and change.
    means = np.array(
        [
            [_means(scenes, seed, change, options.offline) for change in changes.values()]
            for seed in tqdm(range(options.rounds), unit='round')
        ]
    )
    print(f'ships: {", ".join(cell(each) for each in means[:, 0].mean(axis=0))}')
    print('| without | recordings | public |')
    print('|---|---|---|')
    losses = means[:, :1] - means[:, 1:]
    errors = losses.std(axis=0, ddof=1) / math.sqrt(options.rounds)
    for name, loss, error in zip(list(changes)[1:], losses.mean(axis=0), errors):
        cells = [f'{cell(values)} ± {cell(stds)}' for values, stds in zip(loss, error)]
        print(f'| {name} | {" | ".join(cells)} |')


def _means(scenes: list[Scene], seed: int, change: dict[str, Any], offline: bool) -> FloatArray:
    """Return mean scores of the recordings and of the public detections, shape ``(2, 3)``."""
    scores: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for scene in scenes:
        for index, recording in enumerate(scene.recordings):
            detected = disturbed(recording, seed)
            for every in STRIDES:
                found = score(scene.truth, detected, change, every, offline)
                scores[index == 0].append(found)
    # Without recordings, nothing is known of them.
    return np.array([np.mean(each, axis=0) if each else [np.nan] * 3 for each in scores])


main()
