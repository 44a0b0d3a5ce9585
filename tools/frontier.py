#!/usr/bin/env python3
"""
Measure what each way to save processor time costs in accuracy: the table of docs/performance.md.

    scripts/env tools/frontier.py CACHE TUD-Campus.mp4=mot/TUD-Campus vtest.avi=mot/PETS09-S2L1
    scripts/env tools/frontier.py CACHE ... --others people-detection.264

The detectors search each video once as it is, mirrored, compressed, brighter, shifted and scaled;
CACHE keeps what they find. For each way of persontrack_ros/benchmark/frontier.py, the table has
the processor time of a frame without reading it, as a ratio to the default, measured on the first
--frames of the videos by all ways in turn; and HOTA/IDF1/MOTA, in the mean of the copies and of
the phases of the pattern. Of a long video, the copies have 400 frames. The scores of --others,
which have no ground truth, compare 400 frames with the offline tracks of the default. INT8
versions of both detectors (`persontrack models quantize`) are needed.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np
from scenes import cell
from tqdm import tqdm

from persontrack_ros.benchmark.frontier import LIGHT_DETECTOR, WAYS, Way, measure
from persontrack_ros.cli.detect import record_frames
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import NONE, Settings, TrackerSettings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.recording import TURNS, Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import evaluate
from persontrack_ros.core.media.source import SourceOptions, VideoSource

# The copies, and the frames before those that a copy of a long video has.
COPY = 'as it is'
COPIES = {
    COPY: 0,
    'mirrored': 0,
    'JPEG 50': 395,
    'brighter': 200,
    'shifted': 0,
    'scaled': 395,
}
MOST = 400
SHIFT, SCALE = (7, 5), 0.85


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


def recorded(cache: Path, video: str, copy: str, part: SourceOptions, way: Way) -> Recording:
    """Return what the model of a way finds in a copy, from the cache where it is there."""
    names = ('detector.model', 'detector.precision', 'reid.model')
    values = {name: way['values'][name] for name in names}
    path = cache / f'{Path(video).name}.{copy}.{".".join(values.values())}.npz'.replace(' ', '-')
    if not path.exists():
        settings = Settings.from_values(values)
        with VideoSource(video, part) as source:
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
    boxes, scores = (
        np.concatenate([getattr(one.detections, name)[rows] for one, rows in parts])
        for name in ('boxes', 'scores')
    )
    # Detections of the light one need no embeddings.
    vectors = np.zeros((len(boxes), large.detections.embeddings.shape[1]), dtype=np.float32)
    own = large.detections.embeddings[parts[0][1]]
    vectors[: len(own)] = own
    return dataclasses.replace(
        large,
        frames=np.concatenate([one.frames[rows] for one, rows in parts]),
        detections=Detections(boxes, scores, vectors, large.detections.image_size),
        turns=used,
        light_threshold=light.score_threshold,
    )


def score(cache: Path, video: str, sequence: str, way: Way) -> FloatArray:
    """Return HOTA, IDF1 and MOTA of a way in the mean of the copies and phases."""
    with VideoSource(video) as source:
        long = (source.frame_count or 0) > MOST
    own = {'detector.model': LIGHT_DETECTOR, 'reid.model': NONE}
    light = {'values': {**way['values'], **own}}
    found = []
    for copy, skipped in COPIES.items() if sequence else [(COPY, 0)]:
        part = SourceOptions(skip_frames=skipped * long, max_frames=MOST)
        if sequence and copy == COPY:
            part = SourceOptions()
        plain = recorded(cache, video, COPY, part, WAYS[0])
        if sequence:
            truth = GroundTruth.load(Path(sequence)).rows
            truth = moved(truth, copy, *(plain.detections.image_size or (0, 0)))
        else:
            truth = as_rows(track(plain, TrackerSettings(), 0.0, offline=True))
        pair = [recorded(cache, video, copy, part, each) for each in (way, light)]
        truth[:, 0] -= part.skip_frames
        truth = truth[(truth[:, 0] > 0) & (truth[:, 0] <= len(pair[0].stamps))]
        for phase in range(len(way['pattern'].split())):
            rows = as_rows(track(in_turn(*pair, way['pattern'], phase), TrackerSettings(), 0.0))
            result = evaluate([(truth, rows)])
            found.append([result.hota, result.idf1, result.mota])
    return np.mean(found, axis=0)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('cache', type=Path, metavar='CACHE', help='directory')
    parser.add_argument('videos', nargs='+', metavar='VIDEO=SEQUENCE')
    parser.add_argument('--others', nargs='+', default=[], metavar='VIDEO')
    parser.add_argument('--frames', type=int, default=192, metavar='N', help='default: 192')
    options = parser.parse_args()
    pairs = [each.rpartition('=')[::2] for each in options.videos]
    count = len(pairs)
    pairs += [(video, '') for video in options.others]
    scores = np.array([[score(options.cache, *pair, way) for pair in pairs] for way in tqdm(WAYS)])
    used = np.array(
        [
            [row['cpu_ms'] for row in measure(video, Settings(), WAYS, options.frames, np.inf)]
            for video, _ in pairs[:count]
        ]
    )
    ratios = (used / used[:, :1]).mean(axis=0)
    means = scores[:, :count].mean(axis=1)
    names = [Path(sequence or video).name for video, sequence in pairs]
    columns = ['model', 'pattern', 'time', *names[:count], 'loss', *names[count:]]
    print('| ' + ' | '.join(columns) + ' |')
    print('|---' * len(columns) + '|')
    for row in np.argsort(-ratios, kind='stable'):
        way = WAYS[row]
        cells = [*scores[row, :count], means[0] - means[row], *scores[row, count:]]
        name = f'{way["name"]} | {way["pattern"]}'
        print(f'| {name} | {ratios[row]:.2f} | {" | ".join(map(cell, cells))} |')
    print('default, ms:', ', '.join(f'{each:.1f}' for each in used[:, 0]))


if __name__ == '__main__':
    main()
