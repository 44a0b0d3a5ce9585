"""
Whether two looks are of one person, by re-identification model.

The numbers are those of the ten persons of vtest.avi, of detections that nobody covers, two
seconds apart or in different visits: 5,866 pairs of looks of one person and 58,614 of two. The
limits are chosen by what tracking makes of them. `tools/recognition.py` prints both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from persontrack_ros.core.tracking.appearance import SAME_PERSON

# Of the distances below.
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)


@dataclass(frozen=True)
class Sameness:
    """
    How a model tells persons apart.

    :ivar limit: cosine distance up to which two looks are taken to be of one person.
    :ivar one: percentiles of the distances of looks of one person, see `PERCENTS`; None where they
        are not known.
    :ivar two: the same of two persons.
    """

    limit: float = SAME_PERSON
    one: Optional[tuple[float, ...]] = None
    two: Optional[tuple[float, ...]] = None

    def sure(self, distance: float) -> str:
        """Say how many pairs of one person are less alike than this, and how many of two more."""
        if self.one is None or self.two is None:
            return 'how sure that is, is not known of this model'
        less = 100 - float(np.interp(distance, self.one, PERCENTS, 0.0, 100.0))
        more = float(np.interp(distance, self.two, PERCENTS, 0.0, 100.0))
        return (
            f'of pairs of one person, {_percent(less)} are less alike; '
            f'of pairs of two persons, {_percent(more)} are more alike'
        )


_SAMENESS = {
    'person-reidentification-retail-0287': Sameness(
        SAME_PERSON,
        (0.12, 0.18, 0.21, 0.28, 0.37, 0.49, 0.60, 0.67, 0.84),
        (0.63, 0.71, 0.75, 0.83, 0.91, 0.97, 1.01, 1.03, 1.08),
    ),
    'person-reidentification-retail-0288': Sameness(
        SAME_PERSON,
        (0.12, 0.17, 0.21, 0.28, 0.38, 0.50, 0.63, 0.72, 0.82),
        (0.56, 0.65, 0.70, 0.79, 0.87, 0.94, 1.00, 1.03, 1.09),
    ),
    'color': Sameness(
        0.2,
        (0.14, 0.19, 0.22, 0.26, 0.34, 0.43, 0.53, 0.61, 0.74),
        (0.29, 0.36, 0.41, 0.49, 0.57, 0.66, 0.74, 0.80, 0.89),
    ),
}


def sameness(model: str) -> Sameness:
    """Return what is known of a value of `reid.model`; others are taken to be as the default."""
    return _SAMENESS.get(model, Sameness())


def _percent(value: float) -> str:
    if value < 1:
        return 'fewer than 1 %'
    return 'more than 99 %' if value > 99 else f'{value:.0f} %'
