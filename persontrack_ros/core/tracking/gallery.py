"""
The persons that the cameras of one process know by their embeddings, and their ids.

An id is given to a person when they are published for the first time: 1, 2, 3, ... in the order of
appearance. Several cameras can share what they know.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.tracking.appearance import SAME_PERSON, Embeddings, normalise

# Views of a person that are kept.
MAX_VIEWS = 8

# A view is the mean of all its embeddings, and of about so many new ones later.
MEMORY = 20


@dataclass
class Views:
    """
    The appearance of a person, from several sides.

    :ivar means: the views, of length 1, shape ``(N, D)``.
    :ivar counts: embeddings in each, shape ``(N,)``.
    """

    means: Embeddings
    counts: NDArray[np.int64]

    def seen(self, embedding: Embeddings, same: float) -> Views:
        """Return the views after another embedding ``(D,)``, part of a view up to a distance."""
        distance = 1 - self.means @ embedding
        nearest = int(distance.argmin())
        if distance[nearest] > same:
            means = np.concatenate([self.means, embedding[None]])
            counts = np.append(self.counts, 1)
            return Views(means, counts)._thinned()
        means, counts = self.means.copy(), self.counts.copy()
        means[nearest] = normalise((means[nearest] * counts[nearest] + embedding)[None])[0]
        counts[nearest] = min(counts[nearest] + 1, MEMORY)
        return Views(means, counts)

    def _thinned(self) -> Views:
        """Return no more views than are kept: the two that are most alike become one."""
        if len(self.means) <= MAX_VIEWS:
            return self
        alike = np.triu(self.means @ self.means.T - 2, 1)
        one, other = np.unravel_index(alike.argmax(), alike.shape)
        weights = self.counts[[one, other]]
        means, counts = self.means.copy(), self.counts.copy()
        means[one] = normalise((weights @ means[[one, other]])[None].astype(np.float32))[0]
        counts[one] = min(int(weights.sum()), MEMORY)
        return Views(np.delete(means, other, 0), np.delete(counts, other))

    def distance(self, embedding: Embeddings) -> float:
        """Return the cosine distance of an embedding ``(D,)`` to the nearest view."""
        if self.means.shape[1] != len(embedding):
            # Of another model, or of none.
            return math.inf
        return float((1 - self.means @ embedding).min())


@dataclass
class Person:
    """
    Somebody who was seen.

    :ivar cameras: those that saw them.
    :ivar views: from those that had a clear embedding of them.
    :ivar seen_at: stamp of the newest image of them, in nanoseconds.
    """

    cameras: set[Camera] = field(default_factory=set)
    views: dict[Camera, Views] = field(default_factory=dict)
    seen_at: int = 0

    def distance(self, embedding: Embeddings) -> float:
        """Return how different an embedding is, from the camera from where it is least."""
        return min((views.distance(embedding) for views in self.views.values()), default=math.inf)


class Gallery:
    """
    What the cameras of one process know of persons; for several threads.

    :ivar persons: by id; who was seen last comes last.
    :ivar numbering: a random number, new where ids start at 1: within one, an id is one person.
    """

    def __init__(self) -> None:
        """Start without persons; the first id is 1."""
        self.lock = threading.Lock()
        self.persons: dict[int, Person] = {}
        self.start_anew()

    def start_anew(self) -> None:
        """Let ids start at 1."""
        self.next_id = 1
        self.numbering = secrets.randbits(62)
        self._loaded: dict[tuple[int, int], int] = {}

    def ids_of(self, numbering: int, ids: Sequence[int], next_id: int) -> dict[int, int]:
        """
        Return the ids here of persons in a state.

        An id that was given here meanwhile, in another numbering, may be another person: the
        person in the state gets a new one, which is the same in all states of that numbering.

        :param numbering: of the state.
        :param next_id: of the state.
        """
        free = self.next_id
        self.next_id = max(free, next_id)
        if numbering == self.numbering:
            return {id_: id_ for id_ in ids}
        for id_ in ids:
            if (numbering, id_) not in self._loaded:
                self._loaded[numbering, id_] = id_ if id_ >= free else self.next_id
                self.next_id += id_ < free
        return {id_: self._loaded[numbering, id_] for id_ in ids}


class Camera:
    """One of the cameras that share a gallery."""

    def __init__(self, gallery: Gallery, same_person: float = SAME_PERSON) -> None:
        """
        Take part.

        :param same_person: cosine distance up to which two embeddings are of one person.
        """
        self.gallery = gallery
        self.same_person = same_person
        # Counts how often all was forgotten: a tracker from before knows nothing any more.
        self.era = 0

    def forget(self) -> None:
        """Forget what only this camera knows; where nobody is left, ids start at 1 again."""
        with self.gallery.lock:
            self.era += 1
            persons = self.gallery.persons
            for id_ in list(persons):
                persons[id_].cameras.discard(self)
                persons[id_].views.pop(self, None)
                if not persons[id_].cameras:
                    del persons[id_]
            if not persons:
                self.gallery.start_anew()
