"""
How persons move in a frame that stands still: a Kalman filter of constant velocity.

Source: Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, 2001,
section 6.2.2, the continuous model of white noise acceleration.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.space.depth import Place

# Standard deviation of a place, in metres, and at least this part of the distance.
POSITION_NOISE = 0.04
RELATIVE_NOISE = 0.01

# Standard deviation of the velocity of somebody new, in m/s.
SPEED = 1.0

# Power density of the acceleration, in m^2/s^3: how soon somebody who sets off is believed.
ACCELERATION = 0.1

# Squared Mahalanobis distance up to which a place is believed: the 99.9 % quantile of the
# chi-square distribution with three degrees of freedom.
GATE = 16.27

# Somebody without a place for longer begins anew, in seconds.
MAX_GAP = 2.0


@dataclass(frozen=True)
class Motion:
    """
    What is believed of a person at one moment.

    :ivar position: shape ``(3,)``, in metres.
    :ivar velocity: shape ``(3,)``, in metres per second.
    :ivar covariance: of the position and then the velocity, shape ``(6, 6)``.
    """

    position: FloatArray
    velocity: FloatArray
    covariance: FloatArray

    @classmethod
    def begin(cls, position: FloatArray, noise: float) -> Motion:
        """Believe the first place of somebody of whom nothing else is known."""
        variances = np.repeat([noise**2, SPEED**2], 3)
        return cls(position, np.zeros(3), np.diag(variances))

    def predicted(self, seconds: float) -> Motion:
        """Return what is believed after some time."""
        step = np.eye(6)
        step[:3, 3:] = seconds * np.eye(3)
        noise = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        covariance = step @ self.covariance @ step.T
        covariance += np.kron(ACCELERATION * noise, np.eye(3))
        return Motion(self.position + seconds * self.velocity, self.velocity, covariance)

    def allows(self, position: FloatArray, noise: float) -> bool:
        """Tell whether the person can have been seen somewhere, by the gate of the filter."""
        apart = position - self.position
        covariance = self.covariance[:3, :3] + noise**2 * np.eye(3)
        return bool(apart @ np.linalg.solve(covariance, apart) <= GATE)

    def updated(self, position: FloatArray, noise: float) -> Motion:
        """Return what is believed after the person was seen somewhere."""
        gain = np.linalg.solve(
            self.covariance[:3, :3] + noise**2 * np.eye(3), self.covariance[:3]
        ).T
        change = gain @ (position - self.position)
        covariance = self.covariance - gain @ self.covariance[:3]
        return Motion(
            self.position + change[:3],
            self.velocity + change[3:],
            (covariance + covariance.T) / 2,
        )


class MotionFilter:
    """Estimates the motion of persons from their places."""

    def __init__(self) -> None:
        """Start without persons."""
        self._motions: dict[int, tuple[int, Motion]] = {}

    def update(
        self,
        ids: Collection[int],
        places: Mapping[int, Place],
        stamp: int,
        camera: FloatArray,
    ) -> dict[int, Place]:
        """
        Take the places of an image.

        :param ids: of all tracks; the others are forgotten after `MAX_GAP`.
        :param places: by id, in the frame that stands still.
        :param stamp: time of the image in nanoseconds.
        :param camera: its position, shape ``(3,)``.
        :returns: the places with motions, and the estimated positions.
        """
        # Who is hidden for a moment is no track, and then the same one again.
        self._motions = {
            id_: (since, motion)
            for id_, (since, motion) in self._motions.items()
            if id_ in ids or abs(stamp - since) <= MAX_GAP * 1e9
        }
        found = {}
        for id_, place in places.items():
            distance = float(np.linalg.norm(place.position - camera))
            noise = max(POSITION_NOISE, RELATIVE_NOISE * distance)
            expected = self.at(id_, stamp)
            if expected is None:
                motion = Motion.begin(place.position, noise)
            elif expected.allows(place.position, noise):
                motion = expected.updated(place.position, noise)
            else:
                # Somebody who stands before them, seen in their box: they are where they were
                # going, until that has gone on for too long.
                found[id_] = replace(place, position=expected.position, motion=expected)
                continue
            self._motions[id_] = stamp, motion
            found[id_] = replace(place, position=motion.position, motion=motion)
        return found

    def at(self, id_: int, stamp: int) -> Optional[Motion]:
        """Return the motion of a person as expected at a time; None if nothing is known of it."""
        if id_ not in self._motions:
            return None
        since, motion = self._motions[id_]
        seconds = (stamp - since) / 1e9
        return motion.predicted(max(0.0, seconds)) if abs(seconds) <= MAX_GAP else None
