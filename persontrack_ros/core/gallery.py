"""
Persons whom several cameras see: one id for each, by their looks.

Each camera has a tracker with ids of its own, which are right about who is who in its images. The
gallery gives them the ids that are published. It decides when a track is published for the first
time, and never again: the id of a track does not change.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from persontrack_ros.core.tracking.appearance import Embeddings
from persontrack_ros.core.tracking.appearance import cosine_distance
from persontrack_ros.core.tracking.appearance import normalise
from persontrack_ros.core.tracking.association import associate
from persontrack_ros.core.tracking.track import Track

# Persons who are remembered; those who were seen last.
MAX_PERSONS = 1000

# Weight of the past in the looks of a track, at each look.
MEMORY = 0.9

MAX_DISTANCE = 0.3


class SharedGallery:
    """What the cameras of a process know of persons; several threads may use it."""

    def __init__(self) -> None:
        """Start without persons; the first id is 1."""
        self.lock = threading.Lock()
        # Looks of each person in each camera; who was seen last comes last.
        self.persons: dict[int, dict[CameraGallery, Embeddings]] = {}
        self.next_id = 1

    def camera(self) -> CameraGallery:
        """Return the part of one more camera."""
        return CameraGallery(self)


class CameraGallery:
    """
    The ids of the tracks of one camera.

    Nobody else has an id that one of its tracks has, be it visible or lost; and a person has the
    id that they had in another camera, or earlier in this one, if the looks are the same.
    """

    def __init__(self, gallery: SharedGallery) -> None:
        """Start without tracks."""
        self._gallery = gallery
        self._ids: dict[int, int] = {}
        self._looks: dict[int, Embeddings] = {}

    def identify(
        self, visible: Sequence[Track], alive: Sequence[Track], looks: Mapping[int, Embeddings]
    ) -> list[Track]:
        """
        Return the visible tracks with the ids of the gallery.

        :param visible: the tracks to be published.
        :param alive: all tracks of the tracker, also tentative and lost ones.
        :param looks: embedding ``(D,)`` by index of the detection, where it was computed.
        """
        self._remember(alive, looks)
        with self._gallery.lock:
            self._decide([track.id for track in visible if track.id not in self._ids])
            for track in visible:
                id_ = self._ids[track.id]
                person = self._gallery.persons.pop(id_, {})
                if track.id in self._looks:
                    person[self] = self._looks[track.id]
                self._gallery.persons[id_] = person
            while len(self._gallery.persons) > MAX_PERSONS:
                del self._gallery.persons[next(iter(self._gallery.persons))]
        return [dataclasses.replace(track, id=self._ids[track.id]) for track in visible]

    def reset(self) -> None:
        """Forget the tracks, and what only this camera knows of persons."""
        self._ids.clear()
        self._looks.clear()
        with self._gallery.lock:
            persons = self._gallery.persons
            for id_ in list(persons):
                persons[id_].pop(self, None)
                if not persons[id_]:
                    del persons[id_]
            if not persons:
                self._gallery.next_id = 1

    def _remember(self, alive: Sequence[Track], looks: Mapping[int, Embeddings]) -> None:
        """Take the new looks of the tracks, and forget the tracks that have ended."""
        ids = {track.id for track in alive}
        self._ids = {local: id_ for local, id_ in self._ids.items() if local in ids}
        self._looks = {local: look for local, look in self._looks.items() if local in ids}
        for track in alive:
            look = None if track.detection is None else looks.get(track.detection)
            if look is not None and look.any():
                past = self._looks.get(track.id, look)
                (self._looks[track.id],) = normalise((MEMORY * past + (1 - MEMORY) * look)[None])

    def _decide(self, tracks: Sequence[int]) -> None:
        """Give new tracks the ids of persons who look like them, or new ones."""
        taken = set(self._ids.values())
        free = [id_ for id_ in self._gallery.persons if id_ not in taken]
        familiar = [local for local in tracks if local in self._looks]
        distance = np.array(
            [[self._distance(local, id_) for id_ in free] for local in familiar]
        ).reshape(len(familiar), len(free))
        pairs = associate(distance, MAX_DISTANCE, np.arange(len(familiar)), np.arange(len(free)))
        for row, column in zip(pairs.tracks, pairs.detections):
            self._ids[familiar[row]] = free[column]
        for local in tracks:
            if local not in self._ids:
                self._ids[local] = self._gallery.next_id
                self._gallery.next_id += 1

    def _distance(self, local: int, id_: int) -> float:
        """Return how different a track looks from a person, in the camera where it is least."""
        looks = list(self._gallery.persons[id_].values())
        if not looks:
            return np.inf
        return float(cosine_distance(np.array(looks), self._looks[local][None]).min())
