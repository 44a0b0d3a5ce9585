"""
A straightforward pipeline, like those in notebooks, to compare the tracker with.

It works like OpenVINO's notebook "Person Tracking": device AUTO, images resized and transposed to
float32, one call of the re-identification model with all persons of each image, a tracker like
Deep SORT's reference implementation, and no limits on threads.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from persontrack_ros.benchmark.reference_tracker import ReferenceTracker
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.pipeline import StageTimes

SCORE_THRESHOLD = 0.5
MAX_COSINE_DISTANCE = 0.6


class Notebook:
    """Detection, re-identification and tracking, one after the other."""

    def __init__(self, detector: Path, reid: Path) -> None:
        """
        Load the models.

        :param detector: of the kind of the Open Model Zoo's person-detection-0202.
        :param reid: of the kind of person-reidentification-retail-0287.
        """
        core = ov.Core()
        self._detector = core.compile_model(core.read_model(detector), 'AUTO')
        model = core.read_model(reid)
        model.reshape([-1, *list(model.input().partial_shape)[1:]])
        self._reid = core.compile_model(model, 'AUTO')
        self._tracker = ReferenceTracker(MAX_COSINE_DISTANCE)

    def process(self, image: BgrImage) -> tuple[int, StageTimes]:
        """Track the persons; return their number, and the times."""
        started = time.perf_counter()
        boxes = self._detect(image)
        detected = time.perf_counter()
        embeddings = self._embed(image, boxes)
        embedded = time.perf_counter()
        self._tracker.update(boxes, embeddings)
        ended = time.perf_counter()
        times = StageTimes(detected - started, embedded - detected, ended - embedded)
        return len(boxes), times

    def _detect(self, image: BgrImage) -> FloatArray:
        _, _, rows, columns = self._detector.input(0).shape
        result = self._detector(_prepare(image, rows, columns))[self._detector.output(0)]
        height, width = image.shape[:2]
        boxes = []
        for _, _, score, left, top, right, bottom in result.reshape(-1, 7):
            if score > SCORE_THRESHOLD:
                boxes.append(
                    [left * width, top * height, (right - left) * width, (bottom - top) * height]
                )
        return np.array(boxes, dtype=np.float64).reshape(-1, 4)

    def _embed(self, image: BgrImage, boxes: FloatArray) -> NDArray[Any]:
        if not len(boxes):
            return np.empty((0, 0))
        rows, columns = (side.get_length() for side in list(self._reid.input(0).partial_shape)[2:])
        crops = []
        for left, top, width, height in boxes:
            x1, y1 = max(int(left), 0), max(int(top), 0)
            x2 = max(min(int(left + width), image.shape[1] - 1), x1 + 1)
            y2 = max(min(int(top + height), image.shape[0] - 1), y1 + 1)
            crops.append(_prepare(image[y1:y2, x1:x2], rows, columns))
        return self._reid(np.concatenate(crops))[self._reid.output(0)]


def _prepare(image: BgrImage, rows: int, columns: int) -> NDArray[np.float32]:
    resized = cv2.resize(image, (columns, rows)).transpose(2, 0, 1)
    return np.expand_dims(resized, axis=0).astype(np.float32)
