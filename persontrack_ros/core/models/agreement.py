"""
Whether an INT8 version of a model still gives what the original does.

It is compared where it is made, see :mod:`quantize`, and wherever it is used for the first time:
arithmetic in 8 bits is not the same on processors of all kinds. For that, some images and what the
original makes of them are kept beside it, as ``NAME.check.npz``.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.errors import ModelError
from persontrack_ros.core.geometry import iou
from persontrack_ros.core.models.catalogue import QUANTIZED
from persontrack_ros.core.models.runtime import Runtime

_logger = logging.getLogger(__name__)

_SUFFIX = '.check.npz'

# A detection of both versions is the same from this IoU on.
SAME_IOU = 0.5
# Images that are kept, and how much they have to agree: in so few, a person more or less counts
# much. They tell nonsense, which shares nothing.
EXAMPLES = 6
_ENOUGH = 0.75

# Of an image, uint8 BGR: boxes [left, top, width, height] of shape (N, 4), or a vector of length 1
# and shape (1, D).
Answer = Callable[[NDArray[np.uint8]], NDArray[Any]]
# What two versions give for an image.
Pair = tuple[NDArray[Any], NDArray[Any]]


def count_shared(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Return how many boxes of both have a partner in the other one, and how many there are."""
    partnered = total = 0
    for one, other in pairs:
        total += len(one) + len(other)
        if len(one) and len(other):
            same = iou(one, other) >= SAME_IOU
            partnered += int(same.any(axis=0).sum() + same.any(axis=1).sum())
    return partnered, total


def boxes_agree(pairs: Sequence[Pair]) -> float:
    """Return the part of all boxes that have a partner; 1 where there are none."""
    partnered, total = count_shared(pairs)
    return partnered / total if total else 1.0


def vectors_agree(pairs: Sequence[Pair]) -> float:
    """Return the mean cosine of vectors of length 1."""
    return float(np.mean([np.sum(one * other) for one, other in pairs]))


def keep_examples(path: Path, images: Sequence[NDArray[np.uint8]], answer: Answer) -> None:
    """
    Write what :func:`check_first_use` reads.

    :param path: of the INT8 version.
    :param images: all of one size, that of the model's input: large ones would only take space.
    :param answer: of the original.
    """
    answers: dict[str, Any] = {
        f'answer_{index}': answer(image) for index, image in enumerate(images)
    }
    np.savez_compressed(path.with_suffix(_SUFFIX), images=np.stack(images), **answers)


def check_first_use(
    path: Path,
    runtime: Runtime,
    device: str,
    answer: Answer,
    agreement: Callable[[Sequence[Pair]], float],
) -> None:
    """
    Compare an INT8 version with the original the first time that it is used on a processor.

    Of other models, nothing is kept to compare them with.

    :raises ModelError: with the figures, if they do not agree.
    """
    examples = path.with_suffix(_SUFFIX)
    if not examples.is_file():
        if path.parent.name == QUANTIZED:
            _logger.warning(
                '%s is used unchecked: there is no %s beside it, which "persontrack models '
                'quantize" writes',
                path,
                examples.name,
            )
        return
    with runtime.first_use(path, device) as first:
        if not first:
            return
        try:
            with np.load(examples) as kept:
                pairs = [
                    (kept[f'answer_{index}'], answer(image))
                    for index, image in enumerate(kept['images'])
                ]
            found = agreement(pairs)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(
                f'cannot read {examples}: it is damaged. Copy it anew, or make it with '
                '"persontrack models quantize"'
            ) from error
        if found < _ENOUGH:
            raise ModelError(
                f'{path} does not work on this processor: on {len(pairs)} images, it agrees with '
                f'the original to {100 * found:.1f} %, expected at least {100 * _ENOUGH:.0f} %. '
                'Use another precision, or make it here with "persontrack models quantize"'
            )
