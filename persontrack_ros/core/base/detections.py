"""The detections of one frame, with or without embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import ArrayLike, NDArray

from persontrack_ros.core.base.geometry import FloatArray, as_boxes

# Limits of the width and height of a box in pixels; the largest one also limits its distance from
# the corner of the image. Far larger values would overflow in a tracker.
SMALLEST = 0.001
LARGEST = 1e6


def possible(boxes: FloatArray) -> NDArray[np.bool_]:
    """Return which boxes ``(N, 4)`` can be persons: finite, not empty and within the limits."""
    near = np.abs(boxes[:, :2]) <= LARGEST
    sizes = boxes[:, 2:]
    return np.asarray((near & (sizes >= SMALLEST) & (sizes <= LARGEST)).all(axis=1))


@dataclass(frozen=True)
class Detections:
    """
    Persons detected in one image.

    :ivar boxes: ``[left, top, width, height]`` in pixels of the image, shape ``(N, 4)``, all
        :func:`possible`.
    :ivar scores: confidence in [0, 1], shape ``(N,)``.
    :ivar embeddings: appearance vector of each, L2-normalised, shape ``(N, D)``; None where they
        were not computed.
    :ivar image_size: width and height of the image in pixels; None where it is not known.
    :ivar ignored: boxes of the detections that `detector.ignore` left out, shape ``(M, 4)``; None
        where there are none.
    :ivar light: whether the detector is that of `detector.light_model`.
    """

    boxes: FloatArray
    scores: FloatArray
    embeddings: Optional[NDArray[np.float32]] = None
    image_size: Optional[tuple[int, int]] = None
    ignored: Optional[FloatArray] = None
    light: bool = False

    @classmethod
    def create(
        cls,
        boxes: ArrayLike,
        scores: ArrayLike,
        embeddings: Optional[ArrayLike] = None,
        image_size: Optional[tuple[int, int]] = None,
    ) -> Detections:
        """
        Check and convert arrays of any type.

        :raises ValueError: if the lengths differ, a value is not finite or a box not possible.
        """
        box_array = as_boxes(boxes)
        score_array = np.asarray(scores, dtype=np.float64).reshape(-1)
        if len(score_array) != len(box_array):
            raise ValueError(f'{len(box_array)} boxes but {len(score_array)} scores')
        if not (possible(box_array).all() and np.isfinite(score_array).all()):
            raise ValueError(
                f'boxes and scores must be finite, and boxes have a width and height from '
                f'{SMALLEST} to {LARGEST:.0f} pixels'
            )
        vectors = None
        if embeddings is not None:
            vectors = np.asarray(embeddings, dtype=np.float32)
            fits = vectors.ndim == 2 and len(vectors) == len(box_array)
            if not (fits and np.isfinite(vectors).all()):
                raise ValueError(
                    f'embeddings must be finite and of shape ({len(box_array)}, D), got '
                    f'{vectors.shape}'
                )
        return cls(box_array, score_array, vectors, image_size)

    def without(self, ignored: NDArray[np.bool_]) -> Detections:
        """Return the other detections; the boxes of the ignored ones are in `ignored`."""
        rest = ~ignored
        vectors = None if self.embeddings is None else self.embeddings[rest]
        return Detections(
            self.boxes[rest],
            self.scores[rest],
            vectors,
            self.image_size,
            self.boxes[ignored],
            self.light,
        )

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.boxes)
