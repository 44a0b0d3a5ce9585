"""
The Kalman filter against the textbook: full 8x8 matrices F, H, Q, R, and a Cholesky solution.

The code under test keeps four independent 2x2 blocks. Here nothing knows of that.
"""

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import chi2

from persontrack_ros.core.tracking.kalman_filter import GATING_THRESHOLD, States

F = np.eye(8) + np.eye(8, k=4)
H = np.eye(4, 8)


def deviations(height, position, velocity, aspect, aspect_velocity):
    """Return the eight standard deviations of Wojke et al., relative to the height."""
    p, v = position * height, velocity * height
    return np.array([p, p, aspect, p, v, v, aspect_velocity, v])


class Textbook:
    """One track: x' = F x, P' = F P F' + Q; K = P H' S^-1, S = H P H' + R."""

    def __init__(self, measurement):
        self.x = np.concatenate([measurement, np.zeros(4)])
        self.P = np.diag(deviations(measurement[3], 2 / 20, 10 / 160, 1e-2, 1e-5) ** 2)

    def predict(self):
        q = np.diag(deviations(self.x[3], 1 / 20, 1 / 160, 1e-2, 1e-5) ** 2)
        self.x = F @ self.x
        self.P = F @ self.P @ F.T + q

    def innovation(self):
        r = np.diag(deviations(self.x[3], 1 / 20, 0, 1e-1, 0)[:4] ** 2)
        return cho_factor(H @ self.P @ H.T + r)

    def update(self, measurement):
        factor = self.innovation()
        gain = cho_solve(factor, H @ self.P).T
        self.x = self.x + gain @ (measurement - H @ self.x)
        self.P = self.P - gain @ H @ self.P

    def squared_mahalanobis(self, measurement):
        difference = measurement - H @ self.x
        return difference @ cho_solve(self.innovation(), difference)


def random_measurements(random, count):
    return random.uniform([0, 0, 0.2, 20], [1920, 1080, 0.9, 400], (count, 4))


def assert_equal(states, textbooks):
    assert len(states) == len(textbooks)
    for row, track in enumerate(textbooks):
        mean = np.concatenate([states.position[row], states.velocity[row]])
        np.testing.assert_allclose(mean, track.x, rtol=1e-9, atol=1e-9)
        covariance = np.block(
            [
                [np.diag(states.position_variance[row]), np.diag(states.cross_covariance[row])],
                [np.diag(states.cross_covariance[row]), np.diag(states.velocity_variance[row])],
            ]
        )
        np.testing.assert_allclose(covariance, track.P, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize('seed', range(5))
def test_equals_the_textbook(seed):
    """Follow tracks with random motion and random misses; compare every mean and covariance."""
    random = np.random.default_rng(seed)
    truth = random_measurements(random, 20)
    motion = random.normal(0, [5, 3, 0.002, 0.5], (20, 4))
    states = States.initiate(truth)
    textbooks = [Textbook(row) for row in truth]
    assert_equal(states, textbooks)
    for _ in range(30):
        truth = truth + motion
        truth[:, 2:] = np.maximum(truth[:, 2:], [0.1, 10])
        measured = truth + random.normal(0, [4, 4, 0.03, 4], truth.shape)
        states = states.predict()
        for track in textbooks:
            track.predict()
        assert_equal(states, textbooks)
        expected = [[track.squared_mahalanobis(z) for z in measured[:7]] for track in textbooks]
        np.testing.assert_allclose(states.squared_mahalanobis(measured[:7]), expected, rtol=1e-8)
        seen = np.flatnonzero(random.random(20) < 0.7)
        states[seen] = states[seen].update(measured[seen])
        for row in seen:
            textbooks[row].update(measured[row])
        assert_equal(states, textbooks)


def test_selecting_and_appending_rows():
    measured = random_measurements(np.random.default_rng(2), 5)
    states = States.initiate(measured).predict()
    both = states[np.array([True, False, False, True, False])].append(states[1:2])
    expected = [Textbook(row) for row in measured[[0, 3, 1]]]
    for track in expected:
        track.predict()
    assert_equal(both, expected)


def test_no_tracks():
    states = States.initiate(np.empty((0, 4))).predict().update(np.empty((0, 4)))
    assert len(states) == 0
    assert states.squared_mahalanobis(np.ones((3, 4))).shape == (0, 3)
    one = States.initiate(np.array([[1.0, 2.0, 0.5, 10.0]]))
    assert one.squared_mahalanobis(np.empty((0, 4))).shape == (1, 0)
    assert len(states.append(one)) == 1


def test_gate_is_the_95_percent_quantile():
    assert chi2.ppf(0.95, df=4) == pytest.approx(GATING_THRESHOLD, abs=1e-4)
