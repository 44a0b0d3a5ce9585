"""Keeping to one person: who is the target, whether they are seen, and which way they walk."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Optional

import numpy as np

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.node_options import MIDDLE, NEAREST, target_id
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracks3d.depth import Box3D

# In metres per second: who is slower stands, and turns on the spot for all that can be measured.
WALKING = 0.3

# A click means a person up to this distance on the floor, in metres.
REACH = 1.0


class TargetStatus(Enum):
    """
    How much is known of where the target is now.

    `SEEN`: measured in this frame; `PREDICTED`: a moment before; `LOST`: neither. With depth, the
    3D position is measured; without, the box is detected.
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
    Keeps to the target until another person is wanted.

    A target by id stays. One that was chosen, as the nearest one for example, is kept while their
    track is visible or their position known, and then for as long as they would get their id
    again; only then is another person chosen.
    """

    def __init__(self, patience: float) -> None:
        """
        Start without a target.

        :param patience: how long a lost target is kept, in seconds.
        """
        self._patience = patience
        self._wanted = ''
        self._target: Optional[Target] = None

    def update(
        self,
        wanted: str,
        visible: Collection[int],
        measured: Collection[int],
        known: Collection[int],
        chosen: Optional[int],
        time: int,
    ) -> Optional[Target]:
        """
        Look for the target in the next frame.

        :param wanted: a value of the parameter `target`.
        :param visible: ids of the tracks.
        :param measured: ids of those that are measured in this frame.
        :param known: ids of those that were measured a moment before.
        :param chosen: the person that `wanted` means in this frame, see :func:`choose`.
        :param time: of the frame, in nanoseconds.
        :returns: None without a target.
        """
        if wanted != self._wanted:
            self._wanted, self._target = wanted, None
        if not wanted:
            return None
        old = self._target
        id_ = old.id if old else None
        if old and old.status == TargetStatus.LOST and time - old.since > self._patience * SECOND:
            # A target that is back in this very frame is kept.
            id_ = id_ if id_ in visible else None
        id_ = target_id(wanted) or id_ or chosen
        if id_ in measured:
            status = TargetStatus.SEEN
        elif id_ in visible and id_ in known:
            status = TargetStatus.PREDICTED
        else:
            status = TargetStatus.LOST
        unchanged = old is not None and (old.id, old.status) == (id_, status)
        self._target = Target(id_, status, old.since if old and unchanged else time)
        return self._target


def choose(
    wanted: str,
    tracks: Sequence[Track],
    boxes: Optional[Mapping[int, Box3D]],
    image_size: tuple[int, int],
    similar: Optional[int],
) -> Optional[int]:
    """
    Return the id of the person that a value of `target` means in one frame; None for no person.

    :param tracks: those that are measured.
    :param boxes: by id; None without depth: the largest person is the nearest one.
    :param image_size: width and height.
    :param similar: the person of the file that `wanted` names.
    """
    middle = np.array(image_size) / 2
    if wanted == MIDDLE:
        return least({track.id: off(track, middle) for track in tracks})
    if wanted != NEAREST:
        return similar if similar in {track.id for track in tracks} else None
    if boxes is None:
        return least({track.id: -float(np.prod(track.box[2:])) for track in tracks})
    return least({track.id: float(np.linalg.norm(boxes[track.id].away)) for track in tracks})


def least(costs: Mapping[int, float], most: float = math.inf) -> Optional[int]:
    """Return the id with the least cost; None if that is above a limit."""
    allowed = {id_: cost for id_, cost in costs.items() if cost <= most}
    return min(allowed, key=allowed.__getitem__, default=None)


def off(track: Track, pixel: FloatArray) -> float:
    """Return the way from the centre of a box to a pixel, in widths or heights of the box."""
    return float(np.abs((pixel - track.box[:2]) / track.box[2:] - 0.5).max())


def on_floor(box: Box3D, point: FloatArray) -> float:
    """Return the distance of a person to a point ``(3,)`` on the floor, in metres."""
    # y points down in the optical frame of a camera.
    floor = [0, 2] if box.yaw is None else [0, 1]
    return float(np.linalg.norm((box.position - point)[floor]))


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
