#!/usr/bin/env python3
"""
Measure the association alone: the trackers of this package against loops as in the reference.

    scripts/env tools/association.py

Prints milliseconds per frame with 10 to 200 persons, and how many times slower the loops are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import numpy as np

from persontrack_ros.benchmark.reference_tracker import ReferenceTracker
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference
from persontrack_ros.core.tracking.appearance import Embeddings, normalise
from persontrack_ros.core.tracking.tracker import make_tracker

COUNTS = (10, 50, 100, 200)
DIMENSION = 256

# Each tracker does so many updates in a row, as in the other parts.
_ROUND = 20
_PERIOD = 100_000_000

Step = Callable[[FloatArray, Embeddings], object]


class Crowd:
    """Persons who walk back and forth on a large field, each with their own embedding."""

    def __init__(self, count: int) -> None:
        """Place them at random, the same each time."""
        self._random = np.random.default_rng(0)
        self._place = self._random.uniform(0, 100 * np.sqrt(count), (count, 2))
        self._velocity = self._random.uniform(-3, 3, (count, 2))
        self._embeddings = self._random.normal(size=(count, DIMENSION)).astype(np.float32)

    def step(self) -> tuple[FloatArray, Embeddings]:
        """Return the boxes and embeddings of the next frame."""
        self._place += self._velocity
        boxes = np.empty((len(self._place), 4))
        boxes[:, :2] = self._place + self._random.normal(size=self._place.shape)
        boxes[:, 2:] = 40, 100
        noise = 0.3 * self._random.normal(size=self._embeddings.shape).astype(np.float32)
        return boxes, normalise(self._embeddings + noise)


def trackers() -> dict[str, Step]:
    """Return what is measured, by name."""
    reference = ReferenceTracker(max_cosine_distance=0.3)
    steps: dict[str, Step] = {'reference': reference.update}
    for algorithm in ('deep_sort', 'persistent'):
        # Every embedding is asked for: crowds are where that cannot be avoided.
        tracker = make_tracker(TrackerSettings(algorithm=algorithm, refresh_time=0.0))
        steps[algorithm] = _stepper(tracker)
    return steps


def _stepper(tracker: Any) -> Step:
    stamp = 0

    def step(boxes: FloatArray, embeddings: Embeddings) -> object:
        nonlocal stamp
        stamp += _PERIOD
        detections = Detections(boxes, np.full(len(boxes), 0.95))
        return tracker.update(detections, lambda indices: embeddings[indices], stamp)

    return step


def measure(frames: int, counts: Sequence[int] = COUNTS) -> dict[int, dict[str, float]]:
    """Measure one update of each tracker with each number of persons; medians in milliseconds."""
    results: dict[int, dict[str, float]] = {}
    for count in counts:
        crowd = Crowd(count)
        steps = trackers()
        times: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(1 + ceil(frames / _ROUND)):
            images = [crowd.step() for _ in range(_ROUND)]
            for name, step in steps.items():
                for boxes, embeddings in images:
                    started = time.perf_counter()
                    step(boxes, embeddings)
                    # The first round is not measured.
                    if turn:
                        times[name].append(time.perf_counter() - started)
        results[count] = {name: 1e3 * float(np.median(own)) for name, own in times.items()}
    return results


def main() -> int:
    """Measure, and print the table."""
    use_one_thread_beside_inference()
    for count, row in measure(100).items():
        cells = (
            f'{name} {value:.2f} ({row["reference"] / value:.1f})' for name, value in row.items()
        )
        print(f'{count:>4} tracks: {", ".join(cells)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
