"""Embeddings of persons; the cosine distance of two is ``1 - a @ b``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
