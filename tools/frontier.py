#!/usr/bin/env python3
"""
Measure what each way to save processor time costs in accuracy: the table of docs/performance.md.

    scripts/env tools/frontier.py CACHE TUD-Campus.mp4=mot/TUD-Campus vtest.avi=mot/PETS09-S2L1
    scripts/env tools/frontier.py CACHE ... --others people-detection.264 --int8

Both detectors search each video once as it is, mirrored, compressed, brighter, shifted and scaled;
CACHE keeps what they find. For each way, the table has the processor time of a frame without
reading it, as a ratio to the default, measured on the first --frames of the videos by all ways in
turn; and HOTA/IDF1/MOTA, in the mean of the copies and of the phases of the pattern. The scores of
--others, which have no ground truth, compare with the offline tracks of the default. --int8 needs
INT8 versions of both detectors (`tools/quantize.py`).
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scenes import cell
from tqdm import tqdm

from persontrack_ros.cli.detect import record_frames
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import Settings, TrackerSettings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.recording import TURNS, Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import evaluate
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline

LARGE, LIGHT = 'person-detection-0202', 'person-detection-0200'
PATTERNS = [
    (LARGE, 'large'),
    (LARGE, 'large light'),
    (LARGE, 'large light light'),
    (LARGE, 'large light light light'),
    (LARGE, 'large none'),
    (LARGE, 'large light none'),
    (LARGE, 'large none light none'),
    (LARGE, 'large none none'),
    (LIGHT, 'large'),
    (LIGHT, 'large none'),
]
PRECISIONS = ('FP16', 'INT8')
COPIES = ('as it is', 'mirrored', 'JPEG 50', 'brighter', 'shifted', 'scaled')
SHIFT, SCALE = (7, 5), 0.85

# Model, pattern and precision.
Way = tuple[str, str, str]


def values(way: Way) -> dict[str, Any]:
    """Return the settings of a way."""
    names = ('model', 'pattern', 'precision', 'light_model')
    light = LIGHT if 'light' in way[1] else 'none'
    return {f'detector.{name}': value for name, value in zip(names, (*way, light))}


def changed(image: BgrImage, copy: str) -> BgrImage:
    """Return the image of a copy."""
    height, width = image.shape[:2]
    if copy == 'mirrored':
        return np.ascontiguousarray(image[:, ::-1])
    if copy == 'JPEG 50':
        data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        return cv2.imdecode(data, cv2.IMREAD_COLOR)
    if copy == 'brighter':
        return cv2.convertScaleAbs(image, alpha=1.2, beta=15)
    if copy == 'shifted':
        shift = np.array([[1, 0, SHIFT[0]], [0, 1, SHIFT[1]]], dtype=np.float32)
        return cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if copy == 'scaled':
        size = (round(SCALE * width), round(SCALE * height))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image


def moved(truth: FloatArray, copy: str, width: int, height: int) -> FloatArray:
    """Return the ground truth of a copy."""
    truth = truth.copy()
    if copy == 'mirrored':
        truth[:, 2] = width - truth[:, 2] - truth[:, 4]
    elif copy == 'shifted':
        truth[:, 2:4] += SHIFT
    elif copy == 'scaled':
        truth[:, 2:6] *= np.tile([round(SCALE * side) / side for side in (width, height)], 2)
    return truth


def recorded(cache: Path, video: str, copy: str, model: str, precision: str) -> Recording:
    """Return what a model finds in a copy, from the cache where it is there."""
    path = cache / f'{Path(video).name}.{copy}.{model}.{precision}.npz'.replace(' ', '-')
    if not path.exists():
        settings = Settings.from_values({'detector.model': model, 'detector.precision': precision})
        with VideoSource(video) as source:
            frames = (
                dataclasses.replace(each, image=changed(each.image, copy)) for each in source
            )
            record_frames(frames, source.frame_count, settings).save(path)
    return Recording.load(path)


def in_turn(large: Recording, light: Recording, pattern: str, phase: int) -> Recording:
    """Return the detections of both in the turns of a pattern, which begins elsewhere in it."""
    words = pattern.split()
    count = len(large.stamps)
    turns = [TURNS.index(words[(each + phase) % len(words)]) for each in range(count)]
    used = np.array([0, *turns[1:]], dtype=np.int8)
    parts = [(one, used[one.frames - 1] == turn) for turn, one in enumerate((large, light))]
    found = [
        np.concatenate([getattr(one.detections, name)[rows] for one, rows in parts])
        for name in ('boxes', 'scores', 'embeddings')
    ]
    return dataclasses.replace(
        large,
        frames=np.concatenate([one.frames[rows] for one, rows in parts]),
        detections=Detections(*found, large.detections.image_size),
        turns=used,
        light_threshold=light.score_threshold,
    )


def score(cache: Path, video: str, sequence: str, way: Way) -> FloatArray:
    """Return HOTA, IDF1 and MOTA of a way in the mean of the copies and phases."""
    model, pattern, precision = way
    found = []
    for copy in COPIES if sequence else COPIES[:1]:
        plain = recorded(cache, video, COPIES[0], LARGE, PRECISIONS[0])
        if sequence:
            size = plain.detections.image_size or (0, 0)
            truth = moved(GroundTruth.load(Path(sequence)).rows, copy, *size)
        else:
            truth = as_rows(track(plain, TrackerSettings(), 0.0, offline=True))
        large, light = (recorded(cache, video, copy, each, precision) for each in (model, LIGHT))
        for phase in range(len(pattern.split())):
            rows = as_rows(track(in_turn(large, light, pattern, phase), TrackerSettings(), 0.0))
            result = evaluate([(truth, rows)])
            found.append([result.hota, result.idf1, result.mota])
    return np.mean(found, axis=0)


def times(videos: list[str], ways: list[Way], count: int) -> FloatArray:
    """Return the processor time of a frame in milliseconds, by video and way."""
    pipelines = [Pipeline(Settings.from_values(values(way))) for way in ways]
    used = np.zeros((len(videos), len(ways)))
    for row, video in enumerate(videos):
        for pipeline in pipelines:
            pipeline.reset()
        with VideoSource(video, SourceOptions(max_frames=count)) as source:
            for number, frame in enumerate(tqdm(source, total=count, desc=Path(video).name), 1):
                for column, pipeline in enumerate(pipelines):
                    started = time.process_time()
                    pipeline.process(frame.image, frame.stamp)
                    used[row, column] += 1000 * (time.process_time() - started)
        used[row] /= number
    return used


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('cache', type=Path, metavar='CACHE', help='directory')
    parser.add_argument('videos', nargs='+', metavar='VIDEO=SEQUENCE')
    parser.add_argument('--others', nargs='+', default=[], metavar='VIDEO')
    parser.add_argument('--int8', action='store_true', help='also with INT8')
    parser.add_argument('--frames', type=int, default=200, metavar='N', help='default: 200')
    options = parser.parse_args()
    precisions = PRECISIONS if options.int8 else PRECISIONS[:1]
    ways = [(*each, precision) for precision in precisions for each in PATTERNS]
    pairs = [each.rpartition('=')[::2] for each in options.videos]
    used = times([video for video, _ in pairs], ways, options.frames)
    ratios = (used / used[:, :1]).mean(axis=0)
    count = len(pairs)
    pairs += [(video, '') for video in options.others]
    scores = np.array([[score(options.cache, *pair, way) for pair in pairs] for way in tqdm(ways)])
    means = scores[:, :count].mean(axis=1)
    names = [Path(sequence or video).name for video, sequence in pairs]
    print('| model | pattern | time | ' + ' | '.join(names) + ' | mean | loss |')
    print('|---' * (len(names) + 5) + '|')
    for row in np.argsort(-ratios, kind='stable'):
        model, pattern, precision = ways[row]
        cells = [*scores[row], means[row], means[0] - means[row]]
        name = model.rpartition('-')[2] + ('' if precision == 'FP16' else f' {precision}')
        print(f'| {name} | {pattern} | {ratios[row]:.2f} | {" | ".join(map(cell, cells))} |')
    print('default, ms:', ', '.join(f'{each:.1f}' for each in used[:, 0]))


if __name__ == '__main__':
    main()
