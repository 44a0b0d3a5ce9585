#!/usr/bin/env python3
"""
Track the persons of a video seen through a window that moves, and show what compensation gains.

    scripts/env tools/moving_camera.py vtest.avi mot/PETS09-S2L1 CACHE

Two windows of 640x480: one shows the whole picture, the other one cuts persons off. Each rests,
pans, shakes, zooms, does all of these, turns, or pans fast; see `view`. Persons are detected in
the images of the window. The detections are kept in CACHE: the first run takes a minute for each
window and motion.

Each is tracked as it was detected and twice with 3 % of the detections dropped and the boxes
jittered by 1 %, and all scores, HOTA/IDF1/MOTA, are means: one exchange of two persons is worth 1
point of IDF1.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from scenes import cell, disturbed, score

from persontrack_ros.cli.detect import record_frames
from persontrack_ros.core.base.geometry import (
    FloatArray,
    boxes_to_measurements,
    measurements_to_boxes,
)
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.recording import Recording
from persontrack_ros.core.media.source import Frame, VideoSource

WINDOW = (640, 480)
# Of the picture in the window, by what the window shows.
SCALES = {'all persons': 0.65, 'a part': 1.0}
KINDS = ('still', 'pan', 'shake', 'zoom', 'all', 'turn', 'fast')
MOVING = {'tracker.camera_motion': 'affine'}
SEEDS = (1, 2)

# Of a person in the truth, this part is in the window.
VISIBLE = 0.4


def view(scale: float, kind: str, number: int, middle: FloatArray) -> FloatArray:
    """Return the map from the pixels of the picture to those of the window, shape ``(2, 3)``."""

    def wave(period: float) -> float:
        return float(np.sin(2 * np.pi * number / 10 / period))

    centre, zoom, angle, shake = middle.copy(), scale, 0.0, np.zeros(2)
    if kind in ('pan', 'all'):
        centre += 56 * wave(6), 40 * wave(4)
    if kind in ('zoom', 'all'):
        zoom *= 1 + 0.12 * wave(5)
    if kind in ('shake', 'all'):
        shake = np.random.default_rng([0, number]).uniform(-8, 8, 2)
    if kind == 'turn':
        angle = 4 * wave(3)
    if kind == 'fast':
        centre += 100 * wave(3), 0
    matrix = cv2.getRotationMatrix2D(tuple(centre), angle, zoom)
    matrix[:, 2] += np.array(WINDOW) / 2 - centre + shake
    return matrix


def seen(boxes: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return boxes of the picture as they are in the window; they stay upright."""
    moved = boxes_to_measurements(boxes)
    moved[:, :2] = moved[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    moved[:, 3] *= np.sqrt(np.linalg.det(matrix[:, :2]))
    return measurements_to_boxes(moved)


def truth_in(truth: FloatArray, views: list[FloatArray], whole: bool) -> FloatArray:
    """Return the truth as it is in the window; without what is outside if not all is seen."""
    rows = []
    for number, matrix in enumerate(views, start=1):
        here = truth[truth[:, 0] == number, :6]
        boxes = seen(here[:, 2:], matrix)
        near, far = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        if not whole:
            near, far = np.clip(near, 0, WINDOW), np.clip(far, 0, WINDOW)
        here[:, 2:] = np.concatenate([near, far - near], axis=1)
        left = (far - near).prod(axis=1) > VISIBLE * boxes[:, 2:].prod(axis=1)
        rows.append(here[left])
    return np.concatenate(rows)


def main() -> None:
    """Detect what is not detected yet, track, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('video')
    parser.add_argument('sequence', type=Path, help='directory with gt/gt.txt')
    parser.add_argument('cache', type=Path, metavar='CACHE')
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    truth = GroundTruth.load(options.sequence).rows
    with VideoSource(options.video) as source:
        middle = np.array(next(iter(source)).image.shape[1::-1]) / 2

    def through(scale: float, kind: str) -> Iterator[Frame]:
        """Show the video in the window."""
        with VideoSource(options.video) as source:
            for frame in source:
                matrix = view(scale, kind, frame.number, middle)
                yield dataclasses.replace(frame, image=cv2.warpAffine(frame.image, matrix, WINDOW))

    print('| window | motion | compensated | not compensated |')
    print('|---|---|---|---|')
    for (shown, scale), kind in itertools.product(SCALES.items(), KINDS):
        path = options.cache / f'{scale}-{kind}.npz'
        if not path.exists():
            record_frames(through(scale, kind), None, Settings.from_values(MOVING)).save(path)
        recording = Recording.load(path)
        numbers = range(1, len(recording.stamps) + 1)
        here = truth_in(truth, [view(scale, kind, each, middle) for each in numbers], scale < 1)
        variants = [recording, *(disturbed(recording, seed) for seed in SEEDS)]
        found = [[score(here, each, motion) for motion in (MOVING, {})] for each in variants]
        cells = [cell(each) for each in np.mean(found, axis=0)]
        print(f'| {shown} | {kind} | {" | ".join(cells)} |', flush=True)


main()
