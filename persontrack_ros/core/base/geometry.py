"""
Boxes and computations with them.

A *box* is ``[left, top, width, height]`` in pixels of the input image (x to the right, y down,
float64); ``boxes`` has shape ``(N, 4)``. A *measurement* is ``[centre x, centre y, aspect,
height]`` with aspect = width / height, the observation space of the Deep SORT Kalman filter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def as_boxes(boxes: ArrayLike) -> FloatArray:
    """
    Return the boxes as a float64 array of shape ``(N, 4)``; an empty input gives ``(0, 4)``.

    :raises ValueError: if the array has another shape.
    """
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f'boxes must have shape (N, 4), got {array.shape}')
    return array


def boxes_to_measurements(boxes: FloatArray) -> FloatArray:
    """Convert boxes ``(N, 4)`` to measurements ``(N, 4)``."""
    measurements = boxes.copy()
    measurements[:, :2] += boxes[:, 2:] / 2
    measurements[:, 2] /= boxes[:, 3]
    return measurements


def measurements_to_boxes(measurements: FloatArray) -> FloatArray:
    """Convert measurements ``(N, 4)`` to boxes ``(N, 4)``."""
    boxes = measurements.copy()
    boxes[:, 2] *= measurements[:, 3]
    boxes[:, :2] -= boxes[:, 2:] / 2
    return boxes


def iou(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """
    Compute the intersection over union of every box with every other box.

    :param boxes: shape ``(N, 4)``.
    :param others: shape ``(M, 4)``.
    :returns: shape ``(N, M)``, in [0, 1]; 0 where both boxes are empty.
    """
    shared = _intersection(boxes, others)
    union = np.add.outer(_areas(boxes), _areas(others))
    union -= shared
    # Far from the origin, rounding can make the shared area larger than either box.
    np.maximum(union, shared, out=union)
    return np.divide(shared, union, out=shared, where=shared > 0)


def pairwise_iou(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Compute the intersection over union of boxes ``(N, 4)`` with one other ``(N, 4)`` each."""
    starts = np.maximum(boxes[:, :2], others[:, :2])
    ends = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    sides = np.maximum(ends - starts, 0.0)
    shared = sides[:, 0] * sides[:, 1]
    union = np.maximum(_areas(boxes) + _areas(others) - shared, shared)
    return np.divide(shared, union, out=shared, where=shared > 0)


def coverage(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Compute the part of every box ``(N, 4)`` that every other one ``(M, 4)`` covers."""
    return _intersection(boxes, others) / _areas(boxes)[:, None]


def _areas(boxes: FloatArray) -> FloatArray:
    return boxes[:, 2] * boxes[:, 3]


def _intersection(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Return the area that two boxes share, shape ``(N, M)``."""
    starts, other_starts = boxes[:, :2], others[:, :2]
    ends, other_ends = starts + boxes[:, 2:], other_starts + others[:, 2:]
    # In place: new arrays cost more time than the arithmetic.
    width, height = (np.minimum.outer(ends[:, axis], other_ends[:, axis]) for axis in (0, 1))
    buffer = np.empty_like(width)
    for axis, side in enumerate((width, height)):
        side -= np.maximum.outer(starts[:, axis], other_starts[:, axis], out=buffer)
        np.maximum(side, 0.0, out=side)
    width *= height
    return width


def pixel_rectangles(boxes: FloatArray, width: int, height: int) -> NDArray[np.intp]:
    """
    Clip boxes to whole pixels of an image.

    A box outside the image becomes the nearest pixel of it, so that every box has at least one
    pixel and a caller needs no special case.

    :param boxes: shape ``(N, 4)``.
    :returns: ``[left, top, right, bottom]`` per box, shape ``(N, 4)``, right and bottom exclusive.
    """
    size = np.array([width, height])
    near = np.clip(np.floor(boxes[:, :2]), 0, size - 1)
    far = np.clip(np.ceil(boxes[:, :2] + boxes[:, 2:]), near + 1, size)
    return np.concatenate([near, far], axis=1).astype(np.intp)
