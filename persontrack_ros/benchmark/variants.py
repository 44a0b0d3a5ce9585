"""The pipelines that are compared, each of which runs in a process of its own."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import Optional
from typing import Protocol

from persontrack_ros.benchmark.notebook import Notebook
from persontrack_ros.core.errors import ModelError
from persontrack_ros.core.models.files import find_model
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.pipeline import StageTimes
from persontrack_ros.core.settings import Settings
from persontrack_ros.core.threads import use_one_thread_beside_inference
from persontrack_ros.core.video import Frame

NOTEBOOK = 'notebook'
DEFAULT = 'default'
INT8 = 'int8'
OFFLINE = 'offline'

# The modes of this package, by what they change of the settings.
MODES: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    INT8: {'detector.precision': 'INT8'},
    'every_frame': {'reid.every_frame': True},
    'interval_2': {'detector.interval': 2},
    OFFLINE: {},
}

# Of each frame: persons detected, embeddings computed, and times.
Done = tuple[int, int, StageTimes]


class Variant(Protocol):
    """A pipeline."""

    def run(self, frames: Iterable[Frame]) -> Iterator[Done]:
        """Process frames, in their order."""
        ...


def settings_of(mode: str, settings: Settings) -> Optional[Settings]:
    """Return the settings of a mode; None where its model is not installed."""
    changed = Settings.from_values(MODES[mode], base=settings)
    try:
        find_model(changed.detector.model, changed.detector.precision)
    except ModelError:
        return None
    return changed


def make_variant(name: str, settings: Settings) -> Variant:
    """
    Load the notebook's pipeline or a mode in this process.

    :raises ModelError: if a model cannot be used.
    """
    if name == NOTEBOOK:
        # Without a limit of threads: nobody thinks of that in a notebook.
        return NotebookVariant(settings)
    use_one_thread_beside_inference()
    return Product(settings, pipelined=name == OFFLINE)


class NotebookVariant:
    """The notebook's way."""

    def __init__(self, settings: Settings) -> None:
        """Load the models."""
        self._notebook = Notebook(
            find_model(settings.detector.model, settings.detector.precision),
            find_model(settings.reid.model, settings.reid.precision),
        )

    def run(self, frames: Iterable[Frame]) -> Iterator[Done]:
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

    def run(self, frames: Iterable[Frame]) -> Iterator[Done]:
        """Process frames, in their order."""
        process = self._pipeline.process
        results = (
            (result for _, result in self._pipeline.process_all(frames))
            if self._pipelined
            else (process(frame.image, frame.stamp) for frame in frames)
        )
        for result in results:
            yield len(result.detections), result.embedded, result.times
