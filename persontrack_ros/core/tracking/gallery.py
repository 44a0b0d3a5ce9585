"""
The persons that the cameras of one process know by their embeddings, and their ids.

A person gets an id when they are first published: 1, 2, 3, ... in the order of appearance. Several
cameras can share a gallery.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.tracking.appearance import SAME_PERSON, Embeddings, normalise

# Views of a person that are kept.
MAX_VIEWS = 8

# A view is the mean of all its embeddings, and later of about this number of new ones.
MEMORY = 20


@dataclass
class Views:
    """
    The appearance of a person from several sides.

    :ivar means: mean embedding of each view, of length 1, shape ``(N, D)``.
    :ivar counts: number of embeddings in each view, shape ``(N,)``.
    """

    means: Embeddings
    counts: NDArray[np.int64]

    def seen(self, embedding: Embeddings, same: float) -> Views:
        """Return the views with another embedding ``(D,)``; it joins a view within a distance."""
        distance = 1 - self.means @ embedding
        nearest = int(distance.argmin())
        means, counts = self.means.copy(), self.counts.copy()
        if distance[nearest] <= same:
            means[nearest] = normalise((means[nearest] * counts[nearest] + embedding)[None])[0]
            counts[nearest] = min(counts[nearest] + 1, MEMORY)
            return Views(means, counts)
        means, counts = np.concatenate([means, embedding[None]]), np.append(counts, 1)
        if len(means) <= MAX_VIEWS:
            return Views(means, counts)
        # Merge the two most similar ones.
        alike = np.triu(means @ means.T - 2, 1)
        one, other = np.unravel_index(alike.argmax(), alike.shape)
        weights = counts[[one, other]]
        means[one] = normalise((weights @ means[[one, other]])[None].astype(np.float32))[0]
        counts[one] = min(int(weights.sum()), MEMORY)
        return Views(np.delete(means, other, 0), np.delete(counts, other))

    def distance(self, embedding: Embeddings) -> float:
        """Return the cosine distance of an embedding ``(D,)`` to the nearest view."""
        if self.means.shape[1] != len(embedding):
            # Of another model, or without a model.
            return math.inf
        return float((1 - self.means @ embedding).min())


@dataclass
class Person:
    """
    A person in the gallery.

    :ivar cameras: the cameras that detected the person.
    :ivar views: None without a clear embedding.
    :ivar seen_at: stamp of the newest image with the person, in nanoseconds.
    """

    cameras: set[Camera] = field(default_factory=set)
    views: Optional[Views] = None
    seen_at: int = 0

    def distance(self, embedding: Embeddings) -> float:
        """Return the distance of an embedding ``(D,)`` to the nearest view."""
        return self.views.distance(embedding) if self.views else math.inf


class Gallery:
    """
    The persons that the cameras of one process know; thread-safe with its lock.

    :ivar persons: persons by id; the one seen last comes last.
    :ivar numbering: a random number, renewed when ids start at 1: within one numbering, an id
        means one person.
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
        Return the ids in this gallery of the persons in a state.

        An id of the state that was given meanwhile, in another numbering, may mean another
        person. The person in the state then gets a new id, the same in all states of that
        numbering.

        :param numbering: numbering of the state.
        :param next_id: next id of the state.
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
        Join a gallery.

        :param same_person: largest cosine distance of two embeddings of one person.
        """
        self.gallery = gallery
        self.same_person = same_person
        # Number of resets: a tracker from before a reset no longer changes the gallery.
        self.era = 0

    def known(self, since: int) -> list[int]:
        """Return the ids of persons who can be re-identified, of this camera and seen since."""
        with self.gallery.lock:
            return [
                id_
                for id_, person in self.gallery.persons.items()
                if self in person.cameras and person.views and person.seen_at >= since
            ]

    def forget(self) -> None:
        """Forget persons known to this camera alone; without persons, ids start at 1 again."""
        with self.gallery.lock:
            self.era += 1
            persons = self.gallery.persons
            for id_ in list(persons):
                persons[id_].cameras.discard(self)
                if not persons[id_].cameras:
                    del persons[id_]
            if not persons:
                self.gallery.start_anew()
