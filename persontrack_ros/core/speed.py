"""
What a frame costs on this machine, and what it would cost otherwise.

What was measured is kept in the cache of the user, so that a node which is too slow for its camera
can tell what would help here without spending more of the processor it lacks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import openvino as ov

from persontrack_ros.core.detection.detector import Detector
from persontrack_ros.core.embedding.embedder import COLOR, make_embedder
from persontrack_ros.core.errors import ModelError, SourceError, one_line
from persontrack_ros.core.files.fetching import cache_directory, write
from persontrack_ros.core.files.reading import read_bytes
from persontrack_ros.core.models.devices import processor
from persontrack_ros.core.models.runtime import Runtime
from persontrack_ros.core.parameters.settings import NONE, Settings, Value
from persontrack_ros.core.pipeline import StageTimes

# What may help, by the parameters that it takes; and detecting half as often.
ALTERNATIVES: tuple[Mapping[str, Value], ...] = (
    {'detector.precision': 'INT8'},
    {'detector.model': 'person-detection-0200'},
    {'reid.model': COLOR},
)

# Size of the images, and persons in them.
HEIGHT, WIDTH, PERSONS = 480, 640, 4

# What is repeated for so long, in seconds, and at least so often.
DURATION = 1.5
LEAST = 9

_LARGEST_FILE = 1 << 16


@dataclass(frozen=True)
class Measured:
    """
    What was measured with some settings.

    :ivar changes: the parameters that were set for it; none: as it was.
    :ivar detection: seconds per image.
    :ivar embedding: seconds per person whose embedding is computed.
    """

    changes: Mapping[str, Value]
    detection: float
    embedding: float


def named(changes: Mapping[str, Value]) -> str:
    """Return what is changed, in words."""
    return ', '.join(f'{name}: {value}' for name, value in changes.items())


def alternatives(settings: Settings) -> Iterator[Mapping[str, Value]]:
    """Iterate over what may help, but for what is set already."""
    values = settings.values()
    if settings.detector.model != NONE:
        yield {'detector.interval': min(100, 2 * settings.detector.interval)}
    for changes in ALTERNATIVES:
        group = next(iter(changes)).split('.')[0]
        if values[f'{group}.model'] != NONE and any(
            values[name] != value for name, value in changes.items()
        ):
            yield changes


def measure(settings: Settings) -> Iterator[tuple[Mapping[str, Value], Optional[Measured], str]]:
    """
    Measure as things are and with each alternative, one after the other, and keep the results.

    :returns: what is changed, what was measured, and otherwise why it cannot be.
    """
    found = []
    for changes in ({}, *alternatives(settings)):
        try:
            found.append(_measure(Settings.from_values(changes, base=settings), changes))
        except ModelError as error:
            yield changes, None, one_line(error)
        else:
            yield changes, found[-1], ''
    content = {'machine': _machine(settings), 'measured': [vars(each) for each in found]}
    write(_file(), json.dumps(content).encode())


def kept(settings: Settings) -> list[Measured]:
    """Return what was measured on this machine with these settings; else nothing."""
    try:
        content = json.loads(read_bytes(_file(), _LARGEST_FILE))
        if content['machine'] != _machine(settings):
            return []
        return [
            Measured(dict(each['changes']), float(each['detection']), float(each['embedding']))
            for each in content['measured']
        ]
    except (SourceError, ValueError, KeyError, TypeError):
        # Nothing, or not what is written here: as good as nothing.
        return []


def advise(settings: Settings, spent: StageTimes, measured: list[Measured]) -> list[str]:
    """
    Say what would make a frame take less, and how long it would then take.

    :param spent: the mean of each stage on an image, as things are.
    :param measured: what :func:`kept` returned; without it, only what follows from `spent`.
    """
    as_is = next((each for each in measured if not each.changes), None)
    advice = []
    for changes in alternatives(settings):
        other = next((each for each in measured if each.changes == changes), None)
        if 'detector.interval' in changes:
            half = settings.detector.interval / float(changes['detector.interval'])
            times = replace(spent, detection=spent.detection * half)
        elif as_is and other:
            times = replace(
                spent,
                detection=spent.detection * _ratio(other.detection, as_is.detection),
                embedding=spent.embedding * _ratio(other.embedding, as_is.embedding),
            )
        else:
            continue
        if times.total < spent.total:
            advice.append(f'{named(changes)} ({1e3 * times.total:.0f} ms)')
    return advice


def _ratio(one: float, other: float) -> float:
    return one / other if other > 0.0 else 1.0


def _measure(settings: Settings, changes: Mapping[str, Value]) -> Measured:
    """
    Measure with some settings.

    :raises ModelError: if a model cannot be used.
    """
    runtime = Runtime(settings.inference)
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    left = np.arange(PERSONS) * (WIDTH / PERSONS)
    boxes = np.stack([left, left * 0 + 80, left * 0 + 100, left * 0 + 300], axis=1)
    detection = 0.0
    if settings.detector.model != NONE:
        detector = Detector(settings.detector, runtime)
        detection = _median(lambda: detector.detect(image)) / settings.detector.interval
    embedder = make_embedder(settings.reid, runtime)
    embedding = _median(lambda: embedder.embed(image, boxes)) / PERSONS
    return Measured(dict(changes), detection, embedding)


def _median(work: Callable[[], Any]) -> float:
    """Return how long something takes, in seconds."""
    work()
    times: list[float] = []
    ended = time.perf_counter() + DURATION
    while time.perf_counter() < ended or len(times) < LEAST:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def _file() -> Path:
    return cache_directory() / 'speed.json'


def _machine(settings: Settings) -> str:
    """Return what the results hold for."""
    values = settings.values()
    relevant = {
        name: value
        for name, value in values.items()
        if name.split('.')[0] == 'inference' or name.endswith(('.model', '.precision', '.device'))
    }
    return repr((ov.__version__, processor(ov.Core(), 'CPU'), relevant))
