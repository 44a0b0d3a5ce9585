"""
Deep SORT like its reference implementation: an object per track, loops over all pairs.

Only for comparison in the benchmark; it gives the ids of the reference implementation. Source:
Wojke, Bewley, Paulus: Simple Online and Realtime Tracking with a Deep Association Metric, ICIP
2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from persontrack_ros.core.base.geometry import FloatArray

MAX_IOU_DISTANCE = 0.7
MAX_AGE = 70
N_INIT = 3
BUDGET = 100

_GATE = 9.4877
_NEVER = 1e5
_POSITION_WEIGHT = 1 / 20
_VELOCITY_WEIGHT = 1 / 160

# Constant velocity, and the part of the state that is measured.
_MOTION = np.eye(8) + np.eye(8, k=4)
_OBSERVATION = np.eye(4, 8)

Pairs = list[tuple[int, int]]
Matches = tuple[Pairs, list[int], list[int]]


class Person:
    """One track: an 8-state Kalman filter and the newest embeddings."""

    def __init__(self, id_: int, measurement: FloatArray, embedding: NDArray[Any]) -> None:
        """Start a tentative track at (cx, cy, aspect, height)."""
        self.id = id_
        self.confirmed = False
        self.deleted = False
        self.hits = 1
        self.time_since_update = 0
        self.gallery = [embedding]
        height = measurement[3]
        self.mean = np.concatenate([measurement, np.zeros(4)])
        position, velocity = 2 * _POSITION_WEIGHT * height, 10 * _VELOCITY_WEIGHT * height
        deviations = [position, position, 1e-2, position, velocity, velocity, 1e-5, velocity]
        self.covariance = np.diag(np.square(deviations))

    @property
    def box(self) -> FloatArray:
        """The estimate as ``[left, top, width, height]``."""
        x, y, aspect, height = self.mean[:4]
        return np.array([x - aspect * height / 2, y - height / 2, aspect * height, height])

    def predict(self) -> None:
        """Advance by one frame."""
        height = self.mean[3]
        position, velocity = _POSITION_WEIGHT * height, _VELOCITY_WEIGHT * height
        positions = [position, position, 1e-2, position]
        velocities = [velocity, velocity, 1e-5, velocity]
        # Slower than one list, but what the reference does for each track and frame.
        noise = np.diag(np.square(np.r_[positions, velocities]))
        self.mean = np.dot(_MOTION, self.mean)
        self.covariance = np.linalg.multi_dot((_MOTION, self.covariance, _MOTION.T)) + noise
        self.time_since_update += 1

    def project(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and covariance of a measurement."""
        deviation = _POSITION_WEIGHT * self.mean[3]
        noise = np.diag(np.square([deviation, deviation, 1e-1, deviation]))
        covariance = np.linalg.multi_dot((_OBSERVATION, self.covariance, _OBSERVATION.T))
        return np.dot(_OBSERVATION, self.mean), covariance + noise

    def squared_mahalanobis(self, measurements: FloatArray) -> FloatArray:
        """Return the distance of each of the measurements ``(N, 4)``."""
        mean, covariance = self.project()
        factor = np.linalg.cholesky(covariance)
        scaled = scipy.linalg.solve_triangular(factor, (measurements - mean).T, lower=True)
        return np.sum(scaled * scaled, axis=0)

    def update(self, measurement: FloatArray, embedding: NDArray[Any]) -> None:
        """Update the track with a detection."""
        mean, covariance = self.project()
        factor = scipy.linalg.cho_factor(covariance, lower=True, check_finite=False)
        gain = scipy.linalg.cho_solve(
            factor, np.dot(self.covariance, _OBSERVATION.T).T, check_finite=False
        ).T
        self.mean = self.mean + np.dot(measurement - mean, gain.T)
        self.covariance = self.covariance - np.linalg.multi_dot((gain, covariance, gain.T))
        self.gallery = [*self.gallery, embedding][-BUDGET:]
        self.hits += 1
        self.time_since_update = 0
        self.confirmed |= self.hits >= N_INIT

    def miss(self) -> None:
        """Record a frame without a detection."""
        self.deleted = not self.confirmed or self.time_since_update > MAX_AGE


