"""Measurements and their summaries."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TypeVar

import numpy as np

from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.media.source import SourceOptions, VideoSource

# Times in a summary are in milliseconds.
_MILLI = 1e3

# Images per second of a camera.
CAMERA_RATE = 30

Item = TypeVar('Item')


@dataclass(frozen=True)
class Usage:
    """
    A point in time of this process and machine.

    :ivar wall: seconds since some time.
    :ivar cpu: seconds that all threads of this process have worked.
    :ivar machine: seconds that all processors were busy, for all processes.
    """

    wall: float
    cpu: float
    machine: float

    @classmethod
    def now(cls) -> Usage:
        """Read the clocks."""
        return cls(time.perf_counter(), time.process_time(), machine_time())

    def __sub__(self, other: Usage) -> Usage:
        """Return the time between two points."""
        return Usage(self.wall - other.wall, self.cpu - other.cpu, self.machine - other.machine)


def machine_time() -> float:
    """Return how many seconds the processors of this machine have worked since it was started."""
    # User, nice, system, idle, waiting, interrupts, soft interrupts, stolen; proc(5).
    ticks = [int(field) for field in Path('/proc/stat').read_text().split(maxsplit=9)[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')


def cpu_time(process: int) -> float:
    """Return how many seconds all threads of a process have worked."""
    text = Path(f'/proc/{process}/stat').read_text()
    fields = text.rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def peak_memory(process: Optional[int] = None) -> float:
    """Return the largest resident size of a process so far, by default this one; megabytes."""
    return _status('VmHWM', process)


def memory(process: Optional[int] = None) -> float:
    """Return the resident size of a process, by default this one; megabytes."""
    return _status('VmRSS', process)


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


def _status(name: str, process: Optional[int]) -> float:
    text = Path(f'/proc/{process or "self"}/status').read_text()
    (value,) = (line.split()[1] for line in text.splitlines() if line.startswith(f'{name}:'))
    return int(value) / 1024


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and high percentiles in milliseconds."""
    p50, p99, p999 = np.percentile(np.asarray(seconds) * _MILLI, [50, 99, 99.9])
    return {'p50_ms': float(p50), 'p99_ms': float(p99), 'p99.9_ms': float(p999)}


def spread(values: Sequence[float]) -> float:
    """Return how far the middle half of some values reaches, relative to their median."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / middle)


def images_of(video: str, size: tuple[int, int], count: int) -> list[BgrImage]:
    """Return the first images of a video, scaled."""
    options = SourceOptions(width=size[0], height=size[1], max_frames=count)
    with VideoSource(video, options) as source:
        return [frame.image for frame in source]
