"""
The association of the persistent tracker, stage by stage.

First detections that overlap one track and no other; then the confirmed tracks by overlap, gate
and appearance together; and the tentative ones by overlap. Lost persons are found again when a new
track is confirmed. docs/tracking.md has the source and the gain of each idea. Times are in
seconds, lengths in heights of the person's box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray, pairwise_iou
from persontrack_ros.core.tracking.association import IndexArray, associate, associate_pairs
from persontrack_ros.core.tracking.kalman_filter import GATING_THRESHOLD
from persontrack_ros.core.tracking.table import Detected, Table
from persontrack_ros.core.tracking.track import NO_DETECTION

# A track competes for this number of detections at most, the nearest ones. No crowd is that dense,
# and a detector with thousands of detections in one spot must not stop the robot.
MAX_RIVALS = 200

# The gate is wider than what the filter expects of a well detected person: persons who touch, and
# are lost because of it, are detected badly. These are Deep SORT's values at 10 frames per second.
GATE = (0.05, 0.05, 0.1, 0.05)

# Association of confirmed tracks: cost 1 - IoU + weight * cosine distance. The largest cost is
# that of no overlap and a distance of 1.
APPEARANCE_WEIGHT = 0.75
MIN_IOU = 0.2

# Largest cosine distance of a pair. Different persons in one image are 0.54 or more apart (1st
# percentile). Without embeddings the distance has a value within the limit.
MAX_DISTANCE = 0.6
UNKNOWN_DISTANCE = 0.55

# A lost person may be this number of heights times the square root of the time away.
REACH = 2.0

# A detection that overlaps one track by at least the first and no other by more than the second
# belongs to the track, whatever its appearance.
UNAMBIGUOUS_IOU = 0.5
OTHERS_IOU = 0.2

# Cosine distance at which a new person is a lost one nearby.
REUNION_DISTANCE = 0.5

# The similarity of a pair is this much faster in the product of all embeddings than alone.
PRODUCT_GAIN = 16


@dataclass(frozen=True)
class Pairs:
    """
    Candidate pairs of tracks and detections; pairs far apart are left out.

    :ivar overlap: IoU of each pair.
    :ivar in_gate: whether the gate of the filter lets it pass.
    """

    tracks: IndexArray
    detections: IndexArray
    overlap: FloatArray
    in_gate: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.tracks)

    def __getitem__(self, index: NDArray[Any]) -> Pairs:
        return Pairs(
            self.tracks[index], self.detections[index], self.overlap[index], self.in_gate[index]
        )


class Matching:
    """Pairs of tracks and detections; each stage of the association adds some."""

    def __init__(self, tracks: int, detections: int) -> None:
        """Start without pairs of so many tracks and detections."""
        self.detection_of = np.full(tracks, NO_DETECTION, dtype=np.intp)
        self.free = np.ones(detections, dtype=bool)

    def add(self, tracks: IndexArray, detections: IndexArray) -> None:
        """Add pairs."""
        self.detection_of[tracks] = detections
        self.free[detections] = False

    def open(self, pairs: Pairs, tracks: NDArray[np.bool_]) -> Pairs:
        """Return the pairs of these tracks that may still be matched."""
        unmatched = tracks & (self.detection_of == NO_DETECTION)
        return pairs[unmatched[pairs.tracks] & self.free[pairs.detections]]

    def assign(
        self, pairs: Pairs, allowed: NDArray[np.bool_], cost: FloatArray, max_cost: float
    ) -> None:
        """Match what is allowed, for the smallest cost."""
        tracks, detections = pairs.tracks[allowed], pairs.detections[allowed]
        chosen = associate_pairs(cost[allowed], max_cost, tracks, detections)
        self.add(tracks[chosen], detections[chosen])


def _distance_of_pairs(pairs: Pairs, table: Table, detected: Detected) -> FloatArray:
    """Return the cosine distance of each pair, shape ``(P,)``."""
    embeddings, rows, columns = table.embeddings, pairs.tracks, pairs.detections
    if PRODUCT_GAIN * len(pairs) < len(embeddings) * len(detected.embeddings):
        similarity = np.einsum('ij,ij->i', embeddings[rows], detected.embeddings[columns])
    else:
        similarity = (embeddings @ detected.embeddings.T)[rows, columns]
    embedded = table.embedded[rows] & detected.known[columns]
    return np.where(embedded, 1 - similarity, UNKNOWN_DISTANCE)


def candidate_pairs(table: Table, boxes: FloatArray, measurements: FloatArray) -> Pairs:
    """Return all pairs that overlap enough for anything, or that pass the filter's gate."""
    own, position = table.boxes, table.kalman.position
    variance = table.kalman.innovation_variance(GATE)
    reach = np.sqrt(GATING_THRESHOLD * variance[:, :2])
    near = np.minimum(own[:, :2], position[:, :2] - reach)
    far = np.maximum(own[:, :2] + own[:, 2:], position[:, :2] + reach)
    ends = boxes[:, :2] + boxes[:, 2:]
    touching = np.less_equal.outer(near[:, 0], ends[:, 0])
    touching &= np.greater_equal.outer(far[:, 0], boxes[:, 0])
    touching &= np.less_equal.outer(near[:, 1], ends[:, 1])
    touching &= np.greater_equal.outer(far[:, 1], boxes[:, 1])
    if len(boxes) > MAX_RIVALS:
        _thin(touching, table.kalman.position, measurements)
    # Many times as fast as np.nonzero for arrays that are mostly False.
    tracks, detections = np.divmod(np.flatnonzero(touching), max(1, len(boxes)))
    squared = np.square(measurements[detections] - position[tracks]) / variance[tracks]
    pairs = Pairs(
        tracks,
        detections,
        pairwise_iou(own[tracks], boxes[detections]),
        squared.sum(axis=1) <= GATING_THRESHOLD,
    )
    return pairs[pairs.in_gate | (pairs.overlap >= min(MIN_IOU, OTHERS_IOU))]


