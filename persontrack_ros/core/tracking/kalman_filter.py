"""
The Kalman filter of Deep SORT, over all tracks at once.

Source: Wojke, Bewley, Paulus: Simple Online and Realtime Tracking with a Deep Association Metric,
ICIP 2017, section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray

# 95 % quantile of the chi-square distribution with 4 degrees of freedom.
GATING_THRESHOLD = 9.4877

Stds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Noise:
    """
    Standard deviations for (cx, cy, aspect, height), shape ``(4,)`` each.

    All but that of the aspect are relative to the height of the box. The unit of time is the
    caller's.

    :ivar measurement: of a detection.
    :ivar position: of the random walk of the position in one unit of time.
    :ivar velocity: of the random walk of the velocity in one unit of time.
    :ivar first_position: of the position at the first detection.
    :ivar first_velocity: of the velocity at the first detection, whose mean is zero.
    """

    measurement: Stds
    position: Stds
    velocity: Stds
    first_position: Stds
    first_velocity: Stds


# The paper's reference implementation; time in frames.
DEEP_SORT_NOISE = Noise(
    measurement=(1 / 20, 1 / 20, 1e-1, 1 / 20),
    position=(1 / 20, 1 / 20, 1e-2, 1 / 20),
    velocity=(1 / 160, 1 / 160, 1e-5, 1 / 160),
    first_position=(2 / 20, 2 / 20, 1e-2, 2 / 20),
    first_velocity=(10 / 160, 10 / 160, 1e-5, 10 / 160),
)


def _variances(height: FloatArray, std: Stds) -> FloatArray:
    """Return the variance of (cx, cy, aspect, height), shape ``(N, 4)``."""
    deviations = np.multiply.outer(height, std)
    deviations[:, 2] = std[2]
    return np.square(deviations)


@dataclass
class States:
    """
    Gaussian states of N tracks: constant velocity in (cx, cy, aspect, height).

    All noise in Deep SORT is diagonal, so the 8x8 covariance consists of four independent 2x2
    blocks, one for each observed component and its velocity. Only these are stored, and each
    operation of the filter is element-wise arithmetic without a matrix factorisation.

    :ivar position: mean of (cx, cy, aspect, height), shape ``(N, 4)``, pixels and a ratio.
    :ivar velocity: mean of its change per unit of time, as the others of shape ``(N, 4)``.
    :ivar cross_covariance: of position and velocity.
    """

    position: FloatArray
    velocity: FloatArray
    position_variance: FloatArray
    cross_covariance: FloatArray
    velocity_variance: FloatArray

    @classmethod
    def initiate(cls, measurements: FloatArray, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Start states from first measurements ``(N, 4)``, with velocity zero."""
        return cls(
            measurements.astype(np.float64),
            np.zeros(measurements.shape),
            _variances(measurements[:, 3], noise.first_position),
            np.zeros(measurements.shape),
            _variances(measurements[:, 3], noise.first_velocity),
        )

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.position)

    def __getitem__(self, index: NDArray[Any]) -> States:
        """Return the states that a numpy index selects."""
        return States(*(moment[index] for moment in vars(self).values()))

    def __setitem__(self, index: NDArray[Any], states: States) -> None:
        """Overwrite the states that a numpy index selects."""
        for moment, new in zip(vars(self).values(), vars(states).values()):
            moment[index] = new

    def append(self, states: States) -> States:
        """Return these states followed by others."""
        pairs = zip(vars(self).values(), vars(states).values())
        return States(*(np.concatenate(pair) for pair in pairs))

    def move(self, motion: FloatArray) -> States:
        """
        Return the states in the coordinates of a camera that moved.

        :param motion: shift, rotation and zoom of the background, shape ``(2, 3)``.
        """
        turn = motion[:, :2]
        # Of (cx, cy, aspect, height). Boxes stay upright when the camera rolls.
        matrix = np.diag([0.0, 0.0, 1.0, np.sqrt(np.abs(np.linalg.det(turn)))])
        matrix[:2, :2] = turn
        # Rotation correlates x with y; the filter knows no such terms, which are small.
        matrices = [matrix] * 2 + [np.square(matrix)] * 3
        moved = [moment @ each.T for moment, each in zip(vars(self).values(), matrices)]
        moved[0][:, :2] += motion[:, 2]
        return States(*moved)

    def predict(self, time: float = 1.0, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Return the states some time later."""
        height = self.position[:, 3]
        growth = time * (2 * self.cross_covariance + time * self.velocity_variance)
        return States(
            self.position + time * self.velocity,
            self.velocity.copy(),
            self.position_variance + growth + time * _variances(height, noise.position),
            self.cross_covariance + time * self.velocity_variance,
            self.velocity_variance + time * _variances(height, noise.velocity),
        )

    def update(self, measurements: FloatArray, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Return the states corrected by one measurement each, shape ``(N, 4)``."""
        innovation = measurements - self.position
        variance = self.innovation_variance(noise.measurement)
        gain, velocity_gain = self.position_variance / variance, self.cross_covariance / variance
        return States(
            self.position + gain * innovation,
            self.velocity + velocity_gain * innovation,
            self.position_variance * (1 - gain),
            self.cross_covariance * (1 - gain),
            self.velocity_variance - velocity_gain * self.cross_covariance,
        )

    def squared_mahalanobis(self, measurements: FloatArray) -> FloatArray:
        """
        Return the squared Mahalanobis distance of every track to every measurement.

        :param measurements: shape ``(M, 4)``, with Deep SORT's noise.
        :returns: shape ``(N, M)``; to be compared with :data:`GATING_THRESHOLD`.
        """
        # The sum of (z - x)^2 / s over the components, multiplied out, is one matrix product; an
        # array of all differences costs ten times as much at 200 tracks.
        weight = 1 / self.innovation_variance(DEEP_SORT_NOISE.measurement)
        weighted = weight * self.position
        constant = np.sum(weighted * self.position, axis=1, keepdims=True)
        squared = weight @ np.square(measurements).T - 2 * weighted @ measurements.T + constant
        return np.maximum(squared, 0.0)

    def innovation_variance(self, measurement_noise: Stds) -> FloatArray:
        """Return the variance of measurements around the predicted position, ``(N, 4)``."""
        return self.position_variance + _variances(self.position[:, 3], measurement_noise)


def smooth(
    times: FloatArray, measurements: FloatArray, observed: NDArray[np.bool_], noise: Noise
) -> tuple[FloatArray, FloatArray]:
    """
    Estimate where a person was from all measurements, earlier and later ones.

    Source: Rauch, Tung, Striebel: Maximum likelihood estimates of linear dynamic systems, AIAA
    Journal 3(8), 1965.

    :param times: seconds, not falling, shape ``(N,)`` with N >= 1.
    :param measurements: (cx, cy, aspect, height) at each time, shape ``(N, 4)``.
    :param observed: where there is a measurement, shape ``(N,)``; the first one must be.
    :returns: positions and velocities, shape ``(N, 4)`` each.
    """
    filtered = [States.initiate(measurements[:1], noise)]
    predicted = []
    steps = np.diff(times).tolist()
    for step, row in zip(steps, range(1, len(times))):
        predicted.append(filtered[-1].predict(step, noise))
        here = predicted[-1]
        filtered.append(here.update(measurements[row : row + 1], noise) if observed[row] else here)
    position = [filtered[-1].position[0]]
    velocity = [filtered[-1].velocity[0]]
    for before, after, step in zip(filtered[-2::-1], predicted[::-1], steps[::-1]):
        # Covariance of the state before and after the step, 2x2 for each component, times the
        # inverse of that after the step.
        a = before.position_variance + step * before.cross_covariance
        b = before.cross_covariance
        c = before.cross_covariance + step * before.velocity_variance
        d = before.velocity_variance
        p, q, r = after.position_variance, after.cross_covariance, after.velocity_variance
        determinant = p * r - q**2
        error = position[-1] - after.position
        change = velocity[-1] - after.velocity
        weighted = (r * error - q * change) / determinant
        weighted_change = (p * change - q * error) / determinant
        position.append((before.position + a * weighted + b * weighted_change)[0])
        velocity.append((before.velocity + c * weighted + d * weighted_change)[0])
    return np.array(position[::-1]), np.array(velocity[::-1])
