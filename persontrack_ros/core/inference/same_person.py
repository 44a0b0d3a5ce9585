"""
The similarity threshold for "same person" of each re-identification model.

The numbers come from the ten persons of vtest.avi, from detections that nothing covers, two
seconds apart or in different visits: 5,866 pairs of embeddings of one person and 58,614 of two
persons. The thresholds were chosen by their effect on tracking. `tools/recognition.py` prints
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from persontrack_ros.core.tracking.appearance import SAME_PERSON

# Of the distances below.
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)


@dataclass(frozen=True)
class SamePerson:
    """
    How well the embeddings of a model distinguish persons.

    :ivar threshold: largest cosine distance between two embeddings of one person.
    :ivar one: percentiles of the distances between embeddings of one person, see `PERCENTS`; None
        for a model that was not measured.
    :ivar two: the same for embeddings of two persons.
    """

    threshold: float = SAME_PERSON
    one: Optional[tuple[float, ...]] = None
    two: Optional[tuple[float, ...]] = None

    def certainty(self, distance: float) -> str:
        """Return a sentence: how many measured pairs are farther apart, or nearer, than this."""
        if self.one is None or self.two is None:
            return 'this model was not measured, so the certainty is not known'
        farther = 100 - float(np.interp(distance, self.one, PERCENTS, 0.0, 100.0))
        nearer = float(np.interp(distance, self.two, PERCENTS, 0.0, 100.0))
        return (
            f'of pairs of one person, {_percent(farther)} are less similar; '
            f'of pairs of two persons, {_percent(nearer)} are more similar'
        )


_MODELS = {
    'person-reidentification-retail-0287': SamePerson(
        SAME_PERSON,
        (0.12, 0.18, 0.21, 0.28, 0.37, 0.49, 0.60, 0.67, 0.84),
        (0.63, 0.71, 0.75, 0.83, 0.91, 0.97, 1.01, 1.03, 1.08),
    ),
    'person-reidentification-retail-0288': SamePerson(
        SAME_PERSON,
        (0.12, 0.17, 0.21, 0.28, 0.38, 0.50, 0.63, 0.72, 0.82),
        (0.56, 0.65, 0.70, 0.79, 0.87, 0.94, 1.00, 1.03, 1.09),
    ),
    'color': SamePerson(
        0.2,
        (0.14, 0.19, 0.22, 0.26, 0.34, 0.43, 0.53, 0.61, 0.74),
        (0.29, 0.36, 0.41, 0.49, 0.57, 0.66, 0.74, 0.80, 0.89),
    ),
}


def same_person(model: str) -> SamePerson:
    """Return the values for a `reid.model`; the defaults for a model that was not measured."""
    return _MODELS.get(model, SamePerson())


def _percent(value: float) -> str:
    if value < 1:
        return 'fewer than 1 %'
    return 'more than 99 %' if value > 99 else f'{value:.0f} %'
