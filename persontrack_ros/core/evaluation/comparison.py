"""The frames in which the tracks of two runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from persontrack_ros.core.base.geometry import FloatArray, as_boxes, iou
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.drawing import label, track_color
from persontrack_ros.core.evaluation.scores import MIN_IOU

Boxes = Mapping[int, FloatArray]


@dataclass(frozen=True)
class TrackedFrames:
    """
    The tracks of one run.

    :ivar frames: boxes by id, by number of the frame, counted from 1.
    :ivar stamps: stamp of each frame in nanoseconds; empty if unknown.
    """

    frames: Mapping[int, Boxes]
    stamps: Mapping[int, int]


class Difference(NamedTuple):
    """
    A frame that differs.

    :ivar text: the frame and its differences, in a line.
    :ivar stamp: of the frame in nanoseconds; None if unknown.
    :ivar a: boxes by id in A.
    :ivar b: boxes by id in B.
    """

    text: str
    stamp: Optional[int]
    a: Boxes
    b: Boxes


def compare(a: TrackedFrames, b: TrackedFrames, tolerance: float) -> tuple[list[Difference], int]:
    """
    Find the frames that differ.

    Frames are matched by their stamps if both runs have them, else by their numbers.

    :param tolerance: largest difference of left, top, width and height of a box in pixels.
    :returns: one for each frame that differs, in their order, and the number of all frames.
    """
    keys: list[tuple[int, Optional[int]]]
    if a.stamps and b.stamps:
        known = {stamp: number for side in (b, a) for number, stamp in side.stamps.items()}
        order = sorted(known)
        keys = [(known[stamp], stamp) for stamp in order]
        first, second = (
            {side.stamps[number]: boxes for number, boxes in side.frames.items()}
            for side in (a, b)
        )
        pairs = [(first.get(stamp), second.get(stamp)) for stamp in order]
    else:
        # A file of tracks has no line for a frame without tracks.
        stamps = {**b.stamps, **a.stamps}
        last = max({*a.frames, *b.frames}, default=0)
        keys = [(number, stamps.get(number)) for number in range(1, last + 1)]
        pairs = [(a.frames.get(number, {}), b.frames.get(number, {})) for number, _ in keys]
    differences = []
    for (number, stamp), (one, other) in zip(keys, pairs):
        title = f'frame {number}' + ('' if stamp is None else f' ({stamp / 1e9:.3f} s)')
        if text := _compare_frame(one, other, tolerance):
            differences.append(Difference(f'{title}: {text}', stamp, one or {}, other or {}))
    return differences, len(keys)


def draw_differences(
    differences: Sequence[Difference], images: Mapping[int, BgrImage]
) -> BgrImage:
    """
    Draw the tracks of frames, one below the other, A on the left and B on the right.

    :param differences: at least one.
    :param images: by stamp, all of the same size.
    """
    rows = []
    for difference in differences:
        sides = []
        for name, boxes in (('A', difference.a), ('B', difference.b)):
            canvas = images[difference.stamp or 0].copy()
            scale = max(0.4, min(canvas.shape[0] / 900, canvas.shape[1] / 1200))
            for id_, box in boxes.items():
                left, top, width, height = np.round(box).astype(int).tolist()
                cv2.rectangle(canvas, (left, top, width, height), track_color(id_), 2)
                label(canvas, str(id_), (left, top), scale, track_color(id_))
            label(canvas, f'{name}, {difference.text}', (0, 0), scale, (255, 255, 255))
            sides.append(canvas)
        rows.append(np.hstack(sides))
    return np.vstack(rows)


def _compare_frame(a: Optional[Boxes], b: Optional[Boxes], tolerance: float) -> str:
    """
    Describe the differences of a frame; empty if there is none.

    :param a: None if that run lacks the frame.
    :param b: as `a`.
    """
    parts = [f'no such frame in {name}' for name, boxes in (('A', a), ('B', b)) if boxes is None]
    a, b = a or {}, b or {}
    rest_a, rest_b = ([id_ for id_ in one if id_ not in other] for one, other in ((a, b), (b, a)))
    overlaps = iou(as_boxes([a[id_] for id_ in rest_a]), as_boxes([b[id_] for id_ in rest_b]))
    overlaps[overlaps < MIN_IOU] = 0.0
    renamed = {
        rest_a[row]: rest_b[column]
        for row, column in zip(*linear_sum_assignment(-overlaps))
        if overlaps[row, column]
    }
    parts += [f'{id_} is {other} in B' for id_, other in renamed.items()]
    for id_ in a:
        by = np.abs(np.subtract(a[id_], b[id_])).max() if id_ in b else 0.0
        # Written this way because NaN is a difference, too.
        if not by <= tolerance:
            parts.append(f'{id_} moved by {by:.2f} px')
    for name, ids, known in (('A', rest_a, renamed.keys()), ('B', rest_b, renamed.values())):
        if only := [str(id_) for id_ in ids if id_ not in known]:
            parts.append(f'only in {name}: {", ".join(only)}')
    return '; '.join(parts)
