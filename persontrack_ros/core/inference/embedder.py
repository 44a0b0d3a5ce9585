"""Embeddings: an appearance vector for each person, which distinguishes persons."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.geometry import FloatArray, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage, scale
from persontrack_ros.core.config.settings import NONE, ReidSettings
from persontrack_ros.core.inference.decoding import check_finite
from persontrack_ros.core.inference.detector import GREY
from persontrack_ros.core.inference.exports import describe
from persontrack_ros.core.inference.files import find_model
from persontrack_ros.core.inference.profile import Profile
from persontrack_ros.core.inference.runtime import Runtime, infer_all
from persontrack_ros.core.tracking.appearance import normalise

# The value of `reid.model` for embeddings without a model.
COLOR = 'color'

# Crops per parallel request, so that no thread waits for its next one.
QUEUED = 2


class Embedder:
    """
    Computes embeddings, which are compared by cosine distance; by itself, none.

    :ivar dimension: length of the vectors; 0 without embeddings.
    :ivar device: device of the model; empty without a model.
    """

    dimension = 0
    device = ''

    def embed(self, image: BgrImage, boxes: FloatArray) -> NDArray[np.float32]:
        """
        Compute one vector per box.

        :param image: uint8 BGR, shape ``(height, width, 3)``.
        :param boxes: ``[left, top, width, height]`` in pixels, shape ``(N, 4)``. A box partly
            outside the image is clipped; for a box wholly outside, the nearest pixel is used.
        :returns: L2-normalised vectors, shape ``(N, dimension)``.
        :raises ModelError: if the model gives a NaN or an infinity.
        """
        return np.empty((len(boxes), 0), dtype=np.float32)


def make_embedder(settings: ReidSettings, runtime: Runtime) -> Embedder:
    """
    Return the embedder that the settings name.

    :raises ModelError: if its model is missing, damaged or of another kind.
    """
    if settings.model == NONE:
        return Embedder()
    if settings.model == COLOR:
        return ColorEmbedder()
    return ModelEmbedder(settings, runtime)


class ColorEmbedder(Embedder):
    """
    Describes the colours of clothes without a model, by histograms in stripes from head to foot.

    Each crop is scaled to 32x96 and loses 4 columns of background on each side; of each of 6
    stripes, an 8x4x4 histogram of hue, saturation and value is taken. The square roots of
    relative frequencies make the cosine the Bhattacharyya coefficient. A distance of 0.2 separates
    persons best (0.3 with person-reidentification-retail-0287).
    """

    _STRIPES = 6
    _BINS = (8, 4, 4)
    # OpenCV's hue goes to 180.
    _RANGES = (180, 256, 256)
    _WIDTH, _HEIGHT, _MARGIN = 32, 96, 4

    dimension = _STRIPES * 8 * 4 * 4

    def embed(self, image: BgrImage, boxes: FloatArray) -> NDArray[np.float32]:
        """Compute one vector per box, see :meth:`Embedder.embed`."""
        vectors = [self._describe(crop) for crop in _crops(image, boxes)]
        return np.array(vectors, dtype=np.float32).reshape(-1, self.dimension)

    def _describe(self, crop: BgrImage) -> NDArray[np.float32]:
        small = np.empty((self._HEIGHT, self._WIDTH, 3), dtype=np.uint8)
        scale(crop, small, exact=True)
        inner = small[:, self._MARGIN : -self._MARGIN]
        hsv = cv2.cvtColor(inner, cv2.COLOR_BGR2HSV).astype(np.intp)
        hue, saturation, value = (
            hsv[..., channel] * bins // end
            for channel, (bins, end) in enumerate(zip(self._BINS, self._RANGES))
        )
        stripe = np.arange(self._HEIGHT)[:, None] * self._STRIPES // self._HEIGHT
        index = np.ravel_multi_index(
            (np.broadcast_to(stripe, hue.shape), hue, saturation, value),
            (self._STRIPES, *self._BINS),
        )
        # Every stripe has as many pixels, so the square roots have the same length in each.
        return np.sqrt(np.bincount(index.ravel(), minlength=self.dimension) / index.size)


class ModelEmbedder(Embedder):
    """
    Computes embeddings with a model of the Open Model Zoo's person-reidentification-retail kind.

    Input ``[N, 3, H, W]`` unless a profile says otherwise, output ``[N, D]``.

    :ivar size: height and width of the model's input.
    """

    def __init__(self, settings: ReidSettings, runtime: Runtime) -> None:
        """
        Load, compile and warm up the model.

        :raises ModelError: if it is missing, damaged or of another kind.
        """
        path = self._path = find_model(settings.model, settings.precision)
        # One person per request and as many requests as suit the device: on a CPU one thread per
        # request, which takes half the processor time of all threads on one person, and is as
        # fast per person as any batch.
        compiled, _ = runtime.load(path, Profile, settings.device, parallel=True)
        shapes = list(compiled.shapes.values())
        if len(shapes) != 1 or len(shapes[0]) != 2 or not shapes[0][1]:
            raise ModelError(
                f'{path} is no re-identification model: its outputs are '
                f'{describe(compiled.shapes)}, expected [N, D]'
            )
        self.dimension = shapes[0][1]
        self._exact = runtime.exact
        self._team = compiled.team(QUEUED)
        self.device = self._team[0].device
        self.size = (self._team[0].images.shape[1], self._team[0].images.shape[2])
        for member in self._team:
            member.images.fill(GREY)  # a black image may have no features
            (output,) = member.infer().values()
            if not np.isfinite(output).all() or np.abs(output).max() > 1e4 or not output.any():
                raise ModelError(f'{path} gives impossible vectors: its weights are damaged')

    def embed(self, image: BgrImage, boxes: FloatArray) -> NDArray[np.float32]:
        """Compute one vector per box, see :meth:`Embedder.embed`."""
        embeddings = np.empty((len(boxes), self.dimension), dtype=np.float32)
        crops = _crops(image, boxes)

        def fill(index: int, target: BgrImage) -> None:
            scale(crops[index], target, self._exact)

        for index, outputs in enumerate(infer_all(self._team, len(crops), fill)):
            (embeddings[index],) = outputs.values()
        try:
            check_finite(embeddings)
        except ModelError as error:
            raise ModelError(f'{self._path} {error}') from error
        return normalise(embeddings)


def _crops(image: BgrImage, boxes: FloatArray) -> list[BgrImage]:
    """Crop the boxes from the image, see :func:`pixel_rectangles`."""
    rectangles = pixel_rectangles(boxes, image.shape[1], image.shape[0])
    return [image[top:bottom, left:right] for left, top, right, bottom in rectangles]
