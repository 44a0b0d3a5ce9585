"""The compared pipelines; each runs in its own process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, Optional, Protocol, Union

from persontrack_ros.benchmark.notebook import Notebook
from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.config.settings import DetectorSettings, ReidSettings, Settings
from persontrack_ros.core.inference.embedder import QUEUED
from persontrack_ros.core.inference.files import find_model
from persontrack_ros.core.inference.profile import DetectorProfile, Profile, read_profile
from persontrack_ros.core.inference.runtime import InferenceModel, Runtime, infer_all
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference
from persontrack_ros.core.media.source import Frame
from persontrack_ros.core.pipeline import Pipeline, StageTimes

NOTEBOOK = 'notebook'
BOUND = 'bound'
DEFAULT = 'default'
INT8 = 'int8'
OFFLINE = 'offline'

# The modes of this package, by what they change of the settings.
MODES: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    INT8: {'detector.precision': 'INT8'},
    'every_frame': {'tracker.refresh_time': 0.0},
    'interval_2': {'detector.interval': 2},
    OFFLINE: {},
}

# Of each frame: persons detected, embeddings computed, and times.
Done = tuple[int, int, StageTimes]


class Variant(Protocol):
    """A pipeline."""

    def run(self, frames: Iterable[Frame], embeddings: Sequence[int]) -> Iterator[Done]:
        """
        Process frames, in their order.

        :param embeddings: for :class:`Bound`, the number to compute in each frame.
        """
        ...


def settings_of(mode: str, settings: Settings) -> Optional[Settings]:
    """Return the settings of a mode; None if its model is not installed."""
    changed = Settings.from_values(MODES[mode], base=settings)
    try:
        find_model(changed.detector.model, changed.detector.precision)
    except ModelError:
        return None
    return changed


def make_variant(name: str, settings: Settings) -> Variant:
    """
    Load the notebook's pipeline, a mode, or the bound of a mode, in this process.

    :raises ModelError: if a model cannot be used.
    """
    if name == NOTEBOOK:
        # Without a limit of threads, as usual in a notebook.
        return NotebookVariant(settings)
    use_one_thread_beside_inference()
    if name == BOUND:
        return Bound(settings)
    return Product(settings, pipelined=name == OFFLINE)


class NotebookVariant:
    """The pipeline of the notebook."""

    def __init__(self, settings: Settings) -> None:
        """Load the models."""
        self._notebook = Notebook(
            find_model(settings.detector.model, settings.detector.precision),
            find_model(settings.reid.model, settings.reid.precision),
        )

    def run(self, frames: Iterable[Frame], embeddings: Sequence[int]) -> Iterator[Done]:
        """Process frames, in their order."""
        for frame in frames:
            detected, times = self._notebook.process(frame.image)
            yield detected, detected, times


class Product:
    """The pipeline of this package."""

    def __init__(self, settings: Settings, pipelined: bool) -> None:
        """Load and warm up the models."""
        self._pipelined = pipelined
        self._pipeline = Pipeline(settings, pipelined)

    def run(self, frames: Iterable[Frame], embeddings: Sequence[int]) -> Iterator[Done]:
        """Process frames, in their order."""
        process = self._pipeline.process
        results = (
            (result for _, result in self._pipeline.process_all(frames))
            if self._pipelined
            else (process(frame.image, frame.stamp) for frame in frames)
        )
        for result in results:
            yield len(result.detections), result.embedded, result.times


class Bound:
    """The lower bound: only the inference that a mode needs."""

    def __init__(self, settings: Settings) -> None:
        """Load the models."""
        runtime = Runtime(settings.inference)
        self._detector = _load(DetectorProfile, settings.detector, runtime, parallel=False)
        self._reid = _load(Profile, settings.reid, runtime, parallel=True).team(QUEUED)

    def run(self, frames: Iterable[Frame], embeddings: Sequence[int]) -> Iterator[Done]:
        """Run the models as often as for these frames."""
        for _, count in zip(frames, embeddings):
            started = perf_counter()
            self._detector.infer()
            detected = perf_counter()
            for _ in infer_all(self._reid, count, lambda index, target: None):
                pass
            yield count, count, StageTimes(detected - started, perf_counter() - detected, 0.0)


def _load(
    kind: type[Profile],
    settings: Union[DetectorSettings, ReidSettings],
    runtime: Runtime,
    parallel: bool,
) -> InferenceModel:
    path = find_model(settings.model, settings.precision)
    profile = read_profile(path, kind) or kind()
    model = runtime.read(path, profile)
    return runtime.compile(model, path, profile, settings.device, parallel)
