#!/usr/bin/env python3
"""
Track persons who leave and come back, and show how well they are re-identified.

    scripts/env tools/recognition.py vtest.avi mot/PETS09-S2L1-persons CACHE

The ground truth has one id for each person, however often they come back. The video is taken as it
is, mirrored, played backwards (both ways) and disturbed: 3 % of the detections dropped and the
boxes jittered by 1 %, mean of five. For each re-identification model, the table has the scores
with `tracker.remember` at 60 seconds, the number of ids, and the wrong merges: ids under which two
persons were published, each for more than a second. With --limits, it has rows for other limits of
the cosine distance. Detections are kept in CACHE: the first run takes some minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scenes import cell, disturbed
from scipy.optimize import linear_sum_assignment

from persontrack_ros.cli.detect import record_frames
from persontrack_ros.core.base.geometry import FloatArray, iou
from persontrack_ros.core.config.settings import Settings, TrackerSettings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import evaluate
from persontrack_ros.core.inference.similarity import same_person
from persontrack_ros.core.media.source import SourceOptions, VideoSource

MODELS = (
    'person-reidentification-retail-0287',
    'person-reidentification-retail-0288',
    'color',
)
REMEMBER = 60.0
SEEDS = range(1, 6)


def detections(video: str, model: str, flip: bool, cache: Path) -> Recording:
    """Return what is detected in a video; stored, so that it need not be done twice."""
    path = cache / f'{Path(video).stem}.{model}{".mirrored" if flip else ""}.npz'
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        settings = Settings.from_values({'reid.model': model})
        with VideoSource(video, SourceOptions(flip=flip)) as source:
            record_frames(source, source.frame_count, settings).save(path)
    return Recording.load(path)


def backwards(recording: Recording, truth: FloatArray) -> tuple[Recording, FloatArray]:
    """Return detections and ground truth of a video that is played backwards."""
    count = len(recording.stamps)
    turned = dataclasses.replace(recording, frames=count + 1 - recording.frames)
    rows = truth.copy()
    rows[:, 0] = count + 1 - rows[:, 0]
    return turned, rows[np.argsort(rows[:, 0], kind='stable')]


def mirrored(truth: FloatArray, width: int) -> FloatArray:
    """Return the ground truth of a video that is mirrored left to right."""
    rows = truth.copy()
    rows[:, 2] = width - rows[:, 2] - rows[:, 4]
    return rows


def variants(
    video: str, model: str, truth: FloatArray, cache: Path
) -> Iterator[tuple[str, list[tuple[Recording, FloatArray]]]]:
    """Return the ways in which the video is tracked, by name."""
    plain = detections(video, model, False, cache)
    turned = detections(video, model, True, cache)
    assert plain.detections.image_size is not None
    other_truth = mirrored(truth, plain.detections.image_size[0])
    yield 'as it is', [(plain, truth)]
    yield 'backwards', [backwards(plain, truth)]
    yield 'mirrored', [(turned, other_truth)]
    yield 'mirrored, backwards', [backwards(turned, other_truth)]
    yield 'disturbed', [(disturbed(plain, seed), truth) for seed in SEEDS]


def wrong_merges(truth: FloatArray, rows: FloatArray, second: int) -> int:
    """Count the ids that had two persons, each in more than so many frames."""
    seen: dict[int, Counter[int]] = {}
    for frame in np.unique(rows[:, 0]):
        persons, found = truth[truth[:, 0] == frame], rows[rows[:, 0] == frame]
        overlap = iou(persons[:, 2:6], found[:, 2:6])
        for person, each in zip(*linear_sum_assignment(-overlap)):
            if overlap[person, each] >= 0.5:
                counter = seen.setdefault(int(found[each, 1]), Counter())
                counter[int(persons[person, 1])] += 1
    return sum(
        sum(number > second for number in counter.values()) > 1 for counter in seen.values()
    )


def measure(
    pairs: list[tuple[Recording, FloatArray]], limit: float, remember: float = REMEMBER
) -> tuple[FloatArray, float, float]:
    """Return scores, number of ids and of wrong merges; means over the pairs."""
    settings = TrackerSettings(remember=remember)
    found = []
    for recording, truth in pairs:
        rows = as_rows(track(dataclasses.replace(recording, same_person=limit), settings, 0.0))
        result = evaluate([(truth, rows)])
        rate = round(1e9 / float(np.median(np.diff(recording.stamps))))
        found.append(
            [
                *(result.hota, result.idf1, result.mota),
                len(np.unique(rows[:, 1])),
                wrong_merges(truth, rows, rate),
            ]
        )
    means = np.mean(found, axis=0)
    return means[:3], float(means[3]), float(means[4])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('video')
    parser.add_argument('sequence', type=Path)
    parser.add_argument('cache', type=Path)
    parser.add_argument('--limits', nargs='+', type=float, default=[], metavar='DISTANCE')
    options = parser.parse_args()
    truth = GroundTruth.load(options.sequence).rows
    print(f'{len(np.unique(truth[:, 1]))} persons\n')
    print('| model | limit | variant | forgotten | remembered | ids | wrong merges |')
    print('|---|---|---|---|---|---|---|')
    for model in MODELS:
        every = dict(variants(options.video, model, truth, options.cache))
        for limit, (name, pairs) in itertools.product(
            options.limits or [same_person(model)], every.items()
        ):
            forgotten, _, _ = measure(pairs, limit, 0.0)
            scores, ids, merges = measure(pairs, limit)
            print(
                f'| {model} | {limit} | {name} | {cell(forgotten)} | {cell(scores)} | {ids:.1f} | '
                f'{merges:.1f} |',
                flush=True,
            )


if __name__ == '__main__':
    main()
