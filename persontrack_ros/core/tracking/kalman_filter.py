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

    :ivar moments: the five arrays that the properties name, shape ``(5, N, 4)``.
    """

    moments: FloatArray

    @classmethod
    def initiate(cls, measurements: FloatArray, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Start states from first measurements ``(N, 4)``, with velocity zero."""
        height = measurements[:, 3]
        moments = np.zeros((5, *measurements.shape))
        moments[0] = measurements
        moments[2] = _variances(height, noise.first_position)
        moments[4] = _variances(height, noise.first_velocity)
        return cls(moments)

    @property
    def position(self) -> FloatArray:
        """Mean of (cx, cy, aspect, height), shape ``(N, 4)``, pixels and a ratio."""
        return self.moments[0]

    @property
    def velocity(self) -> FloatArray:
        """Mean of its change per unit of time, shape ``(N, 4)``."""
        return self.moments[1]

    @property
    def position_variance(self) -> FloatArray:
        """Variance of the position, shape ``(N, 4)``."""
        return self.moments[2]

    @property
    def cross_covariance(self) -> FloatArray:
        """Covariance of position and velocity, shape ``(N, 4)``."""
        return self.moments[3]

    @property
    def velocity_variance(self) -> FloatArray:
        """Variance of the velocity, shape ``(N, 4)``."""
        return self.moments[4]

    def __len__(self) -> int:
        """Return the number of tracks."""
        return self.moments.shape[1]

    def __getitem__(self, index: NDArray[Any]) -> States:
        """Return the states that a numpy index selects."""
        # Indexing of the moments would lay them out in an order in which arithmetic is slow.
        return States(self.moments.take(np.arange(len(self))[index], axis=1))

    def __setitem__(self, index: NDArray[Any], states: States) -> None:
        """Overwrite the states that a numpy index selects."""
        self.moments[:, index] = states.moments

    def append(self, states: States) -> States:
        """Return these states followed by others."""
        return States(np.concatenate([self.moments, states.moments], axis=1))

    def move(self, motion: FloatArray) -> States:
        """
        Return the states in the coordinates of a camera that moved.

        :param motion: shift, rotation and zoom of the background, shape ``(2, 3)``.
        """
        turn = motion[:, :2]
        zoom = np.sqrt(np.abs(np.linalg.det(turn)))
        # Of (cx, cy, aspect, height). Boxes stay upright when the camera rolls.
        matrix = np.diag([0.0, 0.0, 1.0, zoom])
        matrix[:2, :2] = turn
        # Rotation correlates x with y; the filter knows no such terms, which are small.
        squared = np.square(matrix)
        moments = np.concatenate([self.moments[:2] @ matrix.T, self.moments[2:] @ squared.T])
        moments[0, :, :2] += motion[:, 2]
        return States(moments)

    def predict(self, time: float = 1.0, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Return the states some time later."""
        height = self.position[:, 3]
        moments = self.moments.copy()
        position, velocity, variance, cross, velocity_variance = moments
        position += time * velocity
        variance += time * (2 * cross + time * velocity_variance)
        variance += time * _variances(height, noise.position)
        cross += time * velocity_variance
        velocity_variance += time * _variances(height, noise.velocity)
        return States(moments)

    def update(self, measurements: FloatArray, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Return the states corrected by one measurement each, shape ``(N, 4)``."""
        innovation = measurements - self.position
        # Of the position and of the velocity.
        gains = self.moments[2:4] / self.innovation_variance(noise.measurement)
        moments = self.moments.copy()
        moments[:2] += gains * innovation
        moments[2:4] *= 1 - gains[0]
        moments[4] -= gains[1] * self.cross_covariance
        return States(moments)

    def squared_mahalanobis(
        self, measurements: FloatArray, measurement_noise: Stds = DEEP_SORT_NOISE.measurement
    ) -> FloatArray:
        """
        Return the squared Mahalanobis distance of every track to every measurement.

        :param measurements: shape ``(M, 4)``.
        :param measurement_noise: relative standard deviations of the measurements.
        :returns: shape ``(N, M)``; to be compared with :data:`GATING_THRESHOLD`.
        """
        # The sum of (z - x)^2 / s over the components, multiplied out, is one matrix product; an
        # array of all differences costs ten times as much at 200 tracks.
        weight = 1 / self.innovation_variance(measurement_noise)
        weighted = weight * self.position
        constant = np.sum(weighted * self.position, axis=1, keepdims=True)
        squared = weight @ np.square(measurements).T - 2 * weighted @ measurements.T + constant
        return np.maximum(squared, 0.0)

    def innovation_variance(self, measurement_noise: Stds) -> FloatArray:
        """Return the variance of measurements around the predicted position, ``(N, 4)``."""
        return self.position_variance + _variances(self.position[:, 3], measurement_noise)
