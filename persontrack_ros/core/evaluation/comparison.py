"""The frames in which the tracks of two runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from persontrack_ros.core.base.geometry import FloatArray, as_boxes, iou
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.drawing import label, track_color

Boxes = Mapping[int, FloatArray]

# As in IDF1 and MOTA.
SAME_PERSON_IOU = 0.5

_GREY = (128, 128, 128)
_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class TrackedFrames:
    """
    The tracks of one run.

    :ivar frames: boxes by id, by number of the frame, counted from 1.
    :ivar stamps: stamp of each frame in nanoseconds; empty if unknown.
    """

    frames: Mapping[int, Boxes]
    stamps: Mapping[int, int]


@dataclass(frozen=True)
class Difference:
    """
    The differences of one frame.

    :ivar title: number of the frame and, if known, its time in seconds.
    :ivar stamp: of the frame in nanoseconds; None if unknown.
    :ivar a: boxes by id in A.
    :ivar b: boxes by id in B.
    :ivar only_a: ids in A without the same id or an overlapping box in B.
    :ivar only_b: ids in B without the same id or an overlapping box in A.
    :ivar renamed: ids of A whose person has another id in B, with that id.
    :ivar moved: ids in both whose boxes differ, with the number of pixels.
    :ivar missing: ``A`` or ``B`` if that run lacks the frame.
    """

    title: str
    stamp: Optional[int]
    a: Boxes
    b: Boxes
    only_a: list[int] = field(default_factory=list)
    only_b: list[int] = field(default_factory=list)
    renamed: dict[int, int] = field(default_factory=dict)
    moved: dict[int, float] = field(default_factory=dict)
    missing: str = ''

    @property
    def ids(self) -> tuple[set[int], set[int]]:
        """The ids of A and of B that differ."""
        a, b = {*self.only_a, *self.renamed}, {*self.only_b, *self.renamed.values()}
        return a | self.moved.keys(), b | self.moved.keys()

    def __str__(self) -> str:
        """Describe the difference in a line; empty if there is none."""
        parts = [f'no such frame in {self.missing}'] if self.missing else []
        parts += [f'{a} is {b} in B' for a, b in self.renamed.items()]
        parts += [f'{id_} moved by {by:.2f} px' for id_, by in self.moved.items()]
        for name, ids in (('A', self.only_a), ('B', self.only_b)):
            if ids:
                parts.append(f'only in {name}: {", ".join(map(str, ids))}')
        return '; '.join(parts)


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
    for (number, stamp), pair in zip(keys, pairs):
        title = f'frame {number}' + ('' if stamp is None else f' ({stamp / 1e9:.3f} s)')
        difference = _compare_frame(title, stamp, *pair, tolerance)
        if str(difference):
            differences.append(difference)
    return differences, len(keys)


def draw_differences(
    differences: Sequence[Difference], images: Mapping[int, BgrImage]
) -> BgrImage:
    """
    Draw frames that differ, one below the other, A on the left and B on the right.

    Boxes that differ are thick and coloured, the others thin and grey.

    :param differences: at least one of those with an image.
    :param images: by stamp, all of the same size.
    """
    rows = []
    for difference in differences:
        sides = []
        for name, boxes, ids in zip('AB', (difference.a, difference.b), difference.ids):
            canvas = images[difference.stamp or 0].copy()
            scale = max(0.4, min(canvas.shape[0] / 900, canvas.shape[1] / 1200))
            line = max(1, round(2 * scale))
            # Boxes that differ are drawn last, so that nothing hides them.
            for id_ in sorted(boxes, key=ids.__contains__):
                left, top, width, height = np.round(boxes[id_]).astype(int).tolist()
                color = track_color(id_) if id_ in ids else _GREY
                thickness = 2 * line + 1 if id_ in ids else line
                cv2.rectangle(canvas, (left, top), (left + width, top + height), color, thickness)
                label(canvas, str(id_), (left, top), scale, color)
            label(canvas, f'{name}, {difference.title}', (0, 0), scale, _WHITE)
            sides.append(cv2.copyMakeBorder(canvas, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=_WHITE))
        rows.append(np.concatenate(sides, axis=1))
    return np.concatenate(rows)


def _compare_frame(
    title: str, stamp: Optional[int], a: Optional[Boxes], b: Optional[Boxes], tolerance: float
) -> Difference:
    missing = 'A' if a is None else 'B' if b is None else ''
    a, b = a or {}, b or {}
    moved = {id_: float(np.abs(np.subtract(a[id_], b[id_])).max()) for id_ in a if id_ in b}
    # Written this way because NaN is a difference, too.
    moved = {id_: by for id_, by in moved.items() if not by <= tolerance}
    rest_a, rest_b = ([id_ for id_ in one if id_ not in other] for one, other in ((a, b), (b, a)))
    overlaps = iou(as_boxes([a[id_] for id_ in rest_a]), as_boxes([b[id_] for id_ in rest_b]))
    overlaps[overlaps < SAME_PERSON_IOU] = 0.0
    renamed = {
        rest_a[row]: rest_b[column]
        for row, column in zip(*linear_sum_assignment(-overlaps))
        if overlaps[row, column]
    }
    return Difference(
        title,
        stamp,
        a,
        b,
        [id_ for id_ in rest_a if id_ not in renamed],
        [id_ for id_ in rest_b if id_ not in renamed.values()],
        renamed,
        moved,
        missing,
    )
