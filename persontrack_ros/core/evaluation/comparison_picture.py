"""A picture of frames that differ: A on the left, B on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.drawing import label, track_color
from persontrack_ros.core.evaluation.comparison import Boxes, Difference, Frames

_GREY = (128, 128, 128)
_WHITE = (255, 255, 255)
# Space around the boxes if there are no images.
_BLANK_SIZE = (640, 480)


def draw_differences(
    differences: Sequence[Difference],
    titles: Sequence[str],
    a: Frames,
    b: Frames,
    images: Mapping[int, BgrImage],
) -> BgrImage:
    """
    Draw frames that differ, one below the other.

    Boxes that differ are thick and coloured, the others thin and grey.

    :param titles: title of each frame.
    :param images: by key of the frame; a frame without one is drawn on grey.
    """
    rows = []
    for difference, title in zip(differences, titles):
        boxes_a, boxes_b = a.get(difference.key, {}), b.get(difference.key, {})
        image = images.get(difference.key)
        if image is None:
            image = _blank([*boxes_a.values(), *boxes_b.values()])
        sides = [
            _draw_side(image, boxes_a, difference.ids_a, f'A, {title}'),
            _draw_side(image, boxes_b, difference.ids_b, f'B, {title}'),
        ]
        gap = np.full((image.shape[0], 4, 3), 255, dtype=np.uint8)
        rows.append(np.concatenate([sides[0], gap, sides[1]], axis=1))
    width = max(row.shape[1] for row in rows)
    padded = [
        cv2.copyMakeBorder(row, 0, 4, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=_WHITE)
        for row in rows
    ]
    return np.concatenate(padded)


def _draw_side(image: BgrImage, boxes: Boxes, differing: set[int], title: str) -> BgrImage:
    canvas = image.copy()
    scale = max(0.4, min(canvas.shape[0] / 900, canvas.shape[1] / 1200))
    line = max(1, round(2 * scale))
    # Draw boxes that differ last, so that nothing hides them.
    for id_ in sorted(boxes, key=lambda id_: id_ in differing):
        left, top, width, height = np.round(boxes[id_]).astype(int).tolist()
        color = track_color(id_) if id_ in differing else _GREY
        thickness = 2 * line + 1 if id_ in differing else line
        cv2.rectangle(canvas, (left, top), (left + width, top + height), color, thickness)
        label(canvas, str(id_), (left, top), scale, color)
    label(canvas, title, (0, 0), scale, _WHITE)
    return canvas


def _blank(boxes: Sequence[FloatArray]) -> BgrImage:
    far = np.array([_BLANK_SIZE, *(box[:2] + box[2:] for box in boxes)])
    width, height = np.clip(np.nan_to_num(far.max(axis=0)), _BLANK_SIZE, 8192).astype(int)
    return np.full((height, width, 3), 64, dtype=np.uint8)
