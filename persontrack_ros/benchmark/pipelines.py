"""The notebook's pipeline and the modes of this package, in turns on the same frames."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
from tqdm import tqdm

from persontrack_ros.benchmark.measure import percentiles, spread
from persontrack_ros.benchmark.variants import BOUND, DEFAULT, NOTEBOOK, settings_of
from persontrack_ros.benchmark.worker import Chunk, Worker
from persontrack_ros.core.config.settings import Settings

# Frames that are not measured: OpenVINO allocates, the tracker finds its first persons.
WARM_UP = 20


def measure_pipelines(
    video: str, settings: Settings, modes: list[str], rounds: int, frames: int
) -> dict[str, Any]:
    """
    Measure the notebook's pipeline and some modes.

    In each round, each of them processes the same frames, one after the other. Ratios are computed
    per round, so that a slow phase of the machine hardly changes them.

    :param modes: names of ``MODES``.
    :param frames: number of frames in a round.
    :returns: the values of the table and the picture, by name.
    """
    values: dict[str, Mapping[str, Any]] = {NOTEBOOK: settings.values()}
    for mode in modes:
        changed = settings_of(mode, settings)
        if changed is not None:
            values[mode] = changed.values()
    bounded = DEFAULT in values
    if bounded:
        values[BOUND] = settings.values()
    chunks: dict[str, list[Chunk]] = {name: [] for name in values}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(name, value, video)) for name, value in values.items()
        }
        for name in tqdm(workers, 'warming up'):
            workers[name].run(WARM_UP, [1] * WARM_UP)
        for name in tqdm(list(workers) * rounds, 'measuring'):
            embeddings = chunks[DEFAULT][-1].embedded if name == BOUND else ()
            chunks[name].append(workers[name].run(frames, embeddings))
    return {name: summarise(own, chunks[NOTEBOOK], frames) for name, own in chunks.items()}


def summarise(chunks: list[Chunk], base: list[Chunk], frames: int) -> dict[str, Any]:
    """
    Return medians over the rounds, and ratios to the same rounds of another pipeline.

    :param frames: number of frames in each chunk.
    """
    latencies = [latency for chunk in chunks for latency in chunk.latencies]
    base_latencies = [latency for chunk in base for latency in chunk.latencies]
    summary = percentiles(latencies)
    reference = percentiles(base_latencies)
    detected = sum(sum(chunk.detected) for chunk in chunks)
    embedded = sum(sum(chunk.embedded) for chunk in chunks)
    total = frames * len(chunks)
    stages = {
        stage: 1e3 * sum(chunk.stages[stage] for chunk in chunks) / total
        for stage in chunks[0].stages
    }
    wall = 1e3 * sum(chunk.wall for chunk in chunks) / total
    return {
        'wall_ms': 1e3 * float(np.median([chunk.wall for chunk in chunks])) / frames,
        'cpu_ms': 1e3 * float(np.median([chunk.cpu for chunk in chunks])) / frames,
        'latency': summary,
        'embedded_fraction': embedded / detected if detected else 0.0,
        'peak_memory_mb': chunks[-1].peak_memory,
        # If stages overlap, the time for reading is unknown.
        'stages_ms': {**stages, 'reading': max(0.0, wall - sum(stages.values()))},
        'ratios': {
            'throughput': _median_ratio(base, chunks, 'wall'),
            'cpu': _median_ratio(chunks, base, 'cpu'),
            'p50': summary['p50_ms'] / reference['p50_ms'],
            'p99': summary['p99_ms'] / reference['p99_ms'],
            'p99.9_to_p50': summary['p99.9_ms'] / summary['p50_ms'],
        },
        'spread': spread([chunk.wall for chunk in chunks]),
        'others_cpu': sum(chunk.others for chunk in chunks) / sum(chunk.wall for chunk in chunks),
    }


def _median_ratio(above: list[Chunk], below: list[Chunk], quantity: str) -> float:
    ratios = [getattr(a, quantity) / getattr(b, quantity) for a, b in zip(above, below)]
    return float(np.median(ratios))
