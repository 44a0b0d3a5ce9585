"""Keeping to one person: who is the target, whether they are seen, and which way they walk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.parameters.node_options import NEAREST
from persontrack_ros.core.timeline import SECOND
from persontrack_ros.core.tracking.track import Track

# In metres per second: who is slower stands, and turns on the spot for all that can be measured.
WALKING = 0.3


class Sight(Enum):
    """How much is known of where the target is now."""

    SEEN = 'seen'
    PREDICTED = 'predicted'
    LOST = 'lost'


@dataclass(frozen=True)
class Target:
    """
    Who is followed.

    :ivar id: of the track; None while nobody could be chosen.
    :ivar sight: how much is known.
    :ivar since: stamp from which on that is so, in nanoseconds.
    """

    id: Optional[int]
    sight: Sight
    since: int


class Follower:
    """
    Chooses the target, and keeps to it until somebody else is wanted.

    An id is waited for, whether it was ever given or not. With `nearest`, who was chosen is kept
    while they are seen or predicted, and while they are lost for as long as they would get their
    id again; only then is somebody else chosen.
    """

    def __init__(self) -> None:
        """Follow nobody."""
        self._wanted = ''
        self._target: Optional[Target] = None

    def update(
        self,
        wanted: str,
        tracks: Sequence[Track],
        distances: Mapping[int, float],
        stamp: int,
        patience: float,
    ) -> Optional[Target]:
        """
        Look for the target in the next image.

        :param wanted: an id, `nearest` or empty: nobody.
        :param tracks: the visible ones.
        :param distances: of those whose place is known, by id, in metres.
        :param stamp: of the image, in nanoseconds.
        :param patience: how long somebody who is lost is kept to, in seconds.
        :returns: None where nobody is wanted.
        """
        if wanted != self._wanted:
            self._wanted, self._target = wanted, None
        if not wanted:
            return None
        visible = {track.id: track for track in tracks}
        old = self._target
        id_ = old.id if old and wanted == NEAREST else None
        if wanted != NEAREST:
            id_ = int(wanted)
        elif old and old.sight == Sight.LOST and stamp - old.since > patience * SECOND:
            # Somebody who is back in this very image is no other one.
            id_ = id_ if id_ in visible else None
        if id_ is None:
            seen = {key: each for key, each in distances.items() if key in visible}
            id_ = min(seen, key=seen.__getitem__) if seen else None
        track = visible.get(id_) if id_ is not None else None
        if track is None:
            sight = Sight.LOST
        else:
            sight = Sight.PREDICTED if track.detection is None else Sight.SEEN
        unchanged = old is not None and (old.id, old.sight) == (id_, sight)
        self._target = Target(id_, sight, old.since if old and unchanged else stamp)
        return self._target


class Heading:
    """Which way a person faces, as far as one can tell from their walk."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._id: Optional[int] = None
        self._yaw = 0.0

    def update(
        self, id_: int, position: FloatArray, velocity: FloatArray, viewpoint: FloatArray
    ) -> float:
        """
        Return the heading of a person in the next image.

        Who walks faces the way they go, and keeps that when they stop; of who has not walked yet,
        it is the way from the viewpoint to them.

        :param position: ``[x, y, ...]`` in metres; z is up.
        :param velocity: the same, in metres per second.
        :param viewpoint: the same, of the camera.
        :returns: the angle around z from x, in radians.
        """
        if math.hypot(*velocity[:2]) > WALKING:
            self._yaw = math.atan2(velocity[1], velocity[0])
        elif id_ != self._id:
            away = position[:2] - viewpoint[:2]
            self._yaw = math.atan2(away[1], away[0])
        self._id = id_
        return self._yaw
