"""The pipeline alone, without ROS."""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import Any

import numpy as np

from persontrack_ros.benchmark.measure import peak_memory, percentiles, usage
from persontrack_ros.core.base.terminal import tqdm
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline

# Frames that are not measured: OpenVINO allocates, the tracker finds its first persons.
WARM_UP = 20

_PARTS = ('detection', 'embedding', 'tracking')


def measure_pipeline(video: str, settings: Settings, frames: int) -> dict[str, Any]:
    """
    Measure the tracking of a video, which begins again after its end, one frame after the other.

    :param frames: number of frames that are measured.
    """
    pipeline = Pipeline(settings)
    results, latencies = [], []
    with VideoSource(video, SourceOptions(loop=True)) as source:
        stream = iter(source)
        for frame in islice(stream, WARM_UP):
            pipeline.process(frame.image, frame.stamp)
        before = usage()
        for frame in tqdm(islice(stream, frames), 'pipeline', frames):
            began = time.perf_counter()
            results.append(pipeline.process(frame.image, frame.stamp))
            latencies.append(time.perf_counter() - began)
        wall, cpu, machine = (usage() - before).tolist()
    memory = peak_memory(os.getpid())
    parts = {
        part: 1e3 * float(np.mean([getattr(result.times, part) for result in results]))
        for part in _PARTS
    }
    return {
        'frame_ms': 1e3 * wall / frames,
        'cpu_ms': 1e3 * cpu / frames,
        'latency': percentiles(latencies),
        'parts_ms': {'reading': 1e3 * (wall - sum(latencies)) / frames, **parts},
        'detections': sum(len(result.detections) for result in results),
        'embedded': sum(result.embedded for result in results),
        'peak_memory_mb': memory,
        'others_cores': (machine - cpu) / wall,
    }
