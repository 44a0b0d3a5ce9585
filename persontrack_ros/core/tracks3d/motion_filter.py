"""
How persons move in a frame that stands still: a Kalman filter of constant velocity.

Source: Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, 2001,
section 6.2.2, the continuous model of white noise acceleration, and section 11.2, the adjustment
of its noise to persons who turn or stop.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

import numpy as np

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.tracks3d.depth import MAX_AGE, Box3D, depth_noise, lateral_covariance

# Standard deviation of the velocity of a new person, in m/s.
SPEED = 1.0

# Power density of the acceleration, in m^2/s^3: how soon a person who sets off is believed.
ACCELERATION = 0.2

# A squared Mahalanobis distance: the 68 % quantile of the chi-square distribution with three
# degrees of freedom. Above it, the covariance grows until the distance is this one: the person
# turned or stopped.
MANOEUVRE = 3.5

# No person is further from where they are expected than this many metres, and the way at this
# acceleration (m/s^2) since the last measurement; or from the last frame than at this speed (m/s)
# for this time (seconds) at most. Noise comes on top, so many standard deviations.
STEP, STEP_ACCELERATION, STEP_SPEED, STEP_TIME, SIGMAS = 0.1, 4.0, 2.0, 0.2, 3.0

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
        self._time = 0

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
        before, self._time = self._time, time
        believed = {}
        for id_, box in boxes.items():
            person = self._persons[id_] = _take(self._persons.get(id_), box, time, before)
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


def _take(person: Optional[_Person], box: Box3D, time: int, before: int) -> _Person:
    """
    Take a measurement of a person.

    It is believed where the person can be by now. Two in a row that are elsewhere, but agree, are
    believed as well if the camera saw the person at the same distance just before: the person
    turned, or the frame jumped, as `map` does. A distance that changes suddenly is that of a
    person in front, or of what is behind, for as long as it stays there.
    """
    noise = depth_noise(box)
    gap = abs(time - person.time) / SECOND if person else math.inf
    if person is None or gap > MAX_GAP:
        return _Person(time, Motion.begin(box.position, noise), box, (time, box))
    expected = person.motion.predicted(max(0, time - person.time) / SECOND)
    off = _apart(box, expected.position)
    if person.other is not None and _apart(box, person.other.position) < off:
        return person._replace(other=box)
    near = STEP + SIGMAS * noise
    then, newest = person.newest
    since = abs(time - then) / SECOND
    step = near + STEP_SPEED * min(STEP_TIME, since)
    just_before = then >= before or since <= STEP_TIME
    believed = off <= near + STEP_ACCELERATION * gap**2 / 2
    if believed or (just_before and _apart(box, person.box.position) <= step):
        return _Person(time, expected.updated(box.position, noise), box, (time, box))
    nearer = abs(np.linalg.norm(box.away) - np.linalg.norm(newest.away))
    if not just_before or nearer > step:
        return person._replace(other=box)
    if then == person.time or _apart(box, newest.position) > step:
        return person._replace(newest=(time, box))
    motion = Motion.begin(newest.position, noise).predicted(since)
    return _Person(time, motion.updated(box.position, noise), box, (time, box))


def _apart(box: Box3D, position: FloatArray) -> float:
    return float(np.linalg.norm(box.position - position))


def _stated(motion: Motion, box: Box3D) -> Motion:
    """Add what measurements have in common, and the filter cannot average out."""
    covariance = motion.covariance.copy()
    covariance[:3, :3] += lateral_covariance(box)
    return replace(motion, covariance=covariance)
