"""The results of a benchmark as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov

from persontrack_ros.benchmark.measure import CAMERA_RATE
from persontrack_ros.benchmark.variants import BOUND, DEFAULT
from persontrack_ros.core.config.settings import NONE, Settings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.runtime import Runtime

# A run is noisy if other processes use more cores than this, or if times vary more.
_OTHERS = 0.1
_SPREAD = 0.15

Results = Mapping[str, Any]


def machine() -> dict[str, Any]:
    """Describe machine and versions."""
    core = ov.Core()
    return {
        'processor': core.get_property('CPU', 'FULL_DEVICE_NAME'),
        'cores': os.cpu_count(),
        'capabilities': list(core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')),
        'devices': list(core.available_devices),
        'system': platform.platform(),
        'python': platform.python_version(),
        'openvino': ov.__version__.split('-')[0],
        'numpy': np.__version__,
        'opencv': cv2.__version__,
        'load_before': os.getloadavg()[0],
    }


def inference(settings: Settings) -> str:
    """
    Return the device of the detector.

    :raises ModelError: if it cannot be used.
    """
    if settings.detector.model == NONE:
        return NONE
    return Detector(settings.detector, Runtime(settings.inference)).device


def as_text(results: Results) -> str:
    """Return the tables of all parts that were run."""
    about = results['machine']
    lines = [
        f'{about["processor"]}, {about["cores"]} cores, inference with '
        f'{results["inference"]}; OpenVINO {about["openvino"]}, '
        f'Python {about["python"]}; load before: {about["load_before"]:.1f}'
    ]
    if 'pipeline' in results:
        lines += [
            '',
            f'pipeline ({Path(results["video"]).name})',
            *_pipelines(results['pipeline']),
        ]
    if 'node' in results:
        title = f'node, between processes, {CAMERA_RATE} images per second'
        lines += ['', title, *_node(results['node'])]
    return '\n'.join(lines)


def _pipelines(pipelines: Results) -> list[str]:
    header = (
        f'{"":12}|{"times faster":>13}{"CPU":>7}{"p50":>7}{"p99":>7} |{"ms/frame":>9}{"CPU ms":>8}'
        f'{"p50":>7}{"p99":>7}{"p99.9":>7}  |{"embedded":>9}{"MB":>6}'
    )
    lines = [header, '-' * len(header)]
    for name, row in pipelines.items():
        ratios, latency = row['ratios'], row['latency']
        lines.append(
            f'{name:12}|{ratios["throughput"]:13.2f}{ratios["cpu"]:7.2f}{ratios["p50"]:7.2f}'
            f'{ratios["p99"]:7.2f} |{row["wall_ms"]:9.1f}{row["cpu_ms"]:8.1f}'
            f'{latency["p50_ms"]:7.1f}{latency["p99_ms"]:7.1f}{latency["p99.9_ms"]:7.1f}  |'
            f'{100 * row["embedded_fraction"]:8.0f}%{row["peak_memory_mb"]:6.0f}'
        )
    if BOUND in pipelines:
        part = pipelines[BOUND]['wall_ms'] / pipelines[DEFAULT]['wall_ms']
        lines.append(
            f'{BOUND} is reading and the inference alone that {DEFAULT} needs: it reaches '
            f'{100 * part:.0f} % of it'
        )
    return [*lines, noise(pipelines)]


def noise(pipelines: Results) -> str:
    """Return how much the run was disturbed."""
    others = float(np.mean([row['others_cpu'] for row in pipelines.values()]))
    spread = float(np.median([row['spread'] for row in pipelines.values()]))
    verdict = 'quiet' if others <= _OTHERS and spread <= _SPREAD else 'noisy: repeat it'
    return (
        f'noise: {verdict}; others used {others:.2f} cores, the middle half of the rounds varies '
        f'by {100 * spread:.0f} %'
    )


def _node(node: Results) -> list[str]:
    header = (
        f'{"image":10}{"node p50":>10}{"p99":>7}{"p99.9":>7}{"pipeline p50":>14}'
        f'{"difference":>12}{"CPU ms":>8}{"missed":>10}{"MB":>6}'
    )
    lines = [header]
    for size, row in node['sizes'].items():
        there = row['node']
        lines.append(
            f'{size:10}{there["p50_ms"]:10.1f}{there["p99_ms"]:7.1f}{there["p99.9_ms"]:7.1f}'
            f'{row["pipeline"]["p50_ms"]:14.1f}{row["node_minus_pipeline_ms"]:12.1f}'
            f'{row["cpu_ms_per_frame"]:8.1f}{row["missed"]:>5} of {row["images"]}'
            f'{row["peak_memory_mb"]:6.0f}'
        )
    starts = [row['start_s'] for row in node['sizes'].values()]
    lines.append(f'start of the node to its first tracks: {np.median(starts):.2f} s')
    return [*lines, *_idle(node['idle']), *_overload(node['overload'])]


def _idle(idle: Results) -> list[str]:
    return [
        f'without images: {idle["idle_cpu_percent"]:.1f} % of a core',
        f'CPU per image {idle["cpu_ms_per_frame_without_subscriber"]:.1f} ms, with a subscriber '
        f'of annotated_image {idle["cpu_ms_per_frame_with_subscriber"]:.1f} ms '
        f'({idle["annotated_images"]} drawn)',
    ]


def _overload(overload: Results) -> list[str]:
    return [
        f'overload, {overload["images_per_s"]:.0f} images per second: latency p50 '
        f'{overload["p50_ms"]:.1f} ms = {overload["p50_in_processing_times"]:.2f} processing '
        f'times, p99 {overload["p99_ms"]:.1f} ms; {overload["answered"]} of '
        f'{overload["published"]} answered, {overload["dropped_by_its_count"]} dropped by its own '
        f'count; memory {overload["memory_before_mb"]:.0f} to '
        f'{overload["memory_after_mb"]:.0f} MB',
    ]
