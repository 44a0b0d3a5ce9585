"""Comparison of an image with the last one: a copy of it, or another scene."""

from __future__ import annotations

from typing import Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.images import BgrImage, scale

# Width and height to which images are reduced to be compared.
COPY_SIZE = (256, 192)
CUT_SIZE = (128, 96)

# Of copies, no tile of so many reduced pixels differs by more grey levels in the mean. Videos with
# loss stay below it, and persons who move are far above: 54 on TUD-Campus, 30 on vtest.avi.
TILE = 8
MOST_DIFFERENCE = 4.0

# A scene is the same if this number of blocks of the reduced image have the same pattern, by their
# correlation; or if this number of larger patches have it elsewhere, all with the same motion of
# up to this number of reduced pixels, because the camera turned. Less contrast (standard deviation
# in grey levels) is no pattern.
BLOCK = (16, 12)
PATCH = (32, 24)
SAME_BLOCKS, SAME_PATCHES = 3, 3
SAME_BLOCK, SAME_PATCH = 0.8, 0.75
CONTRAST, PATCH_CONTRAST = 3.0, 6.0
ALIKE = 3

# Black and overexposed images are not compared: so many blocks need a pattern, and this part of
# the pixels a value within the limits.
LEAST_BLOCKS = 16
LEAST_EXPOSED = 0.4
EXPOSED = (5, 250)


class Scene:
    """The newest images of a stream, reduced."""

    def __init__(self, exact: bool = False) -> None:
        """
        Start without an image.

        :param exact: as in :func:`scale`.
        """
        self._exact = exact
        self._size: Optional[tuple[int, ...]] = None
        self._small: NDArray[np.uint8] = np.empty((*COPY_SIZE[::-1], 3), dtype=np.uint8)
        # The image before, and its blocks.
        self._grey: Optional[NDArray[np.uint8]] = None
        self._blocks: tuple[NDArray[Any], ...] = ()
        # The image of `_small`, until `cut` has compared it too.
        self._image: Optional[BgrImage] = None

    def _reduced(self, image: BgrImage) -> NDArray[np.uint8]:
        small = np.empty_like(self._small)
        scale(image, small, self._exact)
        return small

    def copied(self, image: BgrImage) -> bool:
        """
        Return whether the next image is a copy of the last one that was no copy.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        """
        small, self._image = self._reduced(image), None
        # In a tenth of the time of NumPy's maximum over channels.
        blue, green, red = cv2.split(cv2.absdiff(small, self._small))
        difference = cv2.max(cv2.max(blue, green), red).astype(np.float32)
        tiles = cv2.resize(
            difference, (COPY_SIZE[0] // TILE, COPY_SIZE[1] // TILE), interpolation=cv2.INTER_AREA
        )
        if self._size == image.shape and tiles.max() <= MOST_DIFFERENCE:
            return True
        self._size, self._small, self._image = image.shape, small, image
        return False

    def cut(self, image: BgrImage) -> bool:
        """
        Return whether the next image shows another scene than the last one.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        """
        small = self._small if image is self._image else self._reduced(image)
        self._image = None
        reduced = cv2.resize(small, CUT_SIZE, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(reduced, cv2.COLOR_BGR2GRAY)
        blocks, contrasts = _blocks(grey)
        exposed = (grey >= EXPOSED[0]) & (grey <= EXPOSED[1])
        if (contrasts >= CONTRAST).sum() < LEAST_BLOCKS or exposed.mean() < LEAST_EXPOSED:
            return False
        before, self._grey = self._grey, grey
        known, self._blocks = self._blocks, (blocks, contrasts)
        if before is None:
            return False
        others, other_contrasts = known
        clear = np.minimum(contrasts, other_contrasts) >= CONTRAST
        products = (blocks * others).mean(axis=1)
        same = products[clear] >= SAME_BLOCK * (contrasts * other_contrasts)[clear]
        return bool(same.sum() < SAME_BLOCKS) and not _moved(before, grey)


def _blocks(grey: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the blocks of an image without their means, and their standard deviations."""
    width, height = BLOCK
    rows, columns = grey.shape[0] // height, grey.shape[1] // width
    blocks = grey.reshape(rows, height, columns, width).swapaxes(1, 2)
    blocks = blocks.reshape(rows * columns, -1).astype(np.float32)
    blocks -= blocks.mean(axis=1, keepdims=True)
    return blocks, blocks.std(axis=1)


def _moved(before: NDArray[np.uint8], grey: NDArray[np.uint8]) -> bool:
    """Return whether patches of an image occur in the other one, all with the same motion."""
    width, height = PATCH
    shifts = []
    for top in range(0, grey.shape[0], height):
        for left in range(0, grey.shape[1], width):
            patch = before[top : top + height, left : left + width]
            if patch.std() < PATCH_CONTRAST:
                continue
            found = cv2.matchTemplate(grey, patch, cv2.TM_CCOEFF_NORMED)
            _, correlation, _, place = cv2.minMaxLoc(found)
            if correlation >= SAME_PATCH:
                shifts.append((place[0] - left, place[1] - top))
    apart = (
        np.abs(np.subtract(np.array(shifts)[:, None], shifts)) if shifts else np.zeros((0, 0, 2))
    )
    alike = (apart.max(axis=2) <= ALIKE).sum(axis=1)
    return bool(alike.max(initial=0) >= SAME_PATCHES)