class ReferenceTracker:
    """Follows persons through the frames of a video."""

    def __init__(self, max_cosine_distance: float) -> None:
        """Start without tracks."""
        self.max_cosine_distance = max_cosine_distance
        self._persons: list[Person] = []
        self._next_id = 1

    def update(self, boxes: FloatArray, embeddings: NDArray[Any]) -> list[Person]:
        """
        Advance to the next frame.

        :param boxes: ``[left, top, width, height]``, shape ``(N, 4)``.
        :param embeddings: shape ``(N, D)``.
        :returns: the confirmed tracks that were seen in this frame or the one before.
        """
        measurements = np.array(
            [[x + w / 2, y + h / 2, w / h, h] for x, y, w, h in boxes]
        ).reshape(-1, 4)
        for person in self._persons:
            person.predict()
        matches, lost, new = self._match(boxes, measurements, embeddings)
        for row, column in matches:
            self._persons[row].update(measurements[column], embeddings[column])
        for row in lost:
            self._persons[row].miss()
        for column in new:
            person = Person(self._next_id, measurements[column], embeddings[column])
            self._persons.append(person)
            self._next_id += 1
        self._persons = [person for person in self._persons if not person.deleted]
        return [
            person
            for person in self._persons
            if person.confirmed and person.time_since_update <= 1
        ]

    def _match(
        self, boxes: FloatArray, measurements: FloatArray, embeddings: NDArray[Any]
    ) -> Matches:
        confirmed = [row for row, person in enumerate(self._persons) if person.confirmed]
        tentative = [row for row, person in enumerate(self._persons) if not person.confirmed]
        matches: Pairs = []
        free = list(range(len(boxes)))
        for age in range(1, MAX_AGE + 1):
            if not free:
                break
            level = [row for row in confirmed if self._persons[row].time_since_update == age]
            if level:
                cost = self._appearance_cost(level, free, measurements, embeddings)
                found, _, free = _assign(cost, self.max_cosine_distance, level, free)
                matches += found
        lost = list(set(confirmed) - {row for row, _ in matches})
        fresh = [row for row in lost if self._persons[row].time_since_update == 1]
        lost = [row for row in lost if self._persons[row].time_since_update != 1]
        candidates = tentative + fresh
        cost = np.zeros((len(candidates), len(free)))
        for row, candidate in enumerate(candidates):
            if self._persons[candidate].time_since_update > 1:
                cost[row] = _NEVER
            else:
                others = np.asarray([boxes[column] for column in free]).reshape(-1, 4)
                cost[row] = 1 - _iou(self._persons[candidate].box, others)
        found, missed, free = _assign(cost, MAX_IOU_DISTANCE, candidates, free)
        return matches + found, lost + missed, free

    def _appearance_cost(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        measurements: FloatArray,
        embeddings: NDArray[Any],
    ) -> FloatArray:
        embeddings = np.array([embeddings[column] for column in columns])
        wanted = np.asarray([measurements[column] for column in columns])
        cost = np.zeros((len(rows), len(columns)))
        for index, row in enumerate(rows):
            cost[index] = _cosine_distance(np.asarray(self._persons[row].gallery), embeddings)
        for index, row in enumerate(rows):
            distance = self._persons[row].squared_mahalanobis(wanted)
            cost[index, distance > _GATE] = _NEVER
        return cost


def _cosine_distance(gallery: NDArray[Any], embeddings: NDArray[Any]) -> FloatArray:
    """Return the smallest distance of each embedding to the gallery."""
    gallery = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return (1.0 - np.dot(gallery, embeddings.T)).min(axis=0)


def _iou(box: FloatArray, others: FloatArray) -> FloatArray:
    top_left = np.maximum(box[:2], others[:, :2])
    bottom_right = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    shared = np.maximum(0.0, bottom_right - top_left).prod(axis=1)
    return shared / (box[2:].prod() + others[:, 2:].prod(axis=1) - shared)


def _assign(
    cost: FloatArray, max_cost: float, rows: Sequence[int], columns: Sequence[int]
) -> Matches:
    """Return pairs, rows and columns without a partner."""
    if not (rows and columns):
        return [], list(rows), list(columns)
    cost = np.where(cost > max_cost, max_cost + 1e-5, cost)
    assigned = np.asarray(linear_sum_assignment(cost)).T
    pairs: Pairs = []
    rows_left = [row for index, row in enumerate(rows) if index not in assigned[:, 0]]
    columns_left = [column for index, column in enumerate(columns) if index not in assigned[:, 1]]
    for i, j in assigned:
        if cost[i, j] > max_cost:
            rows_left.append(rows[i])
            columns_left.append(columns[j])
        else:
            pairs.append((rows[i], columns[j]))
    return pairs, rows_left, columns_left
