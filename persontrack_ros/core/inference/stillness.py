"""
Detection of changes in the images of a fixed camera.

A reduced image is compared, tile by tile, with the last one in which persons were detected. The
mean over the newest images, which has less noise, is compared with the mean of some images ago, to
find very slow motion. A change is a difference above the noise of a tile, which is learned from
the images.
"""

from __future__ import annotations

from collections import deque
from typing import Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage, scale

# Sides of the reduced image and of a tile of it: 2 and 16 pixels of the default detector's input.
SIDE = 256
TILE = 8

# Weight of an image in the mean over the newest ones, and the age in images of the mean that it is
# compared with.
WEIGHT = 0.3
AGE = 8

# The noise of a tile is this quantile of this number of differences, taken this number of images
# apart; before that, it is unknown. Motion in a tile for a quarter of 20 s becomes noise.
QUANTILE = 0.75
SAMPLES = 20
STEP = 25
LEAST_SAMPLES = 10

# A change is above the noise times the factor plus the grey levels. The last value limits the
# noise, because more is a moving camera. One limit for images, where compression leaves rare large
# differences, and one for means. Chosen on persons who enter empty scenes.
IMAGE_LIMIT = (1.5, 1.5, 5.0)
MEAN_LIMIT = (1.4, 0.75, 2.0)

Grey = NDArray[np.float32]


class Stillness:
    """Finds images without changes since the last one in which persons were detected."""

    def __init__(self, exact: bool = False) -> None:
        """
        Start without an image.

        :param exact: as in :func:`scale`.
        """
        self._exact = exact
        self._small = np.empty((SIDE, SIDE, 3), dtype=np.uint8)
        self._newest: Optional[Grey] = None
        self._searched: Optional[Grey] = None
        self._means: deque[Grey] = deque(maxlen=AGE + 1)
        self._images_noise = _Noise(*IMAGE_LIMIT)
        self._means_noise = _Noise(*MEAN_LIMIT)

    def is_still(self, image: BgrImage) -> bool:
        """
        Return whether nothing changed in the next image.

        :param image: uint8 BGR, shape ``(height, width, 3)``, of the same size as before.
        """
        scale(image, self._small, self._exact)
        self._newest = cv2.cvtColor(self._small, cv2.COLOR_BGR2GRAY).astype(np.float32)
        mean = self._means[-1].copy() if self._means else self._newest.copy()
        self._means.append(cv2.accumulateWeighted(self._newest, mean, WEIGHT))
        if self._searched is None:
            return False
        changed = [
            self._images_noise.exceeded(self._newest, self._searched),
            self._means_noise.exceeded(mean, self._means[0]),
        ]
        return not any(changed)

    def searched(self) -> None:
        """Record that persons are detected in the newest image."""
        self._searched = self._newest


class _Noise:
    """The differences of images without changes."""

    def __init__(self, factor: float, levels: float, most: float) -> None:
        self._factor, self._levels, self._most = factor, levels, most
        self._samples: deque[Grey] = deque(maxlen=SAMPLES)
        self._limits: FloatArray = np.zeros(())
        self._count = 0

    def exceeded(self, one: Grey, other: Grey) -> bool:
        """Return whether two images differ by more; true while the noise is unknown."""
        tiles = (SIDE // TILE, SIDE // TILE)
        difference = cv2.resize(cv2.absdiff(one, other), tiles, interpolation=cv2.INTER_AREA)
        if self._count < SAMPLES or self._count % STEP == 0:
            self._samples.append(difference)
            noise = np.quantile(np.array(self._samples), QUANTILE, axis=0)
            self._limits = self._factor * np.minimum(noise, self._most) + self._levels
        self._count += 1
        return len(self._samples) < LEAST_SAMPLES or bool((difference > self._limits).any())
