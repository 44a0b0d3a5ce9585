"""
Tracking of a whole video.

The tracks of an online tracker are cut where the appearance changes or the person was lost for
long, and joined again by appearance and motion. Tracks of false detections are removed; the others
are smoothed, which also fills gaps. docs/tracking.md has the gain of each step.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Optional

import numpy as np

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.config.settings import Settings, TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed
from persontrack_ros.core.tracking.parts import Hit, Part, as_tracks, cut, is_person, join
from persontrack_ros.core.tracking.track import Track, TrackState
from persontrack_ros.core.tracking.tracker import make_bare_tracker

# Longer times between two images are clipped, to keep the smoother's arithmetic exact.
LONGEST_STEP = 3600.0


def make_offline_tracker(settings: Settings) -> OfflineTracker:
    """Return the tracker for a video."""
    return OfflineTracker(settings.tracker)


class OfflineTracker:
    """
    Collects a video as an online tracker, see :class:`Persistent`, and then revises the tracks.

    All detections are embedded; embeddings are kept until the track ends. There is no state to
    store: the state would be the video.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        """Start without tracks, with the online tracker of the settings."""
        self.settings = dataclasses.replace(settings, refresh_time=0.0)
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """
        Forget the video; with another first id, only end all tracks, as at a jump of time.

        :param first_id: of the next new person of the online tracker.
        """
        self._stamp: Optional[int] = None
        if first_id == 1:
            self._forget()
        else:
            self._online.reset(first_id)

    def _forget(self) -> None:
        self._online = make_bare_tracker(self.settings)
        self._times: list[float] = []
        self._size: Optional[tuple[int, int]] = None
        # By track: detections of current tracks, and parts of ended ones.
        self._hits: dict[int, list[Hit]] = defaultdict(list)
        self._parts: dict[int, list[Part]] = {}
        self._confirmed: set[int] = set()
        # The image that each frame shows, and the first images of new scenes.
        self._shown: list[int] = []
        self._cuts: list[int] = []
        # Whether persons were searched in each image.
        self._searched: list[bool] = []

    @property
    def next_id(self) -> int:
        """The id that the next new person of the online tracker gets."""
        return self._online.next_id

    @property
    def tracks(self) -> list[Track]:
        """The tracks of the online tracker."""
        return self._online.tracks

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """
        Advance to the next frame; return the tracks of the online tracker.

        :raises SourceError: if the size of the images changes.
        """
        if self._size not in (None, detections.image_size):
            raise SourceError('offline, all images must have the same size')
        self._size = detections.image_size
        embeddings = embed(np.arange(len(detections)))
        visible = self._online.update(detections, embeddings.__getitem__, stamp, motion)
        frame = self._add(stamp, True)
        tracks = self._online.tracks
        for track in tracks:
            row = track.detection
            if row is not None:
                score = float(detections.scores[row])
                # Not a view, which would keep all embeddings in memory.
                box, embedding = detections.boxes[row].copy(), embeddings[row].copy()
                self._hits[track.id].append(Hit(frame, box, score, row, embedding))
            if track.state == TrackState.CONFIRMED:
                self._confirmed.add(track.id)
        for id_ in self._hits.keys() - {track.id for track in tracks}:
            self._end(id_)
        return visible

    def skip(self, stamp: int) -> None:
        """Add an image in which persons are not searched."""
        self._add(stamp, False)

    def _add(self, stamp: int, searched: bool) -> int:
        """Return the index of a new image."""
        # After a jump of time, the elapsed time is unknown.
        elapsed = LONGEST_STEP if self._stamp is None else (stamp - self._stamp) / 1e9
        self._stamp = stamp
        step = min(max(0.0, elapsed), LONGEST_STEP)
        self._shown.append(len(self._times))
        self._times.append(self._times[-1] + step if self._times else 0.0)
        self._searched.append(searched)
        return self._shown[-1]

    def _end(self, id_: int) -> None:
        self._parts[id_] = cut(self._hits.pop(id_), id_ in self._confirmed, self._cuts)

    def repeat(self) -> None:
        """Add a copy of the last image: it has the same tracks."""
        self._shown.append(len(self._times) - 1)

    def cut(self) -> None:
        """Record that the next image begins a new scene."""
        self._cuts.append(len(self._times))

    def finish(self) -> list[list[Track]]:
        """Return the revised tracks of each image; ids count from 1 in the order of appearance."""
        times, cuts = np.array(self._times), np.array(self._cuts, dtype=np.intp)
        for id_ in list(self._hits):
            self._end(id_)
        parts = [part for _, parts in sorted(self._parts.items()) for part in parts]
        parts = join(parts, times, self.settings, self._size)
        searched = np.array(self._searched)
        persons = [part for part in parts if is_person(part, times, cuts, searched)]
        persons.sort(key=lambda part: int(part.frames[0]))
        images: list[list[Track]] = [[] for _ in times]
        for id_, part in enumerate(persons, 1):
            for frame, track in as_tracks(part, times, cuts, id_):
                images[frame].append(track)
        return [images[frame] for frame in self._shown]
