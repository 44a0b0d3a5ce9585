"""
The Rauch-Tung-Striebel smoother over the constant-velocity model of the Kalman filter.

Source: Rauch, Tung, Striebel: Maximum likelihood estimates of linear dynamic systems, AIAA Journal
3(8), 1965.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.tracking.kalman_filter import Noise, States


def smooth(
    times: FloatArray, measurements: FloatArray, observed: NDArray[np.bool_], noise: Noise
) -> tuple[FloatArray, FloatArray]:
    """
    Estimate where a person was from all measurements, earlier and later ones.

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
