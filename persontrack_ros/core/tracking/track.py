"""The public data of a track."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Optional

import numpy as np

from persontrack_ros.core.base.geometry import FloatArray

# Index of the detection of a track without one, in arrays of integers.
NO_DETECTION = -1


class TrackState(IntEnum):
    """
    Life of a track (Wojke et al., section 2.1).

    A new track is tentative, is confirmed after `n_init` hits in a row and deleted at the first
    miss before that, or after more than `max_age` misses in a row later.
    """

    TENTATIVE = 1
    CONFIRMED = 2
    DELETED = 3


class Track(NamedTuple):
    """
    One person followed through the images, as estimated at the newest image.

    :ivar id: positive number, never given to another person before a reset.
    :ivar box: ``[left, top, width, height]`` in pixels of the image, not clipped to it.
    :ivar velocity: of the box's ``[centre x, centre y]``, in pixels per second.
    :ivar score: confidence of the newest detection matched to the track, in [0, 1].
    :ivar state: tentative or confirmed.
    :ivar age: frames since the first detection, which counts as 1.
    :ivar hits: number of detections matched so far.
    :ivar time_since_update: frames since the newest matched detection; 0 if it is in this image.
    :ivar detection: index of the detection matched in this image; None if the box is predicted.
    """

    id: int
    box: FloatArray
    velocity: FloatArray
    score: float
    state: TrackState
    age: int
    hits: int
    time_since_update: int
    detection: Optional[int]

    def predicted(self, seconds: float, frames: int) -> Track:
        """Return the person as expected some time later, after frames without a detection."""
        shift = np.append(self.velocity * seconds, (0.0, 0.0))
        return self._replace(
            box=self.box + shift,
            age=self.age + frames,
            time_since_update=self.time_since_update + frames,
            detection=None,
        )
