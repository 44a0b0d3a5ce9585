"""
The outputs of detectors of different kinds, as boxes and scores.

A decoder gets the outputs by name and returns corners ``[left, top, right, bottom]`` in pixels of
the model's input, shape ``(N, 4)``, and scores, shape ``(N,)``; of models with several classes
only the persons count. Class scores, and so thresholds, mean what the model means by them. Each
raises ModelError where a number is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.inference.exports import Shape, Shapes, detr_outputs
from persontrack_ros.core.inference.profile import DetectorProfile

Outputs = Mapping[str, NDArray[np.float32]]
Size = tuple[int, int]
Found = tuple[FloatArray, FloatArray]

YOLOX_STRIDES = (8, 16, 32)

# More columns than any model has classes: what is taken for a row is one of another decoder.
MAX_CLASSES = 2000


@dataclass(frozen=True)
class Decoder:
    """
    A kind of output.

    :ivar expected: its shapes in words, for errors.
    :ivar accepts: whether a model has such outputs; None in a shape is a length that varies.
    :ivar decode: called, as `accepts` is, with outputs, profile and the input's (height, width).
    :ivar overlapping: whether one person gives several boxes, to be suppressed.
    """

    expected: str
    accepts: Callable[[Shapes, DetectorProfile, Size], bool]
    decode: Callable[[Outputs, DetectorProfile, Size], Found]
    overlapping: bool = False


def check_finite(*values: NDArray[Any]) -> None:
    """
    Check what a model gives.

    :raises ModelError: if there is a NaN or an infinity in it.
    """
    if not all(np.isfinite(value).all() for value in values):
        raise ModelError(
            'gives numbers that are none (NaN or infinite): its weights are damaged, or too large '
            'for the precision or device; try inference.precision f32, or another device'
        )


def _only(values: Mapping[str, NDArray[np.float32]]) -> FloatArray:
    (value,) = values.values()
    check_finite(value)
    return value.astype(np.float64)


def _pixels(profile: DetectorProfile, size: Size) -> FloatArray:
    """Return what coordinates are multiplied by."""
    height, width = size
    return np.array([width, height, width, height] if profile.coordinates == 'relative' else [1.0])


def _of_class(classes: NDArray[np.floating[Any]], profile: DetectorProfile) -> NDArray[np.bool_]:
    if profile.person_class is None:
        return np.ones(len(classes), dtype=bool)
    return np.round(classes) == profile.person_class


def _class_scores(scores: FloatArray, profile: DetectorProfile) -> FloatArray:
    """Return the score of the class person, from one column per class."""
    if profile.person_class is None:
        return scores.max(axis=1)
    return scores[:, profile.person_class]


def _decode_ssd(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    (rows,) = outputs.values()
    rows = rows[0, 0].astype(np.float64)
    # An image_id of -1 ends the list; anything may stand behind it.
    ends = np.flatnonzero((rows[:, 0] < 0) & np.isfinite(rows[:, 0]))
    rows = rows[: ends[0]] if len(ends) else rows
    check_finite(rows)
    rows = rows[_of_class(rows[:, 1], profile)]
    height, width = size
    return rows[:, 3:7] * [width, height, width, height], rows[:, 2]


def _decode_boxes(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    check_finite(*(outputs[name] for name in ('boxes', 'scores', 'labels') if name in outputs))
    boxes = outputs['boxes'].astype(np.float64)
    boxes = boxes.reshape(-1, boxes.shape[-1])
    scores = outputs['scores'].reshape(-1) if 'scores' in outputs else boxes[:, 4]
    keep = np.ones(len(boxes), dtype=bool)
    if 'labels' in outputs:
        keep = _of_class(outputs['labels'].reshape(-1), profile)
    return boxes[keep, :4] * _pixels(profile, size), scores[keep].astype(np.float64)


def _decode_yolo_nms(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    rows = _only(outputs)
    rows = rows.reshape(-1, rows.shape[-1])
    if rows.shape[1] == 7:
        # YOLOv7's export: [image, left, top, right, bottom, class, score].
        rows = rows[:, [1, 2, 3, 4, 6, 5]]
    rows = rows[_of_class(rows[:, 5], profile)]
    return rows[:, :4] * _pixels(profile, size), rows[:, 4]


def _decode_yolox(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    rows = _only(outputs)[0]
    cells, strides = [], []
    for stride in YOLOX_STRIDES:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    scale = np.concatenate(strides)
    centres = (rows[:, :2] + np.concatenate(cells)) * scale
    return _corners(centres, np.exp(rows[:, 2:4]) * scale), _objects(rows, profile)


def _decode_yolov5(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    rows = _only(outputs)[0]
    boxes = rows[:, :4] * _pixels(profile, size)
    return _corners(boxes[:, :2], boxes[:, 2:]), _objects(rows, profile)


def _decode_yolov8(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    rows = _only(outputs)[0].T
    boxes = rows[:, :4] * _pixels(profile, size)
    return _corners(boxes[:, :2], boxes[:, 2:]), _class_scores(rows[:, 4:], profile)


def _decode_rtdetr(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    rows = _only(outputs)[0]
    scores = rows[:, 4:]
    # With two classes, both kinds have six columns; numbers of classes are whole, scores are not.
    if scores.shape[1] == 2 and (scores[:, 1] == np.round(scores[:, 1])).all():
        rows = rows[_of_class(scores[:, 1], profile)]
        person = rows[:, 4]
    else:
        person = _class_scores(scores, profile)
    return _parts(rows[:, :4], size), person


def _decode_detr(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    logits, boxes = _detr(outputs)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    # The last class means "no object".
    scores = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]
    return _parts(boxes, size), _class_scores(scores, profile)


def _decode_detr_sigmoid(outputs: Outputs, profile: DetectorProfile, size: Size) -> Found:
    logits, boxes = _detr(outputs)
    scores = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    return _parts(boxes, size), _class_scores(scores, profile)


def _detr(outputs: Outputs) -> tuple[FloatArray, FloatArray]:
    """Return logits and boxes."""
    names = detr_outputs({name: value.shape for name, value in outputs.items()})
    logits, boxes = (outputs[name][0].astype(np.float64) for name in names or ())
    check_finite(logits, boxes)
    return logits, boxes


def _parts(boxes: FloatArray, size: Size) -> FloatArray:
    """Return the corners of boxes that are given by centre and size, as parts of the input."""
    boxes = boxes * [size[1], size[0], size[1], size[0]]
    return _corners(boxes[:, :2], boxes[:, 2:])


def _corners(centres: FloatArray, sizes: FloatArray) -> FloatArray:
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def _objects(rows: FloatArray, profile: DetectorProfile) -> FloatArray:
    """Return the score of rows ``[box, objectness, classes...]``."""
    return rows[:, 4] * _class_scores(rows[:, 5:], profile)


def _accepts_ssd(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    shape = _one(shapes)
    return len(shape) == 4 and shape[3] == 7


def _accepts_boxes(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    shape = shapes.get('boxes', ())
    return len(shape) in (2, 3) and shape[-1] == (4 if 'scores' in shapes else 5)


def _accepts_yolo_nms(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    shape = _one(shapes)
    return (len(shape), *shape[-1:]) in ((2, 6), (3, 6), (2, 7))


def _accepts_yolox(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in YOLOX_STRIDES)
    shape = _one(shapes)
    return len(shape) == 3 and shape[1] == cells and _has_classes(shape[2], 5, profile)


def _accepts_yolov5(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    shape = _one(shapes)
    return len(shape) == 3 and _has_classes(shape[2], 5, profile)


def _accepts_yolov8(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    shape = _one(shapes)
    return len(shape) == 3 and _has_classes(shape[1], 4, profile)


def _accepts_rtdetr(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    shape = _one(shapes)
    return len(shape) == 3 and (shape[2] == 6 or _has_classes(shape[2], 4, profile))


def _accepts_detr(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    names = detr_outputs(shapes)
    return names is not None and _has_classes(shapes[names[0]][2], 1, profile)


def _accepts_detr_sigmoid(shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    names = detr_outputs(shapes)
    return names is not None and _has_classes(shapes[names[0]][2], 0, profile)


def _one(shapes: Shapes) -> Shape:
    """Return the shape of the only output, or one that is never right."""
    return next(iter(shapes.values())) if len(shapes) == 1 else ()


def _has_classes(columns: Optional[int], before: int, profile: DetectorProfile) -> bool:
    return columns is not None and before + (profile.person_class or 0) < columns <= MAX_CLASSES


DECODERS = {
    'ssd': Decoder(
        'one output [1, 1, N, 7] of rows [image, class, score, left, top, right, bottom]',
        _accepts_ssd,
        _decode_ssd,
    ),
    'boxes': Decoder(
        'an output "boxes" [N, 5] of rows [left, top, right, bottom, score], or [N, 4] with an '
        'output "scores" [N]; and an output "labels" [N] where there are several classes',
        _accepts_boxes,
        _decode_boxes,
    ),
    'yolo_nms': Decoder(
        'one output [1, N, 6] of rows [left, top, right, bottom, score, class], or [N, 7] of rows '
        '[image, left, top, right, bottom, class, score]',
        _accepts_yolo_nms,
        _decode_yolo_nms,
    ),
    'yolox': Decoder(
        'one output [1, N, 5 + classes], a row for each cell of the strides 8, 16 and 32',
        _accepts_yolox,
        _decode_yolox,
        overlapping=True,
    ),
    'yolov5': Decoder(
        'one output [1, N, 5 + classes]', _accepts_yolov5, _decode_yolov5, overlapping=True
    ),
    'yolov8': Decoder(
        'one output [1, 4 + classes, N]', _accepts_yolov8, _decode_yolov8, overlapping=True
    ),
    'rtdetr': Decoder(
        'one output [1, N, 4 + classes], or [1, N, 6] of rows [centre, size, score, class]',
        _accepts_rtdetr,
        _decode_rtdetr,
    ),
    'detr': Decoder(
        'outputs "logits" [1, N, classes + 1] and "pred_boxes" [1, N, 4]',
        _accepts_detr,
        _decode_detr,
    ),
    'detr_sigmoid': Decoder(
        'outputs "logits" [1, N, classes] and "pred_boxes" [1, N, 4]',
        _accepts_detr_sigmoid,
        _decode_detr_sigmoid,
    ),
}


def suppress(corners: FloatArray, scores: FloatArray, threshold: float) -> NDArray[np.intp]:
    """
    Return the indices of the boxes that stay, best first (greedy non-maximum suppression).

    :param threshold: the largest IoU with a better box.
    """
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    chosen = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, threshold)
    return np.asarray(chosen, dtype=np.intp).reshape(-1)
