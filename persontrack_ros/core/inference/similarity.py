"""The similarity of two pictures of persons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.embedder import COLOR, make_embedder
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.tracking.appearance import SAME_PERSON


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
    embedder = make_embedder(settings.reid, Runtime(settings.inference))
    if not embedder.dimension:
        raise SettingsError(
            f'reid.model {settings.reid.model} computes no embeddings to compare: choose another'
        )
    one, other = (
        embedder.embed(image, np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]))[0]
        for image in (image_a, image_b)
    )
    return Similarity(float(one @ other), 1 - same_person(settings.reid.model))
