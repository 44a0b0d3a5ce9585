"""
Persons whom several cameras see: one id for each, by their looks.

Each camera has a tracker with ids of its own, which are right about who is who in its images. Here
they become ids that all cameras share. What is decided when a track is shown for the first time
holds for as long as the track lives: its id does not change.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.detections import Detections
from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed
from persontrack_ros.core.tracking.appearance import Embeddings
from persontrack_ros.core.tracking.appearance import cosine_distance
from persontrack_ros.core.tracking.appearance import known
from persontrack_ros.core.tracking.association import IndexArray
from persontrack_ros.core.tracking.association import associate
from persontrack_ros.core.tracking.stored import MOST
from persontrack_ros.core.tracking.stored import checked
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.tracker import Tracker
from persontrack_ros.core.tracking.tracker import make_tracker
from persontrack_ros.core.tracking.undo import undone_by_errors

# Cosine distance up to which a new track is a person who was seen before. Of two cameras that saw
# the same ten persons, mirrored, smaller and darker, in vtest.avi: no two persons of 1268 pairs
# were nearer (but for one track that mixed two up), and a third of the views of the same person.
MAX_DISTANCE = 0.35

# Persons who are remembered; those who were seen last.
MAX_PERSONS = 1000

# The looks of a track are the mean of all, and of about so many new ones later.
MEMORY = 10


class Gallery:
    """What the cameras of one process know of persons; for several threads."""

    def __init__(self) -> None:
        """Start without persons; the first id is 1."""
        self.lock = threading.Lock()
        self.next_id = 1
        # Looks of each person in each camera; who was seen last comes last.
        self.persons: dict[int, dict[Camera, Embeddings]] = {}


class Camera:
    """One of the cameras that share a gallery."""

    def __init__(self, gallery: Gallery) -> None:
        """Take part."""
        self.gallery = gallery
        # Counts how often all was forgotten: a tracker from before knows nothing any more.
        self.era = 0

    def make_tracker(self, settings: TrackerSettings) -> Tracker:
        """Return a tracker of the kind that the settings name, with ids of the gallery."""
        return GalleryTracker(make_tracker(settings), self)

    def forget(self) -> None:
        """Forget what only this camera knows; where nobody is left, ids start at 1 again."""
        with self.gallery.lock:
            self.era += 1
            persons = self.gallery.persons
            for id_ in list(persons):
                persons[id_].pop(self, None)
                if not persons[id_]:
                    del persons[id_]
            if not persons:
                self.gallery.next_id = 1


class GalleryTracker:
    """
    Another tracker, whose ids become those of a gallery.

    No two tracks of it have the same id, be they visible or lost. A person who has been seen
    before, by any camera, has the id from then if the looks are the same.
    """

    def __init__(self, tracker: Tracker, camera: Camera) -> None:
        """Give the tracks of `tracker` other ids."""
        self._tracker = tracker
        self._camera = camera
        self._era = camera.era
        self._ids: dict[int, int] = {}
        self._looks: dict[int, tuple[Embeddings, int]] = {}

    @property
    def settings(self) -> TrackerSettings:
        """See :class:`Tracker`."""
        return self._tracker.settings

    @settings.setter
    def settings(self, settings: TrackerSettings) -> None:
        self._tracker.settings = settings

    @property
    def next_id(self) -> int:
        """The id that the next new track gets before it gets one of the gallery."""
        return self._tracker.next_id

    @next_id.setter
    def next_id(self, next_id: int) -> None:
        self._tracker.next_id = next_id

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """Advance to the next image, see :meth:`Tracker.update`."""
        looks: dict[int, Embeddings] = {}

        def embed_and_keep(indices: IndexArray) -> Embeddings:
            vectors = embed(indices)
            looks.update(zip(indices[known(vectors)].tolist(), vectors[known(vectors)]))
            return vectors

        with undone_by_errors(self, self._tracker):
            visible = self._tracker.update(detections, embed_and_keep, stamp, motion)
            self._remember(looks)
            with self._camera.gallery.lock:
                if self._era == self._camera.era:
                    self._decide([track.id for track in visible if track.id not in self._ids])
                    self._tell(visible)
            return self._renamed(visible)

    def reset(self, first_id: int = 1) -> None:
        """
        Forget all tracks.

        :param first_id: 1 forgets all that this camera knows of persons, too.
        """
        self._tracker.reset(first_id)
        self._ids.clear()
        self._looks.clear()
        if first_id == 1:
            self._camera.forget()
        self._era = self._camera.era

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the tracker knows, and which ids its tracks have; see `Tracker`."""
        pairs = np.array(list(self._ids.items()), dtype=np.int64).reshape(-1, 2)
        return {**self._tracker.state(), 'gallery_ids': pairs}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what :meth:`state` returned, see :meth:`Tracker.restore`."""
        pairs = checked(state, 'gallery_ids', np.int64, (None, 2), 1, MOST)
        if any(len(set(column)) < len(pairs) for column in pairs.T.tolist()):
            raise ValueError('gallery_ids has two tracks of the same id')
        self._tracker.restore(state)
        self._ids = dict(pairs.tolist())
        self._looks.clear()
        with self._camera.gallery.lock:
            gallery = self._camera.gallery
            gallery.next_id = max([gallery.next_id, *(id_ + 1 for id_ in self._ids.values())])

    @property
    def tracks(self) -> list[Track]:
        """All tracks that have an id of the gallery, also invisible ones."""
        return self._renamed(self._tracker.tracks)

    def _renamed(self, tracks: Sequence[Track]) -> list[Track]:
        return [
            track._replace(id=self._ids[track.id]) for track in tracks if track.id in self._ids
        ]

    def _remember(self, looks: Mapping[int, Embeddings]) -> None:
        """Take what was seen of the tracks, and forget those that have ended."""
        alive = self._tracker.tracks
        ids = {track.id for track in alive}
        self._ids = {local: id_ for local, id_ in self._ids.items() if local in ids}
        self._looks = {local: mean for local, mean in self._looks.items() if local in ids}
        for track in alive:
            look = None if track.detection is None else looks.get(track.detection)
            if look is not None:
                mean, count = self._looks.get(track.id, (look, 0))
                count = min(count + 1, MEMORY)
                mean = mean + (look - mean) * np.float32(1 / count)
                self._looks[track.id] = mean, count

    def _decide(self, tracks: Sequence[int]) -> None:
        """Give new tracks the ids of persons who look like them, or new ones."""
        gallery = self._camera.gallery
        taken = set(self._ids.values())
        free = [id_ for id_ in gallery.persons if id_ not in taken]
        seen = [local for local in tracks if local in self._looks]
        distance = [
            [self._distance(local, gallery.persons[id_]) for id_ in free] for local in seen
        ]
        pairs = associate(
            np.array(distance).reshape(len(seen), len(free)),
            MAX_DISTANCE,
            np.arange(len(seen)),
            np.arange(len(free)),
        )
        for row, column in zip(pairs.tracks.tolist(), pairs.detections.tolist()):
            self._ids[seen[row]] = free[column]
        for local in tracks:
            if local not in self._ids:
                self._ids[local] = gallery.next_id
                gallery.next_id += 1

    def _distance(self, local: int, looks: Mapping[Camera, Embeddings]) -> float:
        """Return how different a track looks from a person, in the camera where it is least."""
        mean, _ = self._looks[local]
        vectors = np.array(list(looks.values()))
        if vectors.shape[1:] != mean.shape:
            # Of another model, or of none.
            return np.inf
        return float(cosine_distance(vectors, mean[None] / np.linalg.norm(mean)).min())

    def _tell(self, visible: Sequence[Track]) -> None:
        """Let the other cameras know who was seen."""
        persons = self._camera.gallery.persons
        for track in visible:
            person = persons.pop(self._ids[track.id], {})
            if track.id in self._looks:
                mean, _ = self._looks[track.id]
                person[self._camera] = mean / np.linalg.norm(mean)
            persons[self._ids[track.id]] = person
        for id_ in list(persons)[: max(0, len(persons) - MAX_PERSONS)]:
            del persons[id_]
