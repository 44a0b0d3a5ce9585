"""
How persons move in a frame that stands still: a Kalman filter of constant velocity.

Source: Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, 2001,
section 6.2.2, the continuous model of white noise acceleration, and section 11.2, the adjustment
of its noise to persons who turn or stop.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

import numpy as np

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.tracks3d.depth import MAX_AGE, Box3D, depth_noise, lateral_covariance

# Standard deviation of the velocity of somebody new, in m/s.
SPEED = 1.0

# Power density of the acceleration, in m^2/s^3: how soon a person who sets off is believed.
ACCELERATION = 0.2

# Squared Mahalanobis distances, quantiles of the chi-square distribution with three degrees of
# freedom. Above the 68 % quantile, the person moves otherwise than assumed: the covariance grows
# until the distance is this one. Up to the 99.9 % quantile, a person is where they were expected.
MANOEUVRE = 3.5
GATE = 16.27

# A position further from the last one is no step of a person: metres, and metres per second, for
# so many seconds at most.
STEP, STEP_SPEED, STEP_TIME = 0.15, 2.0, 0.2

# Seconds without a measurement that is believed, after which a person begins anew.
MAX_GAP = 2.0


@dataclass(frozen=True)
class Motion:
    """
    The estimated motion of a person at one moment.

    :ivar position: shape ``(3,)``, in metres.
    :ivar velocity: shape ``(3,)``, in metres per second.
    :ivar covariance: of the position and then the velocity, shape ``(6, 6)``.
    """

    position: FloatArray
    velocity: FloatArray
    covariance: FloatArray

    @classmethod
    def begin(cls, position: FloatArray, noise: float) -> Motion:
        """Take the first position of a person."""
        variances = np.repeat([noise**2, SPEED**2], 3)
        return cls(position, np.zeros(3), np.diag(variances))

    def predicted(self, seconds: float) -> Motion:
        """Return the estimate after some time without a measurement."""
        step = np.eye(6)
        step[:3, 3:] = seconds * np.eye(3)
        noise = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        covariance = step @ self.covariance @ step.T
        covariance += np.kron(ACCELERATION * noise, np.eye(3))
        return Motion(self.position + seconds * self.velocity, self.velocity, covariance)

    def distance(self, position: FloatArray, noise: float) -> float:
        """Return the squared Mahalanobis distance of a measured position."""
        apart = position - self.position
        covariance = self.covariance[:3, :3] + noise**2 * np.eye(3)
        return float(apart @ np.linalg.solve(covariance, apart))

    def updated(self, position: FloatArray, noise: float) -> Motion:
        """Return the estimate after a measurement."""
        prior = self
        while prior.distance(position, noise) > MANOEUVRE:
            prior = replace(prior, covariance=2 * prior.covariance)
        gain = np.linalg.solve(
            prior.covariance[:3, :3] + noise**2 * np.eye(3), prior.covariance[:3]
        ).T
        change = gain @ (position - self.position)
        covariance = prior.covariance - gain @ prior.covariance[:3]
        return Motion(
            self.position + change[:3],
            self.velocity + change[3:],
            (covariance + covariance.T) / 2,
        )


class _Person(NamedTuple):
    """
    The filter of one person.

    :ivar time: of the newest measurement that is believed, in nanoseconds.
    :ivar motion: at that time.
    :ivar box: that measurement.
    :ivar newest: the newest measurement that can be of the person, and its time.
    :ivar other: the newest one since then that cannot.
    """

    time: int
    motion: Motion
    box: Box3D
    newest: tuple[int, Box3D]
    other: Optional[Box3D] = None


class MotionFilter:
    """Estimates the motion of persons from their measured positions."""

    def __init__(self) -> None:
        """Start without persons."""
        self._persons: dict[int, _Person] = {}

    def update(
        self, ids: Collection[int], boxes: Mapping[int, Box3D], time: int
    ) -> dict[int, Box3D]:
        """
        Take the measured 3D boxes of a frame.

        :param ids: of all tracks; the others are forgotten after `MAX_GAP`.
        :param boxes: by id, in the frame that stands still.
        :param time: of the frame, in nanoseconds.
        :returns: the boxes that are believed, with the estimated positions and velocities.
        """
        # A hidden person is no track for a moment, and then the same one again.
        self._persons = {
            id_: person
            for id_, person in self._persons.items()
            if id_ in ids or abs(time - person.time) <= MAX_GAP * SECOND
        }
        believed = {}
        for id_, box in boxes.items():
            person = self._persons[id_] = _take(self._persons.get(id_), box, time)
            if person.time == time:
                motion = _stated(person.motion, box)
                believed[id_] = replace(
                    box,
                    position=motion.position,
                    velocity=motion.velocity,
                    covariance=motion.covariance[:3, :3],
                )
        return believed

    def at(self, id_: int, time: int) -> Optional[Motion]:
        """Return the motion of a person at a time; None without a measurement in `MAX_AGE`."""
        person = self._persons.get(id_)
        if person is None or abs(time - person.time) > MAX_AGE * SECOND:
            return None
        return _stated(person.motion.predicted(max(0, time - person.time) / SECOND), person.box)


def _take(person: Optional[_Person], box: Box3D, time: int) -> _Person:
    """
    Take a measurement of a person.

    It is believed where the person is expected, or a step from where they were. Two in a row that
    are neither, but agree, are believed as well if the camera saw the person at the same distance
    all the time: then the frame jumped, as `map` does. What is suddenly nearer or further is a
    person in front, or what is behind, for as long as it stays there: nobody moves like that.
    """
    noise = depth_noise(box)
    if person is None or abs(time - person.time) > MAX_GAP * SECOND:
        return _Person(time, Motion.begin(box.position, noise), box, (time, box))
    expected = person.motion.predicted(max(0, time - person.time) / SECOND)
    if person.other is not None and _apart(box, person.other.position) < _apart(
        box, expected.position
    ):
        return person._replace(other=box)
    believed = expected.distance(box.position, noise) <= GATE
    if believed or _apart(box, person.box.position) <= _step(time - person.time):
        return _Person(time, expected.updated(box.position, noise), box, (time, box))
    then, newest = person.newest
    step = _step(time - then)
    if abs(np.linalg.norm(box.away) - np.linalg.norm(newest.away)) > step:
        return person._replace(other=box)
    if then == person.time or _apart(box, newest.position) > step:
        return person._replace(newest=(time, box))
    motion = Motion.begin(newest.position, noise).predicted((time - then) / SECOND)
    return _Person(time, motion.updated(box.position, noise), box, (time, box))


def _step(nanoseconds: int) -> float:
    """Return how far a person gets, in metres."""
    return STEP + STEP_SPEED * min(STEP_TIME, abs(nanoseconds) / SECOND)


def _apart(box: Box3D, position: FloatArray) -> float:
    return float(np.linalg.norm(box.position - position))


def _stated(motion: Motion, box: Box3D) -> Motion:
    """Add what measurements have in common, and the filter cannot average out."""
    covariance = motion.covariance.copy()
    covariance[:3, :3] += lateral_covariance(box)
    return replace(motion, covariance=covariance)
