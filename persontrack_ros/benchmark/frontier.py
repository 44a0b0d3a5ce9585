"""Ways to save processor time: what each costs on this machine, and its known accuracy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Optional
from xml.sax.saxutils import escape

import numpy as np
import yaml

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.terminal import tqdm
from persontrack_ros.core.config.settings import LIGHT, NONE, Settings
from persontrack_ros.core.inference.catalogue import DEFAULT_DETECTOR, DEFAULT_PRECISION
from persontrack_ros.core.inference.embedder import COLOR
from persontrack_ros.core.inference.files import find_model
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline

LIGHT_DETECTOR = 'person-detection-0200'

# Frames that are not measured. All patterns are whole in them, and in the next as many.
CYCLE = 12

# A way has `name` (of its models), `pattern`, `values` (parameters) and `loss` (of HOTA, IDF1 and
# MOTA against the first one, see docs/performance.md).
Way = dict[str, Any]


def _ways() -> Iterator[Way]:
    table = yaml.safe_load(Path(__file__).with_name('ways.yaml').read_text())
    for name, models in table.items():
        for pattern, loss in models['patterns'].items():
            values = {
                'detector.model': DEFAULT_DETECTOR,
                'detector.light_model': LIGHT_DETECTOR if LIGHT in pattern else NONE,
                'detector.pattern': pattern,
                **models['values'],
            }
            yield {'name': name, 'pattern': pattern, 'values': values, 'loss': loss}


WAYS = list(_ways())


def missing(way: Way) -> set[str]:
    """Return the commands that get the models of a way that are not installed."""
    values = way['values']
    commands = set()
    for part in ('detector.model', 'detector.light_model', 'reid.model'):
        precision = values['detector.precision'] if part != 'reid.model' else DEFAULT_PRECISION
        try:
            if values[part] not in (NONE, COLOR):
                find_model(values[part], precision)
        except ModelError as error:
            commands.update(re.findall('Run "(.*?)"', str(error)))
    return commands


def measure(
    video: str, settings: Settings, ways: Sequence[Way], frames: int, seconds: float
) -> list[Way]:
    """
    Return the ways with the processor and wall time of a frame in milliseconds, and its `ratio`.

    All ways take turns on the same frames, so that other programs change all of them alike. The
    video begins again after its end; reading it is not counted.

    :param settings: all parameters that are no part of a way.
    :param frames: number of frames that are measured, less if this takes more than `seconds`.
    """
    pipelines = [Pipeline(Settings.from_values(way['values'], base=settings)) for way in ways]
    used = []
    end = time.perf_counter() + seconds
    with VideoSource(video, SourceOptions(loop=True)) as source:
        total = CYCLE + frames
        for number, frame in enumerate(tqdm(islice(source, total), 'ways', total)):
            if number > CYCLE and number % CYCLE == 0 and time.perf_counter() > end:
                break
            clocks = [(time.process_time(), time.perf_counter())]
            for pipeline in pipelines:
                pipeline.process(frame.image, frame.stamp)
                clocks.append((time.process_time(), time.perf_counter()))
            used.append(np.diff(clocks, axis=0))
    means = (1e3 * np.mean(used[CYCLE:], axis=0)).tolist()
    return [
        {**way, 'ratio': cpu / means[0][0], 'cpu_ms': cpu, 'frame_ms': wall}
        for way, (cpu, wall) in zip(ways, means)
    ]


def choose(rows: Sequence[Way], cores: float) -> Optional[Way]:
    """Return the way with the smallest loss that takes no more `cores`, nor than its threads."""
    fitting = [
        row
        for row in rows
        if row['cores'] <= min(cores, row['values'].get('inference.threads', cores))
    ]
    return min(fitting, key=lambda row: (row['loss'], row['cores']), default=None)


def draw(rows: Sequence[Way], chosen: Optional[Way]) -> str:
    """Return a picture (SVG) of the loss of HOTA over the `cores` of each way; one is marked."""
    most = max(row['cores'] for row in rows)
    worst = max(row['loss'][0] for row in rows) or 1.0
    parts = ['<path d="M40 30V370H560" fill="none" stroke="gray"/>', _text(40, 20, 'loss of HOTA')]
    parts.append(_text(520, 390, 'cores'))
    for number, row in enumerate(rows, 1):
        x, y = 40 + 500 * row['cores'] / most, 40 + 320 * row['loss'][0] / worst
        color = 'red' if row is chosen else 'black'
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{color}"/>')
        parts.append(_text(x + 6, y - 4, f'{number}', color))
        label = f'{number}: {row["cores"]:.2f}, {row["loss"][0]}: {row["name"]}, {row["pattern"]}'
        parts.append(_text(580, 20 + 18 * number, label, color))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1040 440" font-family="sans-serif" '
        f'font-size="13"><rect width="1040" height="440" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _text(x: float, y: float, text: str, color: str = 'black') -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}">{escape(text)}</text>'
