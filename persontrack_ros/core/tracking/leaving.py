"""The exit rule of the persistent tracker: a track lost at the border of the image has left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.tracking.table import Table

# A track has left if it was lost for this time within this part of the image's larger side from
# its border, and moved outwards, unless the mean motion of the camera over the last time explains
# it.
EXIT_TIME = 0.5
BORDER = 0.02
DRIFT_TIME = 1.0


def at_border(
    boxes: FloatArray, image_size: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which boxes are at the left and top, and at the right and bottom border."""
    margin = BORDER * max(image_size)
    near = boxes[:, :2] <= margin
    far = boxes[:, :2] + boxes[:, 2:] >= np.array(image_size) - margin
    return near, far


def leaving(
    table: Table, image_size: tuple[int, int], now: float, elapsed: float
) -> NDArray[np.bool_]:
    """
    Return which tracks are lost for a while at the border and moved out by themselves.

    Such a track was faster than the background when last seen; or its path since then reaches the
    border and is longer than that of the background in the time before.

    :param now: the time of the image before, in seconds.
    :param elapsed: since then.
    """
    lost = table.lost_time(now)
    away = lost > EXIT_TIME
    if not away.any():
        return away
    boxes = table.boxes
    velocity = table.kalman.velocity[:, :2]
    drift = np.abs(table.drifts)
    # Positions are the predictions for the last image.
    way = velocity * (lost - elapsed)[:, None]
    near, far = at_border(boxes, image_size)
    # A person within a body's width of the border may be lost because of it.
    width = boxes[:, 2:3].copy()
    boxes[:, :2] -= way + width
    boxes[:, 2:] += 2 * width
    near_at_rest, far_at_rest = at_border(boxes, image_size)
    further = np.abs(way) > DRIFT_TIME * drift
    further &= ~(near & near_at_rest | far & far_at_rest)
    own = (np.abs(velocity) >= drift) | further
    outwards = own & (near & (velocity < 0) | far & (velocity > 0))
    # A small step over another border proves little.
    carried = ~own & (near | far)
    return away & (outwards[:, 0] | outwards[:, 1]) & ~(carried[:, 0] | carried[:, 1])


def record_drift(table: Table, shift: FloatArray, elapsed: float) -> None:
    """
    Record the speed of the background at the tracks that were just seen.

    :param shift: motion of the background at each track in the elapsed time, shape ``(N, 2)``.
    """
    seen = table.misses == 0
    if elapsed > 0:
        kept = np.exp(-elapsed / DRIFT_TIME)
        table.drifts[seen] *= kept
        table.drifts[seen] += (1 - kept) / elapsed * shift[seen]
