"""Person detection."""

from __future__ import annotations

import copy
import dataclasses
import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.detections import SMALLEST, Detections
from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage, scale
from persontrack_ros.core.config.settings import DetectorSettings
from persontrack_ros.core.inference.decoding import DECODERS, OVERLAPPING, accepts
from persontrack_ros.core.inference.exports import EXPECTED, describe
from persontrack_ros.core.inference.files import find_model
from persontrack_ros.core.inference.profile import DetectorProfile
from persontrack_ros.core.inference.runtime import Runtime

_FULL_HD = 1920 * 1080 * 3
# The border around images of another shape, as in the training of YOLO models.
GREY = 114


class Detector:
    """
    Detects persons with any model that a :class:`DetectorProfile` describes.

    Threads may share a detector; they wait for each other.

    :ivar size: height and width of the model's input.
    :ivar device: the device of the model.
    :ivar own_score_threshold: the score threshold of the model.
    """

    def __init__(
        self, settings: DetectorSettings, runtime: Runtime, pipelined: bool = False
    ) -> None:
        """
        Load, compile and warm up the model.

        :param pipelined: process several images in parallel, see :meth:`team`.
        :raises ModelError: if the model is missing, damaged or of another kind.
        """
        self._path = find_model(settings.model, settings.precision)
        self._exact = runtime.exact
        self._model, self._profile = runtime.load(
            self._path, DetectorProfile, settings.device, pipelined
        )
        self.device = self._model.device
        self.own_score_threshold = self._profile.score_threshold
        self.size = (self._model.images.shape[1], self._model.images.shape[2])
        self._fit = Fit(self._profile.fit, (0, 0), self.size)
        self._lock = threading.Lock()
        shapes = self._model.shapes
        decoder = self._profile.decoder
        if decoder == 'yolov8' and accepts('yolo_nms', shapes, self._profile, self.size):
            # Exported with non-maximum suppression, or made without the need for it.
            decoder = 'yolo_nms'
            self._profile = dataclasses.replace(self._profile, decoder=decoder)
        fitting = [name for name in DECODERS if accepts(name, shapes, self._profile, self.size)]
        if decoder not in fitting:
            hint = f'; they fit the decoder {" or ".join(fitting)}' if fitting else ''
            raise ModelError(
                f'{self._path} is no detector for the decoder {decoder} with person_class '
                f'{self._profile.person_class}: its outputs are {describe(shapes)}, expected '
                f'{EXPECTED[decoder]}{hint}. Describe the model in '
                f'{self._path.with_suffix(".yaml")}, see docs/models.md'
            )
        corners, scores = self._infer()
        impossible = None
        if not ((scores >= 0).all() and (scores <= 1.001).all()):
            impossible = 'scores'
        elif _elsewhere(corners, scores >= self.own_score_threshold, max(self.size)):
            impossible = 'boxes (pixels instead of parts of the image, or the other way round)'
        if impossible:
            raise ModelError(
                f'{self._path} gives impossible {impossible}: its weights are damaged, or it is '
                f'not described by decoder {decoder} and coordinates {self._profile.coordinates}, '
                'see docs/models.md'
            )
        self.set_score_threshold(settings.score_threshold)

    def set_score_threshold(self, threshold: float) -> None:
        """Set the score threshold; 0 uses that of the model."""
        self._score_threshold = threshold or self.own_score_threshold

    def detect(self, image: BgrImage) -> Detections:
        """
        Detect persons.

        :param image: uint8 BGR of any size, shape ``(height, width, 3)``.
        :returns: detections above the score threshold, best first, without embeddings; boxes in
            pixels of the image, as the model gives them: they may reach a little beyond it.
        :raises ModelError: if the model gives a NaN or an infinity.
        """
        height, width = image.shape[:2]
        with self._lock:
            if self._fit.image != (height, width):
                self._fit = Fit(self._profile.fit, (height, width), self.size)
                self._model.images[:] = GREY
            fit = self._fit
            fit.draw(image, self._model.images[0], self._exact)
            corners, scores = self._infer()
        keep = np.flatnonzero(
            (scores >= self._score_threshold) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
        )
        if self._profile.decoder in OVERLAPPING:
            boxes = _boxes(corners[keep]).tolist()
            chosen = cv2.dnn.NMSBoxes(
                boxes, scores[keep].tolist(), 0.0, self._profile.nms_threshold
            )
            order = np.asarray(chosen, dtype=np.intp).reshape(-1)
        else:
            order = np.argsort(-scores[keep], kind='stable')
        boxes = _boxes(fit.to_image(corners[keep[order]]))
        seen = (boxes[:, 2:] >= SMALLEST).all(axis=1)
        return Detections.create(
            boxes[seen], np.minimum(scores[keep[order]][seen], 1.0), image_size=(width, height)
        )

    def team(self) -> list[Detector]:
        """Return this detector and copies of it, as many as can usefully work in parallel."""
        team = [self]
        for model in self._model.team()[1:]:
            other = copy.copy(self)
            other._model = model
            other._fit = Fit(self._profile.fit, (0, 0), self.size)
            other._lock = threading.Lock()
            team.append(other)
        return team

    def _infer(self) -> tuple[FloatArray, FloatArray]:
        try:
            decode = DECODERS[self._profile.decoder]
            return decode(self._model.infer(), self._profile, self.size)
        except ModelError as error:
            raise ModelError(f'{self._path} {error}') from error


class Fit:
    """
    The position of the image in the input of a model.

    :ivar image: height and width of the image.
    """

    def __init__(self, how: str, image: tuple[int, int], size: tuple[int, int]) -> None:
        """
        Compute the position.

        :param how: a `fit` of :class:`DetectorProfile`.
        :param size: height and width of the input.
        """
        self.image = image
        self._top = self._left = 0
        self._height, self._width = size
        if how != 'stretch' and all(image):
            factor = min(size[0] / image[0], size[1] / image[1])
            self._height, self._width = (max(1, round(side * factor)) for side in image)
        if how == 'letterbox':
            self._top, self._left = (size[0] - self._height) // 2, (size[1] - self._width) // 2

    def draw(self, image: BgrImage, target: BgrImage, exact: bool = False) -> None:
        """Write the image into the input; `exact` as in :func:`scale`."""
        rows = slice(self._top, self._top + self._height)
        window = target[rows, self._left : self._left + self._width]
        # Averaging costs more, but pixels skipped by plain interpolation of a large frame alias.
        interpolation = cv2.INTER_AREA if image.size > _FULL_HD else cv2.INTER_LINEAR
        scale(image, window, exact, interpolation)

    def to_image(self, corners: FloatArray) -> FloatArray:
        """Convert ``[left, top, right, bottom]`` from pixels of the input to the image's."""
        factor = [self.image[1] / self._width, self.image[0] / self._height] * 2
        return (corners - [self._left, self._top] * 2) * factor


def _boxes(corners: FloatArray) -> FloatArray:
    """Convert ``[left, top, right, bottom]`` to ``[left, top, width, height]``."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _elsewhere(corners: FloatArray, persons: NDArray[np.bool_], side: int) -> bool:
    """Return whether the boxes of persons (of all classes without one) cannot be in pixels."""
    corners = corners[persons] if persons.any() else corners
    corners = corners[(corners[:, 2:] > corners[:, :2]).all(axis=1)]
    reach = np.abs(corners).max(axis=1, initial=0)
    return bool(len(reach)) and not 2 < np.median(reach) < 8 * side
