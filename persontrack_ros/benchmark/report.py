"""The results of a benchmark as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
import openvino as ov

from persontrack_ros.benchmark.association import COUNTS
from persontrack_ros.benchmark.measure import CAMERA_RATE, DRIVER_RATES, SEVERAL_RATE, SEVERAL_SIZE
from persontrack_ros.benchmark.variants import BOUND, DEFAULT
from persontrack_ros.core.detection.detector import Detector
from persontrack_ros.core.models.runtime import Runtime
from persontrack_ros.core.parameters.settings import NONE, Settings

# What is told of a run in which others work more than this (cores), or times vary more.
_OTHERS = 0.1
_SPREAD = 0.15

Results = Mapping[str, Any]


def machine() -> dict[str, Any]:
    """Describe what the results come from."""
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
    Return the device of the detector, and the instructions of most of its convolutions.

    :raises ModelError: if it cannot be used.
    """
    if settings.detector.model == NONE:
        return NONE
    detector = Detector(settings.detector, Runtime(settings.inference))
    return f'{detector.device}, {detector.instructions}'


def as_text(results: Results) -> str:
    """Return the tables of all parts that were run."""
    about = results['machine']
    # Of a part in which nothing is inferred, there is none.
    inferred = f'inference with {results["inference"]}; ' if 'inference' in results else ''
    lines = [
        f'{about["processor"]}, {about["cores"]} cores, {inferred}OpenVINO {about["openvino"]}, '
        f'Python {about["python"]}; load before: {about["load_before"]:.1f}'
    ]
    if 'pipeline' in results:
        lines += [
            '',
            f'pipeline ({Path(results["video"]).name})',
            *_pipelines(results['pipeline']),
        ]
    if 'crowd' in results:
        lines += ['', 'crowd (mosaic of 1920x1080)', *_pipelines(results['crowd'])]
    if 'association' in results:
        lines += ['', 'association, ms per frame', *_association(results['association'])]
    if 'node' in results:
        title = f'node, between processes, {CAMERA_RATE} images per second'
        lines += ['', title, *_node(results['node'])]
    if 'cameras' in results:
        lines += ['', *_cameras(results['cameras'])]
    if 'start' in results:
        start = results['start']
        lines += [
            '',
            f'start of the node to its first tracks: {start["warm_s"]:.2f} s, without compiled '
            f'models {start["cold_s"]:.2f} s',
        ]
    if 'transport' in results:
        lines += ['', *_transport(results['transport'])]
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
    """Say how much the run was disturbed."""
    others = float(np.mean([row['others_cpu'] for row in pipelines.values()]))
    spread = float(np.median([row['spread'] for row in pipelines.values()]))
    verdict = 'quiet' if others <= _OTHERS and spread <= _SPREAD else 'noisy: repeat it'
    return (
        f'noise: {verdict}; others used {others:.2f} cores, the middle half of the rounds varies '
        f'by {100 * spread:.0f} %'
    )


def _association(association: Results) -> list[str]:
    names = list(association[str(COUNTS[0])]['ms'])
    lines = ['tracks' + ''.join(f'{name:>12}{"faster":>8}' for name in names)]
    for count, row in association.items():
        cells = (f'{row["ms"][name]:12.2f}{row["reference_to"][name]:8.1f}' for name in names)
        lines.append(f'{count:>6}' + ''.join(cells))
    return lines


def _node(node: Results) -> list[str]:
    header = (
        f'{"image":10}{"node p50":>10}{"p99":>7}{"p99.9":>7}{"pipeline p50":>14}'
        f'{"difference":>12}{"CPU ms":>8}{"lost":>10}{"MB":>6}'
    )
    lines = [header]
    for size, row in node['sizes'].items():
        there = row['node']
        lines.append(
            f'{size:10}{there["p50_ms"]:10.1f}{there["p99_ms"]:7.1f}{there["p99.9_ms"]:7.1f}'
            f'{row["pipeline"]["p50_ms"]:14.1f}{row["node_minus_pipeline_ms"]:12.1f}'
            f'{row["cpu_ms_per_frame"]:8.1f}{row["lost"]:>5} of {row["images"]}'
            f'{row["peak_memory_mb"]:6.0f}'
        )
    # What Ctrl-C came before is not there.
    if 'idle' in node:
        lines += _idle(node['idle'])
    if 'overload' in node:
        lines += _overload(node['overload'])
    return lines


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


def _cameras(cameras: Results) -> list[str]:
    size = 'x'.join(map(str, SEVERAL_SIZE))
    lines = [
        f'cameras, {SEVERAL_RATE} images of {size} per second from each; CPU and MB of all nodes, '
        'MB: what they share counts once',
        f'{"cameras":>7}{"nodes":>7}{"images/s":>10}{"of":>4}{"p50":>9}{"p99":>8}{"CPU ms":>9}'
        f'{"cores":>7}{"MB":>7}{"least/mean":>12}{"others":>8}',
    ]
    for count, row in cameras.items():
        one, many = row['one'], row['many']
        for nodes, each in (('1', one), (count, many)):
            lines.append(
                f'{count:>7}{nodes:>7}{each["images_per_s"]:10.1f}{SEVERAL_RATE * int(count):4}'
                f'{each["p50_ms"]:9.1f}{each["p99_ms"]:8.1f}{each["cpu_ms_per_image"]:9.1f}'
                f'{each["cores"]:7.2f}{each["memory_mb"]:7.0f}{each["least_to_mean"]:12.2f}'
                f'{each["others_cores"]:8.2f}'
            )
        ratios = (
            f'{one[name] / many[name]:{width}.2f}'
            for name, width in (
                ('images_per_s', 10),
                ('p50_ms', 13),
                ('p99_ms', 8),
                ('cpu_ms_per_image', 9),
                ('cores', 7),
                ('memory_mb', 7),
                ('least_to_mean', 12),
            )
        )
        lines.append(f'{"ratio":>14}{"".join(ratios)}')
    return lines


def _transport(transport: Results) -> list[str]:
    def times(summary: Optional[Results]) -> str:
        return '-' if summary is None else f'{summary["p50_ms"]:.1f} {summary["p99_ms"]:5.1f}'

    above, header = f'{"":37}', f'{"configured":12}{"driver":13}{"image":12}'
    for rate in DRIVER_RATES:
        above += f'|{f"{rate} images per second":^48}'
        header += f'|{"tracked":>9}{"latency":>13}{"publishing":>13}{"a call":>13}'
    lines = [
        f'transport, ROS 2 {transport["distribution"]} with {transport["middleware"]}; times: p50 '
        'and p99 in ms',
        above,
        header,
    ]
    for run in transport['runs']:
        for size, rates in run['sizes'].items():
            line = f'{run["configuration"]:12}{run["reliability"]:13}{size:12}'
            for row in rates.values():
                tracked = f'{row["tracked"]} of {row["sent"]}'
                cells = (times(row[kind]) for kind in ('latency', 'publishing', 'call'))
                line += f'|{tracked:>9}' + ''.join(f'{cell:>13}' for cell in cells)
            lines.append(line)
        lines.append(
            f'found each other in {run["discovery_s"]:.2f} s; '
            f'{run["shared_memory_mib"]:.0f} MiB of /dev/shm'
        )
    return lines
