"""The frames in which the tracks of two runs differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np
from scipy.optimize import linear_sum_assignment

from persontrack_ros.core.base.geometry import FloatArray, as_boxes, iou
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


def compare(a: TrackedFrames, b: TrackedFrames, tolerance: float) -> tuple[list[str], int]:
    """
    Find the frames that differ.

    Frames are matched by their stamps if both runs have them, else by their numbers.

    :param tolerance: largest difference of left, top, width and height of a box in pixels.
    :returns: a line for each frame that differs, in their order, and the number of all frames.
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
    for (number, stamp), pair in zip(keys, pairs):
        title = f'frame {number}' + ('' if stamp is None else f' ({stamp / 1e9:.3f} s)')
        if difference := _compare_frame(*pair, tolerance):
            differences.append(f'{title}: {difference}')
    return differences, len(keys)


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
