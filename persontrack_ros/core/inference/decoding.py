"""
The outputs of detectors of different kinds, as boxes and scores.

A decoder gets the outputs by name and returns corners ``[left, top, right, bottom]`` in pixels of
the model's input, shape ``(N, 4)``, and scores, shape ``(N,)``; of models with several classes
only the persons count. Class scores, and so thresholds, mean what the model means by them. Each
raises ModelError where a number is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.inference.exports import Shapes, detr_outputs
from persontrack_ros.core.inference.profile import DetectorProfile

Outputs = Mapping[str, NDArray[np.float32]]
Size = tuple[int, int]
Found = tuple[FloatArray, FloatArray]

YOLOX_STRIDES = (8, 16, 32)

# More columns than any model has classes: what is taken for a row is one of another decoder.
MAX_CLASSES = 2000

# One person gives several boxes, to be suppressed.
OVERLAPPING = ('yolox', 'yolov5', 'yolov8')


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
    names = detr_outputs({name: value.shape for name, value in outputs.items()})
    logits, boxes = (outputs[name][0].astype(np.float64) for name in names or ())
    check_finite(logits, boxes)
    if profile.decoder == 'detr':
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        # The last class means "no object".
        scores = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]
    else:
        scores = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    return _parts(boxes, size), _class_scores(scores, profile)


def _parts(boxes: FloatArray, size: Size) -> FloatArray:
    """Return the corners of boxes that are given by centre and size, as parts of the input."""
    boxes = boxes * [size[1], size[0], size[1], size[0]]
    return _corners(boxes[:, :2], boxes[:, 2:])


def _corners(centres: FloatArray, sizes: FloatArray) -> FloatArray:
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def _objects(rows: FloatArray, profile: DetectorProfile) -> FloatArray:
    """Return the score of rows ``[box, objectness, classes...]``."""
    return rows[:, 4] * _class_scores(rows[:, 5:], profile)


DECODERS: dict[str, Callable[[Outputs, DetectorProfile, Size], Found]] = {
    'ssd': _decode_ssd,
    'boxes': _decode_boxes,
    'yolo_nms': _decode_yolo_nms,
    'yolox': _decode_yolox,
    'yolov5': _decode_yolov5,
    'yolov8': _decode_yolov8,
    'rtdetr': _decode_rtdetr,
    'detr': _decode_detr,
    'detr_sigmoid': _decode_detr,
}


def accepts(decoder: str, shapes: Shapes, profile: DetectorProfile, size: Size) -> bool:
    """
    Return whether a decoder can read outputs.

    :param shapes: by name; None is a length that varies.
    :param size: height and width of the input.
    """

    def has_classes(columns: Optional[int], before: int) -> bool:
        return (
            columns is not None and before + (profile.person_class or 0) < columns <= MAX_CLASSES
        )

    shape = next(iter(shapes.values())) if len(shapes) == 1 else ()
    if decoder == 'boxes':
        boxes = shapes.get('boxes', ())
        return len(boxes) in (2, 3) and boxes[-1] == (4 if 'scores' in shapes else 5)
    if decoder in ('detr', 'detr_sigmoid'):
        names = detr_outputs(shapes)
        return names is not None and has_classes(shapes[names[0]][2], int(decoder == 'detr'))
    if decoder == 'ssd':
        return len(shape) == 4 and shape[3] == 7
    if decoder == 'yolo_nms':
        return (len(shape), *shape[-1:]) in ((2, 6), (3, 6), (2, 7))
    if len(shape) != 3:
        return False
    if decoder == 'yolov8':
        return has_classes(shape[1], 4)
    if decoder == 'rtdetr':
        return shape[2] == 6 or has_classes(shape[2], 4)
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in YOLOX_STRIDES)
    return has_classes(shape[2], 5) and (decoder == 'yolov5' or shape[1] == cells)
