"""Clocks, memory and summaries of measurements."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import openvino as ov

from persontrack_ros.core.base.geometry import FloatArray

# Images per second of a camera.
CAMERA_RATE = 30

Item = TypeVar('Item')


def usage() -> FloatArray:
    """Return seconds: of time, of work of all threads of this process, and of all processors."""
    # User, nice, system, idle, waiting, interrupts, soft interrupts, stolen; proc(5).
    ticks = [int(each) for each in Path('/proc/stat').read_text().split(maxsplit=9)[1:9]]
    busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')
    return np.array([time.perf_counter(), time.process_time(), busy])


def cpu_time(process: int) -> float:
    """Return how many seconds all threads of a process have worked."""
    text = Path(f'/proc/{process}/stat').read_text()
    fields = text.rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def peak_memory(process: int) -> float:
    """Return the largest resident size of a process so far; megabytes."""
    text = Path(f'/proc/{process}/status').read_text()
    (value,) = (line.split()[1] for line in text.splitlines() if line.startswith('VmHWM:'))
    return int(value) / 1024


def paced(items: Iterable[Item], period: float) -> Iterator[Item]:
    """
    Return items one by one, with the timing of a camera.

    :param period: seconds from one item to the next; more if the caller is slower.
    """
    due = time.perf_counter()
    for item in items:
        time.sleep(max(0.0, due - time.perf_counter()))
        due = time.perf_counter() + period
        yield item


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    p50, p99 = 1e3 * np.percentile(seconds, [50, 99])
    return {'p50_ms': float(p50), 'p99_ms': float(p99)}


def machine() -> dict[str, Any]:
    """Describe machine and versions."""
    return {
        'processor': ov.Core().get_property('CPU', 'FULL_DEVICE_NAME'),
        'cores': os.cpu_count(),
        'system': platform.platform(),
        'python': platform.python_version(),
        'openvino': ov.__version__.split('-')[0],
    }
