"""Keeping to one person: who is the target, whether they are seen, and which way they walk."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.node_options import NEAREST

# In metres per second: who is slower stands, and turns on the spot for all that can be measured.
WALKING = 0.3


class TargetStatus(Enum):
    """
    How much is known of where the target is now.

    `SEEN`: measured in this frame; `PREDICTED`: a moment before; `LOST`: neither.
    """

    SEEN = 'seen'
    PREDICTED = 'predicted'
    LOST = 'lost'


@dataclass(frozen=True)
class Target:
    """
    Who is followed.

    :ivar id: of the track; None while no person could be chosen.
    :ivar status: how much is known.
    :ivar since: time from which on that is so, in nanoseconds.
    """

    id: Optional[int]
    status: TargetStatus
    since: int


class Follower:
    """
    Chooses the target, and keeps to it until another person is wanted.

    With `nearest`, who was chosen is kept while their track is visible or their position known,
    and then for as long as they would get their id again; only then is another person chosen.
    """

    def __init__(self) -> None:
        """Start without a target."""
        self._wanted = ''
        self._target: Optional[Target] = None

    def update(
        self,
        wanted: str,
        visible: Collection[int],
        distances: Mapping[int, float],
        known: Collection[int],
        time: int,
        patience: float,
    ) -> Optional[Target]:
        """
        Look for the target in the next frame.

        :param wanted: an id, `nearest`, or empty for no target.
        :param visible: ids of the tracks.
        :param distances: of those that are measured in this frame, by id, in metres.
        :param known: ids of those that were measured a moment before.
        :param time: of the frame, in nanoseconds.
        :param patience: how long a lost target is kept, in seconds.
        :returns: None without a target.
        """
        if wanted != self._wanted:
            self._wanted, self._target = wanted, None
        if not wanted:
            return None
        old = self._target
        id_ = old.id if old and wanted == NEAREST else None
        if wanted != NEAREST:
            id_ = int(wanted)
        elif old and old.status == TargetStatus.LOST and time - old.since > patience * SECOND:
            # A target that is back in this very frame is kept.
            id_ = id_ if id_ in visible else None
        if id_ is None:
            id_ = min(distances, key=distances.__getitem__) if distances else None
        if id_ in distances:
            status = TargetStatus.SEEN
        elif id_ in visible and id_ in known:
            status = TargetStatus.PREDICTED
        else:
            status = TargetStatus.LOST
        unchanged = old is not None and (old.id, old.status) == (id_, status)
        self._target = Target(id_, status, old.since if old and unchanged else time)
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
