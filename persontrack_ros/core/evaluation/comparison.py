"""
Where the tracks of two runs differ.

Frames are mappings from a key (time or number of the frame) to the boxes in it by track id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from persontrack_ros.core.base.geometry import FloatArray, as_boxes, iou

Boxes = Mapping[int, FloatArray]
Frames = Mapping[int, Boxes]

# As in IDF1 and MOTA.
SAME_PERSON_IOU = 0.5


@dataclass(frozen=True)
class Difference:
    """
    The differences of one frame.

    :ivar key: key of the frame.
    :ivar only_a: ids in A without the same id or an overlapping box in B.
    :ivar only_b: ids in B without the same id or an overlapping box in A.
    :ivar renamed: ids of A whose person has another id in B, with that id.
    :ivar moved: ids in both whose boxes differ, with the number of pixels.
    :ivar missing: ``A`` or ``B`` if that run lacks the frame.
    """

    key: int
    only_a: list[int] = field(default_factory=list)
    only_b: list[int] = field(default_factory=list)
    renamed: dict[int, int] = field(default_factory=dict)
    moved: dict[int, float] = field(default_factory=dict)
    missing: str = ''

    def __bool__(self) -> bool:
        """Return whether there is any difference."""
        return bool(self.only_a or self.only_b or self.renamed or self.moved or self.missing)

    @property
    def ids_a(self) -> set[int]:
        """The ids of A that differ."""
        return {*self.only_a, *self.renamed, *self.moved}

    @property
    def ids_b(self) -> set[int]:
        """The ids of B that differ."""
        return {*self.only_b, *self.renamed.values(), *self.moved}

    def __str__(self) -> str:
        """Describe the difference in a line."""
        parts = [f'no such frame in {self.missing}'] if self.missing else []
        parts += [f'{a} is {b} in B' for a, b in self.renamed.items()]
        parts += [f'{id_} moved by {by:.2f} px' for id_, by in self.moved.items()]
        for name, ids in (('A', self.only_a), ('B', self.only_b)):
            if ids:
                parts.append(f'only in {name}: {", ".join(map(str, ids))}')
        return '; '.join(parts)


def compare(a: Frames, b: Frames, tolerance: float) -> list[Difference]:
    """
    Find the frames that differ.

    :param tolerance: largest difference of left, top, width and height of a box in pixels;
        infinite if overlapping boxes count as equal.
    :returns: one for each frame that differs, in the order of the keys.
    """
    differences = (
        _compare_frame(key, a[key], b[key], tolerance)
        if key in a and key in b
        else Difference(
            key, list(a.get(key, ())), list(b.get(key, ())), missing='B' if key in a else 'A'
        )
        for key in sorted({*a, *b})
    )
    return [difference for difference in differences if difference]


def rename_like(truth: Frames, frames: Frames) -> dict[int, dict[int, FloatArray]]:
    """
    Give each track the id of the person in the ground truth that it overlaps in most frames.

    Each id is given to one track at most; other tracks get their own id with a minus.
    """
    pairs: dict[tuple[int, int], int] = {}
    for key, persons in truth.items():
        for pair in _match(persons, frames.get(key, {})).items():
            pairs[pair] = pairs.get(pair, 0) + 1
    rows = sorted({person for person, _ in pairs})
    columns = sorted({track for _, track in pairs})
    counts = np.zeros((len(rows), len(columns)))
    for (person, track), number in pairs.items():
        counts[rows.index(person), columns.index(track)] = number
    names = {
        columns[column]: rows[row]
        for row, column in zip(*linear_sum_assignment(-counts))
        if counts[row, column]
    }
    return {
        key: {names.get(track, -track): box for track, box in boxes.items()}
        for key, boxes in frames.items()
    }


def _compare_frame(key: int, a: Boxes, b: Boxes, tolerance: float) -> Difference:
    moved = {}
    both = [id_ for id_ in a if id_ in b]
    for id_ in list(both):
        if np.isinf(tolerance):
            if iou(as_boxes([a[id_]]), as_boxes([b[id_]]))[0, 0] < SAME_PERSON_IOU:
                both.remove(id_)
        else:
            by = float(np.abs(np.subtract(a[id_], b[id_])).max())
            # Written this way because NaN is a difference, too.
            if not by <= tolerance:
                moved[id_] = by
    rest_a = {id_: box for id_, box in a.items() if id_ not in both}
    rest_b = {id_: box for id_, box in b.items() if id_ not in both}
    renamed = {one: other for one, other in _match(rest_a, rest_b).items() if one != other}
    return Difference(
        key,
        [id_ for id_ in rest_a if id_ not in renamed],
        [id_ for id_ in rest_b if id_ not in renamed.values()],
        renamed,
        moved,
    )


def _match(a: Boxes, b: Boxes) -> dict[int, int]:
    """Pair the boxes that overlap enough, each with one other at most."""
    overlaps = iou(as_boxes(list(a.values())), as_boxes(list(b.values())))
    overlaps[overlaps < SAME_PERSON_IOU] = 0.0
    ids_a, ids_b = list(a), list(b)
    return {
        ids_a[row]: ids_b[column]
        for row, column in zip(*linear_sum_assignment(-overlaps))
        if overlaps[row, column]
    }
