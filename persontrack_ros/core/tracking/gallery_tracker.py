"""
Published ids, and re-identification of persons by their embeddings.

A tracker has internal ids for its tracks. Here a track gets a public id when it is first
published: a new one or, with `tracker.remember`, the id that the person had before they left. This
decision is final: the id of a track never changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.geometry import FloatArray, coverage
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed, Embeddings, known, normalise
from persontrack_ros.core.tracking.association import IndexArray, associate
from persontrack_ros.core.tracking.gallery import MAX_VIEWS, MEMORY, Camera, Person, Views
from persontrack_ros.core.tracking.leaving import at_border
from persontrack_ros.core.tracking.persistent import Persistent
from persontrack_ros.core.tracking.table import checked
from persontrack_ros.core.tracking.track import Track

# A re-identified person must be nearer than every other known person by this part of the
# threshold.
MARGIN = 0.1

# An embedding is clear if other boxes cover less than this part of the box, and the box is within
# the image: half a person resembles many.
CLEAR_COVERAGE = 0.15

# A new track that may be a known person is published after this number of clear embeddings, or
# after this time in seconds in any case: the first embedding is often of a person half in view.
ENOUGH_EMBEDDINGS = 3
ENOUGH_TIME = 0.25
LONGEST_TIME = 1.0

# Time between clear embeddings of a track, in seconds, when there are enough.
EMBED_PERIOD = 1.0

# Embeddings within this part of the threshold belong to one view.
VIEW_DISTANCE = 0.45

# Up to this multiple of the threshold, it is in doubt whether two embeddings are of one person;
# beyond it, a track has switched to another person.
DOUBT = 4 / 3

# Largest number of persons in the gallery; those seen last stay.
MAX_PERSONS = 300


@dataclass
class _Evidence:
    """
    The embeddings of a track so far.

    :ivar since: stamp of the first image in which the track was visible.
    :ivar clear: clear embeddings; for a track with an id, only those since it was last near
        another person, hidden or at the border, where it may switch to another person.
    :ivar other: other embeddings, of a track without an id.
    :ivar embedded_at: stamp of the last clear embedding.
    """

    since: int
    clear: list[Embeddings] = field(default_factory=list)
    other: list[Embeddings] = field(default_factory=list)
    embedded_at: int = 0

    @property
    def embedding(self) -> Optional[Embeddings]:
        """The normalised mean of the clear embeddings, or of the others; shape ``(D,)``."""
        embeddings = self.clear or self.other
        return normalise(np.sum(embeddings, axis=0, keepdims=True))[0] if embeddings else None

    def is_known(self, distances: Sequence[float], limit: float, stamp: int) -> bool:
        """
        Return whether there are enough embeddings to identify the person.

        :param distances: distances to the persons who may have returned.
        :param limit: largest distance of one person.
        """
        waited = (stamp - self.since) / SECOND
        enough = len(self.clear) >= ENOUGH_EMBEDDINGS and waited >= ENOUGH_TIME
        in_doubt = limit < min(distances, default=math.inf) < DOUBT * limit
        return (enough and not in_doubt) or waited >= LONGEST_TIME


class GalleryTracker(Persistent):
    """
    The tracker `persistent`, whose tracks get ids when they are first published.

    No two tracks of it have the same id, be they visible or lost.
    """

    def __init__(self, settings: TrackerSettings, camera: Camera) -> None:
        """Start without tracks; they get ids of the gallery of the camera."""
        self._camera = camera
        self._era = camera.era
        self._ids: dict[int, int] = {}
        self._evidence: dict[int, _Evidence] = {}
        super().__init__(settings)

    @property
    def next_id(self) -> int:
        """The id that the next new person gets."""
        return self._camera.gallery.next_id

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """Advance to the next frame, see :meth:`Persistent.update`."""
        embeddings: dict[int, Embeddings] = {}

        def embed_and_keep(indices: IndexArray) -> Embeddings:
            vectors = embed(indices)
            embeddings.update(zip(indices[known(vectors)].tolist(), vectors[known(vectors)]))
            return vectors

        visible = super().update(detections, embed_and_keep, stamp, motion)
        alive = set(self._table.ids.tolist())
        self._ids = {local: id_ for local, id_ in self._ids.items() if local in alive}
        embedded: set[int] = set()
        if self.settings.remember > 0:
            embedded = self._collect(visible, detections, embed_and_keep, embeddings, stamp)
        with self._camera.gallery.lock:
            if self._era == self._camera.era:
                self._decide([each for each in visible if each.id not in self._ids], stamp)
                if self.settings.remember > 0:
                    self._remember(visible, embedded, stamp)
        return self._renamed(visible)

    def reset(self, first_id: int = 1) -> None:
        """
        Forget all tracks.

        :param first_id: id of the next new person; 1 also forgets the persons that only this
            camera knows, and ids start at 1 if no person is left.
        """
        self._clear()
        self._ids, self._evidence = {}, {}
        if first_id == 1:
            self._camera.forget()
        with self._camera.gallery.lock:
            self._camera.gallery.next_id = max(self._camera.gallery.next_id, first_id)
        self._era = self._camera.era

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state of the tracker, the ids of its tracks and the gallery."""
        gallery = self._camera.gallery
        with gallery.lock:
            numbers = [gallery.next_id, gallery.numbering]
            persons = [(id_, each.seen_at, each.views) for id_, each in gallery.persons.items()]
        all_views = [views for *_, views in persons if views]
        width = all_views[-1].means.shape[1] if all_views else 0
        means = np.zeros((len(persons), MAX_VIEWS, width), dtype=np.float32)
        counts = np.zeros((len(persons), MAX_VIEWS), dtype=np.int64)
        for row, (*_, views) in enumerate(persons):
            # Views of other models than the newest cannot be compared with it.
            if views and views.means.shape[1] == width:
                means[row, : len(views.means)] = views.means
                counts[row, : len(views.means)] = views.counts
        rows = [(id_, seen_at) for id_, seen_at, _ in persons]
        return {
            **super().state(),
            'gallery_ids': np.array([*self._ids.items()], dtype=np.int64).reshape(-1, 2),
            'gallery_numbers': np.array(numbers, dtype=np.int64),
            'gallery_persons': np.array(rows, dtype=np.int64).reshape(-1, 2),
            'gallery_views': means,
            'gallery_counts': counts,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """
        Continue from what :meth:`state` returned, see :meth:`Persistent.restore`.

        Persons known to other cameras keep their views; :meth:`Gallery.ids_of` decides on new ids.
        """
        pairs = checked(state, 'gallery_ids', np.int64, (None, 2)).tolist()
        next_id, numbering = checked(state, 'gallery_numbers', np.int64, (2,)).tolist()
        persons = checked(state, 'gallery_persons', np.int64, (None, 2)).tolist()
        counts = checked(state, 'gallery_counts', np.int64, (len(persons), MAX_VIEWS))
        means = checked(state, 'gallery_views', np.float32, (*counts.shape, None))
        super().restore(state)
        self._camera.forget()
        self._era = self._camera.era
        gallery = self._camera.gallery
        with gallery.lock:
            known_ = sorted({id_ for _, id_ in pairs} | {id_ for id_, _ in persons})
            ids = gallery.ids_of(numbering, known_, next_id)
            for (id_, seen_at), mean, count in zip(persons, means, counts):
                person = gallery.persons.setdefault(ids[id_], Person(seen_at=seen_at))
                if count.any() and not person.cameras:
                    person.views = Views(mean[count > 0], count[count > 0])
                person.cameras.add(self._camera)
        self._ids, self._evidence = {local: ids[id_] for local, id_ in pairs}, {}

    def _collect(
        self,
        visible: Sequence[Track],
        detections: Detections,
        embed: Embed,
        embeddings: Mapping[int, Embeddings],
        stamp: int,
    ) -> set[int]:
        """
        Collect embeddings of the visible tracks; compute those that are missing.

        :param embed: adds to `embeddings`.
        :param embeddings: embeddings of detections, by index.
        :returns: the tracks with a new clear embedding.
        """
        unhindered = clear(detections)
        self._evidence = {
            track.id: self._evidence.get(track.id) or _Evidence(stamp) for track in visible
        }
        wanted = []
        for track in visible:
            if track.detection is None or track.detection in embeddings:
                continue
            evidence = self._evidence[track.id]
            late = stamp - evidence.embedded_at >= EMBED_PERIOD * SECOND
            due = late or len(evidence.clear) < ENOUGH_EMBEDDINGS
            if track.id not in self._ids or (due and unhindered[track.detection]):
                wanted.append(track.detection)
        if wanted:
            embed(np.array(wanted, dtype=np.intp))
        embedded = set()
        for track in visible:
            evidence, index = self._evidence[track.id], track.detection
            embedding = None if index is None else embeddings.get(index)
            if index is not None and unhindered[index]:
                if embedding is not None:
                    evidence.clear = [*evidence.clear, embedding][-MEMORY:]
                    evidence.embedded_at = stamp
                    embedded.add(track.id)
            elif track.id in self._ids:
                evidence.clear = []
            elif embedding is not None:
                evidence.other.append(embedding)
        return embedded

    def _decide(self, tracks: Sequence[Track], stamp: int) -> None:
        """Give new tracks the ids of similar persons, or new ids."""
        gallery, same_person = self._camera.gallery, self._camera.same_person
        taken = set(self._ids.values())
        oldest = stamp - self.settings.remember * SECOND
        free = [
            id_
            for id_, person in gallery.persons.items()
            if id_ not in taken and person.seen_at >= oldest
        ]
        ready: list[int] = []
        rows: dict[int, list[float]] = {}
        for track in tracks:
            evidence = self._evidence.get(track.id) or _Evidence(stamp)
            embedding = evidence.embedding if free else None
            row = []
            if embedding is not None:
                row = [gallery.persons[id_].distance(embedding) for id_ in free]
            if not free or evidence.is_known(row, same_person, stamp):
                ready.append(track.id)
                if row:
                    rows[track.id] = row
        distance = np.array([*rows.values()]).reshape(len(rows), len(free))
        if len(free) > 1:
            second = np.partition(distance, 1, axis=1)[:, 1:2]
            distance[distance > second - MARGIN * same_person] = np.inf
        pairs = associate(distance, same_person, np.array([*rows]), np.array(free))
        self._ids |= zip(pairs.tracks.tolist(), pairs.detections.tolist())
        for local in ready:
            if local not in self._ids:
                self._ids[local] = gallery.next_id
                gallery.next_id += 1

    def _remember(self, visible: Sequence[Track], embedded: set[int], stamp: int) -> None:
        """Update the persons in the gallery, with embeddings once they are certain."""
        persons = self._camera.gallery.persons
        for track in visible:
            if track.id not in self._ids:
                continue
            person = persons.pop(self._ids[track.id], None) or Person()
            person.cameras.add(self._camera)
            person.seen_at = stamp
            clear = self._evidence[track.id].clear if track.id in embedded else ()
            # Embeddings wait until the track has certainly not switched to another person.
            for embedding in clear[-1:] if len(clear) > ENOUGH_EMBEDDINGS else clear:
                if len(clear) >= ENOUGH_EMBEDDINGS or not person.views:
                    self._add(person, embedding)
            persons[self._ids[track.id]] = person
        for id_ in list(persons)[: max(0, len(persons) - MAX_PERSONS)]:
            del persons[id_]

    def _add(self, person: Person, embedding: Embeddings) -> None:
        limit = self._camera.same_person
        if person.views is None or person.views.means.shape[1] != len(embedding):
            person.views = Views(embedding[None], np.ones(1, dtype=np.int64))
        elif person.views.distance(embedding) <= DOUBT * limit:
            person.views = person.views.seen(embedding, VIEW_DISTANCE * limit)

    def _renamed(self, tracks: Sequence[Track]) -> list[Track]:
        """Return the tracks that have an id, in the order of the ids."""
        renamed = [
            track._replace(id=self._ids[track.id]) for track in tracks if track.id in self._ids
        ]
        return sorted(renamed, key=lambda track: track.id)

    @property
    def tracks(self) -> list[Track]:
        """All tracks that have an id, also invisible ones."""
        return self._renamed(super().tracks)

    @property
    def embeddings(self) -> dict[int, Embeddings]:
        """The embedding ``(D,)`` of each track that has one and an id, by id."""
        return {
            self._ids[local]: embedding
            for local, embedding in super().embeddings.items()
            if local in self._ids
        }


def clear(detections: Detections) -> NDArray[np.bool_]:
    """Return which detections are neither covered by others nor cut off by the border."""
    boxes = detections.boxes
    if not len(boxes):
        return np.zeros(0, dtype=bool)
    covered = coverage(boxes, boxes)
    np.fill_diagonal(covered, 0.0)
    alone = covered.max(axis=1) <= CLEAR_COVERAGE
    if detections.image_size is not None:
        near, far = at_border(boxes, detections.image_size)
        alone &= ~(near | far).any(axis=1)
    return np.asarray(alone)
