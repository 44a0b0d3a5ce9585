"""The similarity of pictures of persons, and embeddings in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from persontrack_ros.core.base.arrays import read_arrays
from persontrack_ros.core.base.errors import ImageError, SettingsError, SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.config.settings import NONE, Settings
from persontrack_ros.core.inference.detectors import Detectors
from persontrack_ros.core.inference.embedder import COLOR, Embedder, make_embedder
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.tracking.appearance import SAME_PERSON, Embeddings
from persontrack_ros.core.tracking.gallery_tracker import MARGIN

# Bytes that a file of an embedding may have.
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Similarity:
    """
    How similar two pictures of persons are.

    :ivar cosine: cosine similarity of their embeddings, -1 to 1.
    :ivar threshold: the smallest similarity of two pictures of one person.
    """

    cosine: float
    threshold: float

    @property
    def same(self) -> bool:
        """Whether they show the same person, by the threshold of the model."""
        return self.cosine >= self.threshold


def same_person(model: str) -> float:
    """
    Return the largest cosine distance between two embeddings of one person.

    Chosen by its effect on tracking, see `tools/recognition.py`.

    :param model: a `reid.model`.
    """
    return 0.2 if model == COLOR else SAME_PERSON


def compare(image_a: BgrImage, image_b: BgrImage, settings: Settings = Settings()) -> Similarity:
    """
    Compare two pictures, each cropped to one person.

    :param image_a: uint8 BGR, shape ``(height, width, 3)``.
    :param image_b: as `image_a`, of any size.
    :raises ModelError: if the model of `reid.model` cannot be used.
    :raises SettingsError: if `reid.model` is none.
    """
    embedder = _make_embedder(settings, Runtime(settings.inference))
    one, other = (embedder.embed(image, _whole(image))[0] for image in (image_a, image_b))
    return Similarity(float(one @ other), 1 - same_person(settings.reid.model))


def _make_embedder(settings: Settings, runtime: Runtime) -> Embedder:
    embedder = make_embedder(settings.reid, runtime)
    if not embedder.dimension:
        raise SettingsError(
            f'reid.model {settings.reid.model} computes no embeddings to compare: choose another'
        )
    return embedder


def _whole(image: BgrImage) -> FloatArray:
    return np.array([[0.0, 0.0, image.shape[1], image.shape[0]]])


def embed(image: BgrImage, settings: Settings = Settings()) -> Embeddings:
    """
    Compute the embedding of the only person in a picture, shape ``(D,)``.

    :param image: uint8 BGR, shape ``(height, width, 3)``; all of it is the person if
        `detector.model` is none.
    :raises ImageError: if not one person is detected.
    :raises ModelError: if a model cannot be used.
    :raises SettingsError: if `reid.model` is none.
    """
    runtime = Runtime(settings.inference)
    embedder, boxes = _make_embedder(settings, runtime), _whole(image)
    if settings.detector.model != NONE:
        boxes = Detectors(settings.detector, runtime).large.detect(image).boxes
    if len(boxes) != 1:
        raise ImageError(
            f'{len(boxes) or "no"} persons are detected in the picture: crop it to one person, '
            'and set detector.model to none'
        )
    return embedder.embed(image, boxes)[0]


def save_embedding(path: Path, embedding: Embeddings, model: str) -> None:
    """
    Write a file for :func:`load_embedding`.

    :param model: the `reid.model` of the embedding.
    :raises OutputError: if it cannot be written.
    """
    with OutputFile(path) as file:
        np.savez(file, embedding=embedding, model=Path(model).stem)


def load_embedding(path: Path, model: str, dimension: int) -> Embeddings:
    """
    Read a file of `persontrack embed`.

    :param model: the `reid.model` that embeddings are compared of.
    :param dimension: length of its embeddings; 0 if there are none.
    :returns: the embedding, shape ``(dimension,)``.
    :raises SourceError: if the file cannot be read, is another one, or of another model.
    """
    arrays = read_arrays(path, _LIMIT)
    embedding, its = arrays.get('embedding', np.empty(0)), str(arrays.get('model', ''))
    length = np.linalg.norm(embedding) if embedding.dtype == np.float32 else 0.0
    if embedding.ndim != 1 or not abs(length - 1) < 1e-3:
        raise SourceError(f'{path} is no file of persontrack embed, or damaged')
    if (its, embedding.size) != (Path(model).stem, dimension):
        here = f'{model}, of {dimension}' if dimension else 'none, as embeddings need images'
        raise SourceError(
            f'{path} is of reid.model {its}, of {embedding.size} numbers, and reid.model is {here}'
        )
    return embedding


def most_similar(
    wanted: Embeddings, embeddings: Mapping[int, Embeddings], limit: float
) -> Optional[int]:
    """
    Return the id of the person with an embedding; None if it is no person or two may be meant.

    :param wanted: shape ``(D,)``.
    :param embeddings: the same of persons, by id.
    :param limit: see :func:`same_person`.
    """
    distances = {
        id_: 1 - float(each @ wanted)
        for id_, each in embeddings.items()
        if each.shape == wanted.shape
    }
    best, second, *_ = [*sorted(distances.values()), np.inf, np.inf]
    if best > limit or second - best < MARGIN * limit:
        return None
    return min(distances, key=distances.__getitem__)