def _thin(touching: NDArray[np.bool_], position: FloatArray, measurements: FloatArray) -> None:
    """Keep only the nearest detections of each track, where there are too many."""
    for row in np.flatnonzero(np.count_nonzero(touching, axis=1) > MAX_RIVALS):
        rivals = np.flatnonzero(touching[row])
        apart = np.abs(measurements[rivals] - position[row]).sum(axis=1)
        touching[row, rivals[np.argpartition(apart, MAX_RIVALS)[MAX_RIVALS:]]] = False


def unambiguous(pairs: Pairs, fresh: NDArray[np.bool_]) -> tuple[IndexArray, IndexArray]:
    """
    Return tracks and detections that overlap each other well and no other.

    :param fresh: which tracks need no new embedding, shape ``(N,)``.
    """
    touching = pairs[pairs.overlap > OTHERS_IOU]
    alone = fresh[touching.tracks] & (touching.overlap >= UNAMBIGUOUS_IOU)
    for side in (touching.tracks, touching.detections):
        alone &= np.bincount(side)[side] == 1
    return touching.tracks[alone], touching.detections[alone]


def by_everything(matching: Matching, table: Table, pairs: Pairs, detected: Detected) -> None:
    """Match confirmed tracks by overlap or gate, and appearance."""
    pairs = matching.open(pairs, table.confirmed)
    if not len(pairs):
        return
    distance = _distance_of_pairs(pairs, table, detected)
    feasible = ((pairs.overlap > MIN_IOU) | pairs.in_gate) & (distance <= MAX_DISTANCE)
    cost = 1 - pairs.overlap + APPEARANCE_WEIGHT * distance
    matching.assign(pairs, feasible, cost, 1 + APPEARANCE_WEIGHT)


def by_overlap(matching: Matching, table: Table, pairs: Pairs) -> None:
    """Match tentative tracks, and those seen in the last image, by overlap alone."""
    pairs = matching.open(pairs, ~table.confirmed | (table.misses == 1))
    matching.assign(pairs, pairs.overlap >= MIN_IOU, 1 - pairs.overlap, 1 - MIN_IOU)


def reunite(
    table: Table, lost: IndexArray, due: IndexArray, now: float
) -> tuple[IndexArray, IndexArray]:
    """
    Return tracks that are lost and new tracks that are the same persons.

    :param lost: rows of tracks that are lost.
    :param due: rows of the new ones.
    """
    distance = 1.0 - table.embeddings[lost] @ table.embeddings[due].T
    distance[~table.embedded[lost]] = np.inf
    distance[:, ~table.embedded[due]] = np.inf
    # The unit is the height times the square root of the seconds lost.
    position, new = table.kalman.position[lost], table.kalman.position[due]
    apart = np.hypot(*(np.subtract.outer(position[:, axis], new[:, axis]) for axis in (0, 1)))
    # Avoids a division by zero when stamps do not advance.
    away = np.maximum(table.lost_time(now)[lost], 1e-6)
    distance[apart / (position[:, 3] * np.sqrt(away))[:, None] > REACH] = np.inf
    found = associate(distance, REUNION_DISTANCE, lost, due)
    return found.tracks, found.detections
