"""Appearance of tracks: galleries of embeddings, and distances of detections to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray

Embeddings = NDArray[np.float32]

# Computes the L2-normalised embeddings (K, D) of the detections with the K given indices.
Embed = Callable[[NDArray[np.intp]], Embeddings]

# Largest cosine distance of two embeddings of one person, with the models of the Open Model Zoo.
SAME_PERSON = 0.45

_TINY = np.finfo(np.float32).tiny


def normalise(embeddings: Embeddings) -> Embeddings:
    """Scale vectors ``(N, D)`` to length 1; a zero vector stays zero."""
    norm = np.sqrt(np.einsum('ij,ij->i', embeddings, embeddings))[:, None]
    return embeddings / np.maximum(norm, _TINY)


def known(embeddings: Embeddings) -> NDArray[np.bool_]:
    """Return which of the vectors ``(N, D)`` are embeddings: those that are not zero."""
    return np.asarray(embeddings.any(axis=1))


def cosine_distance(gallery: Embeddings, embeddings: Embeddings) -> FloatArray:
    """
    Compute 1 - cosine similarity of L2-normalised vectors.

    :returns: of each of the ``(N, D)`` to each of the ``(M, D)``, shape ``(N, M)``, in [0, 2].
    """
    return 1.0 - gallery @ embeddings.T


class Gallery:
    """The newest embeddings of one track, at most `budget` of them."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._embeddings: Embeddings = np.empty((0, 0), dtype=np.float32)
        self._count = 0

    def add(self, embedding: Embeddings) -> None:
        """Add one vector ``(D,)``; the oldest one leaves a full gallery."""
        if self._count == 0:
            self._embeddings = np.empty((min(self._budget, 8), len(embedding)), dtype=np.float32)
        elif self._count == len(self._embeddings) < self._budget:
            rows = min(self._budget, 2 * self._count)
            grown = np.empty((rows, self._embeddings.shape[1]), dtype=np.float32)
            grown[: self._count] = self._embeddings
            self._embeddings = grown
        # The order within a gallery means nothing, so a ring buffer never has to move a row.
        self._embeddings[self._count % self._budget] = embedding
        self._count += 1

    @classmethod
    def of(cls, budget: int, embeddings: Embeddings) -> Gallery:
        """Return a gallery of the vectors ``(N, D)``, added one after the other."""
        gallery = cls(budget)
        for embedding in embeddings:
            gallery.add(embedding)
        return gallery

    @property
    def by_age(self) -> Embeddings:
        """The stored vectors, the oldest one first, shape ``(at most budget, D)``."""
        full = self._count >= self._budget
        return np.roll(self.embeddings, -(self._count % self._budget) if full else 0, axis=0)

    @property
    def embeddings(self) -> Embeddings:
        """The stored vectors, in no particular order, shape ``(at most budget, D)``."""
        return self._embeddings[: min(self._count, self._budget)]
