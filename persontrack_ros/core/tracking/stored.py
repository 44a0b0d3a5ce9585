"""Checks of the arrays of a stored state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
from numpy.typing import DTypeLike, NDArray


def checked(
    state: Mapping[str, NDArray[Any]],
    name: str,
    kind: DTypeLike,
    shape: tuple[Optional[int], ...],
) -> NDArray[Any]:
    """
    Return a copy of an array.

    :param shape: None for any length.
    :raises KeyError: if it is missing.
    :raises ValueError: if it has another type or shape, or numbers that are not finite.
    """
    array = state[name]
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(array.shape, shape)
    )
    if not fits or array.dtype != kind:
        raise ValueError(f'{name} is not what it should be: {array.dtype} of shape {array.shape}')
    if not np.isfinite(array).all():
        raise ValueError(f'{name} has numbers that are not finite')
    return array.copy()


def checked_if_known(
    state: Mapping[str, NDArray[Any]], name: str, kind: DTypeLike, count: int
) -> list[Any]:
    """
    Return a number of values, or none if the tracker did not know them yet.

    :raises KeyError: see :func:`checked`.
    :raises ValueError: see :func:`checked`.
    """
    return checked(state, name, kind, (count if state[name].size else 0,)).tolist()
