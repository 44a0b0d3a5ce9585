"""Whether two pictures show the same person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.embedder import make_embedder
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.inference.sameness import sameness


@dataclass(frozen=True)
class Likeness:
    """
    How alike two pictures of persons are.

    :ivar similarity: cosine similarity of their embeddings, -1 to 1.
    :ivar limit: the similarity from which on they are taken to be of one person.
    :ivar sure: how sure that is, in words.
    """

    similarity: float
    limit: float
    sure: str

    @property
    def same(self) -> bool:
        """Whether they show the same person, by the limit of the model."""
        return self.similarity >= self.limit


def compare(image_a: BgrImage, image_b: BgrImage, settings: Settings = Settings()) -> Likeness:
    """
    Compare two pictures, each cut to one person.

    :param image_a: uint8 BGR, shape ``(height, width, 3)``.
    :param image_b: likewise, of any size.
    :raises ModelError: if the model of `reid.model` cannot be used.
    :raises SettingsError: if `reid.model` is none.
    """
    embedder = make_embedder(settings.reid, Runtime(settings.inference))
    if not embedder.dimension:
        raise SettingsError(f'reid.model {settings.reid.model} has no looks to compare by')
    one, other = (
        embedder.embed(image, np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]))[0]
        for image in (image_a, image_b)
    )
    similarity = float(one @ other)
    known = sameness(settings.reid.model)
    return Likeness(similarity, 1 - known.limit, known.sure(1 - similarity))
