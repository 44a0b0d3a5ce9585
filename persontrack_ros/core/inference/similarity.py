"""The similarity of pictures of persons, and embeddings in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from persontrack_ros.core.base.arrays import read_arrays
from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.embedder import COLOR, make_embedder
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
    one, other = embed([image_a, image_b], settings)
    return Similarity(float(one @ other), 1 - same_person(settings.reid.model))


def embed(images: Sequence[BgrImage], settings: Settings = Settings()) -> Embeddings:
    """
    Compute the embeddings of pictures, each cropped to one person; see :func:`compare`.

    :returns: shape ``(N, D)``.
    """
    embedder = make_embedder(settings.reid, Runtime(settings.inference))
    if not embedder.dimension:
        raise SettingsError(
            f'reid.model {settings.reid.model} computes no embeddings to compare: choose another'
        )
    whole = [np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]) for image in images]
    return np.concatenate([embedder.embed(*each) for each in zip(images, whole)])


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

    :param model: the `reid.model` in use.
    :param dimension: length of its embeddings; 0 if there are none.
    :returns: shape ``(dimension,)``.
    :raises SourceError: if the file cannot be read, is another one, or of another model.
    """
    arrays = read_arrays(path, _LIMIT)
    embedding, its = arrays.get('embedding', np.empty(0)), str(arrays.get('model', ''))
    if embedding.dtype != np.float32 or not abs(np.linalg.norm(embedding.ravel()) - 1) < 1e-3:
        raise SourceError(f'{path} is no file of persontrack embed, or damaged')
    if not dimension:
        raise SourceError(f'{path} needs embeddings: a reid.model, and images')
    if its != Path(model).stem or embedding.shape != (dimension,):
        raise SourceError(
            f'{path} has {embedding.size} numbers of the model {its}, but reid.model {model} '
            f'gives {dimension}: make the file with this one'
        )
    return embedding


def most_similar(
    wanted: Embeddings, embeddings: Mapping[int, Embeddings], limit: float
) -> Optional[int]:
    """
    Return the id of the person with an embedding; None for no person, or where it may be two.

    :param wanted: shape ``(D,)``.
    :param embeddings: the same of persons, by id.
    :param limit: see :func:`same_person`.
    """
    # Those of a loaded state may be of another model.
    same = {id_: each for id_, each in embeddings.items() if each.shape == wanted.shape}
    distances = {id_: 1 - float(each @ wanted) for id_, each in same.items()}
    best, second, *_ = [*sorted(distances.values()), np.inf, np.inf]
    if best > limit or second - best < MARGIN * limit:
        return None
    return min(distances, key=distances.__getitem__)
