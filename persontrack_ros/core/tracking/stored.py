"""What is checked of the arrays of a stored state, which can come from anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
from numpy.typing import DTypeLike, NDArray

# No place, speed or time of an image is beyond; its square and quotients do not overflow.
FARTHEST = 1e12

# Integers that a double holds, as ids and counts are stored.
MOST = 2**53

STAMPS = (-(2.0**63), 2.0**63)

# Numbers in a vector of length 1, and what rounding adds.
UNIT = 1.001

# Width and height of an image, as OpenCV takes them at most.
_LARGEST_SIDE = 2**20


def checked(
    state: Mapping[str, NDArray[Any]],
    name: str,
    kind: DTypeLike,
    shape: tuple[Optional[int], ...],
    least: float = -FARTHEST,
    most: float = FARTHEST,
) -> NDArray[Any]:
    """
    Return a copy of an array.

    :param shape: None where any length is allowed.
    :param least: the smallest number that it may have.
    :param most: the largest one.
    :raises KeyError: if it is missing.
    :raises ValueError: if it has another type or shape, or other numbers.
    """
    array = state[name]
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(array.shape, shape)
    )
    if not fits or array.dtype != kind:
        raise ValueError(f'{name} is not what it should be: {array.dtype} of shape {array.shape}')
    # Neither holds of what is not a number.
    if not ((array >= least) & (array <= most)).all():
        raise ValueError(f'{name} has numbers that are not from {least:g} to {most:g}')
    return array.copy()


def checked_ids(state: Mapping[str, NDArray[Any]], next_id: float) -> NDArray[np.intp]:
    """
    Return the ids of the tracks, one for each, rising.

    :raises KeyError: if they are missing.
    :raises ValueError: if they are not from 1 to the one before the next id.
    """
    ids = checked(state, 'ids', np.intp, (None,), 1, MOST)
    if next_id != int(next_id) or (np.diff([0, *ids, next_id]) <= 0).any():
        raise ValueError(f'ids do not rise to the next one, {next_id:g}')
    return ids


def checked_size(state: Mapping[str, NDArray[Any]]) -> Optional[tuple[int, int]]:
    """
    Return width and height of the images; None where they are not known, as in older states.

    :raises ValueError: if they cannot be.
    """
    if 'image_size' not in state:
        return None
    size = checked(state, 'image_size', np.int64, (None,), 1, _LARGEST_SIDE).tolist()
    if len(size) not in (0, 2):
        raise ValueError(f'image_size is {size}')
    return (size[0], size[1]) if size else None
