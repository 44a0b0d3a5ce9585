"""
The Kalman filter of Deep SORT, over all tracks at once.

Source: Wojke, Bewley, Paulus: Simple Online and Realtime Tracking with a Deep Association Metric,
ICIP 2017, section 2.1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Optional

import numpy as np
from numpy.typing import DTypeLike
from numpy.typing import NDArray

from persontrack_ros.core.geometry import FloatArray

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


def checked(
    state: Mapping[str, NDArray[Any]],
    name: str,
    kind: DTypeLike,
    shape: tuple[Optional[int], ...],
) -> NDArray[Any]:
    """
    Return a copy of an array of a stored state.

    :param shape: None where any length is allowed.
    :raises KeyError: if it is missing.
    :raises ValueError: if it has another type or shape, or numbers that are not finite.
    """
    array = state[name]
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(array.shape, shape)
    )
    if not fits or array.dtype != kind or not np.isfinite(array).all():
        raise ValueError(f'{name} is not what it should be: {array.dtype} of shape {array.shape}')
    return array.copy()


def _variances(height: FloatArray, std: Stds) -> FloatArray:
    """Return the variance of (cx, cy, aspect, height), shape ``(N, 4)``."""
    scale = np.repeat(height[:, None], 4, axis=1)
    scale[:, 2] = 1.0
    return np.square(scale * std)


@dataclass
class States:
    """
    Gaussian states of N tracks: constant velocity in (cx, cy, aspect, height).

    All noise in Deep SORT is diagonal, so the 8x8 covariance consists of four independent 2x2
    blocks, one for each observed component and its velocity. Only these are stored, and each
    operation of the filter is element-wise arithmetic without a matrix factorisation.

    :ivar position: mean of (cx, cy, aspect, height), shape ``(N, 4)``, pixels and a ratio.
    :ivar velocity: mean of its change per unit of time, shape ``(N, 4)``.
    :ivar position_variance: shape ``(N, 4)``.
    :ivar cross_covariance: of position and velocity, shape ``(N, 4)``.
    :ivar velocity_variance: shape ``(N, 4)``.
    """

    position: FloatArray
    velocity: FloatArray
    position_variance: FloatArray
    cross_covariance: FloatArray
    velocity_variance: FloatArray

    @classmethod
    def initiate(cls, measurements: FloatArray, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Start states from first measurements ``(N, 4)``, with velocity zero."""
        height = measurements[:, 3]
        return cls(
            position=measurements.copy(),
            velocity=np.zeros_like(measurements),
            position_variance=_variances(height, noise.first_position),
            cross_covariance=np.zeros_like(measurements),
            velocity_variance=_variances(height, noise.first_velocity),
        )

    def state(self) -> dict[str, FloatArray]:
        """Return copies of the arrays by names that begin with ``kalman_``."""
        return {f'kalman_{name}': array.copy() for name, array in vars(self).items()}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], count: int) -> States:
        """
        Return the states of so many tracks that :meth:`state` returned.

        :raises KeyError: if an array is missing.
        :raises ValueError: if an array is not of numbers, or has another shape.
        """
        names = [each.name for each in dataclasses.fields(cls)]
        shape = (count, 4)
        return cls(**{name: checked(state, f'kalman_{name}', np.float64, shape) for name in names})

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.position)

    def __getitem__(self, index: NDArray[Any]) -> States:
        """Return the states that a numpy index selects."""
        return States(*(array[index] for array in self._arrays()))

    def __setitem__(self, index: NDArray[Any], states: States) -> None:
        """Overwrite the states that a numpy index selects."""
        for array, values in zip(self._arrays(), states._arrays()):
            array[index] = values

    def append(self, states: States) -> States:
        """Return these states followed by others."""
        return States(*(np.concatenate(pair) for pair in zip(self._arrays(), states._arrays())))

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
        return States(
            position=self.position @ matrix.T + np.append(motion[:, 2], (0.0, 0.0)),
            velocity=self.velocity @ matrix.T,
            position_variance=self.position_variance @ squared.T,
            cross_covariance=self.cross_covariance @ squared.T,
            velocity_variance=self.velocity_variance @ squared.T,
        )

    def predict(self, time: float = 1.0, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Return the states some time later."""
        height = self.position[:, 3]
        return States(
            position=self.position + time * self.velocity,
            velocity=self.velocity,
            position_variance=self.position_variance
            + 2 * time * self.cross_covariance
            + time**2 * self.velocity_variance
            + time * _variances(height, noise.position),
            cross_covariance=self.cross_covariance + time * self.velocity_variance,
            velocity_variance=self.velocity_variance + time * _variances(height, noise.velocity),
        )

    def update(self, measurements: FloatArray, noise: Noise = DEEP_SORT_NOISE) -> States:
        """Return the states corrected by one measurement each, shape ``(N, 4)``."""
        innovation = measurements - self.position
        gain = self.position_variance / self._innovation_variance(noise.measurement)
        velocity_gain = self.cross_covariance / self._innovation_variance(noise.measurement)
        return States(
            position=self.position + gain * innovation,
            velocity=self.velocity + velocity_gain * innovation,
            position_variance=(1 - gain) * self.position_variance,
            cross_covariance=(1 - gain) * self.cross_covariance,
            velocity_variance=self.velocity_variance - velocity_gain * self.cross_covariance,
        )

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
        weight = 1 / self._innovation_variance(measurement_noise)
        weighted = weight * self.position
        constant = np.sum(weighted * self.position, axis=1, keepdims=True)
        squared = weight @ np.square(measurements).T - 2 * weighted @ measurements.T + constant
        return np.maximum(squared, 0.0)

    def _innovation_variance(self, measurement_noise: Stds) -> FloatArray:
        return self.position_variance + _variances(self.position[:, 3], measurement_noise)

    def _arrays(self) -> tuple[FloatArray, ...]:
        return (
            self.position,
            self.velocity,
            self.position_variance,
            self.cross_covariance,
            self.velocity_variance,
        )
