#!/usr/bin/env python3
"""
Measure how near the pipeline comes to its bound: reading the frames and the inference alone.

    scripts/env tools/bound.py vtest.avi

Each frame is read and processed, and then its models run again on the inputs that they still have,
with as many embeddings. Prints the milliseconds of a frame, and which part the bound is of it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from persontrack_ros.benchmark.pipeline import WARM_UP
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.runtime import infer_all
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline


def main() -> None:
    """Measure, and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('video', metavar='VIDEO')
    parser.add_argument('--frames', type=int, default=300, metavar='N', help='default: 300')
    options = parser.parse_args()
    use_one_thread_beside_inference()
    pipeline = Pipeline(Settings())
    detector, embedder = pipeline._detectors.large._model, pipeline._embedder._team
    marks = []

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time()))

    with VideoSource(options.video, SourceOptions(max_frames=options.frames, loop=True)) as source:
        mark()
        for frame in source:
            mark()
            embedded = pipeline.process(frame.image, frame.stamp).embedded
            mark()
            detector.infer()
            for _ in infer_all(embedder, embedded, lambda *_: None):
                pass
            mark()
    steps = np.diff(marks, axis=0).reshape(-1, 3, 2)[WARM_UP:]
    for name, (reading, process, inference) in zip(
        ('wall', 'processor'), 1e3 * steps.mean(axis=0).T
    ):
        bound, all_ = reading + inference, reading + process
        print(f'{name:9} {all_:.1f} ms, bound {bound:.1f} ms: {bound / all_:.0%}')


if __name__ == '__main__':
    main()
