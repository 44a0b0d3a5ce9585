"""How long a benchmark may still go on, and how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TypeVar

from tqdm import tqdm

from persontrack_ros.core.interrupt import Interrupt

Step = TypeVar('Step')


class Budget:
    """
    Ends measurements at the next step when the time is over, or at once where Ctrl-C came.

    What was measured until then counts.
    """

    def __init__(self, interrupt: Interrupt, seconds: float = math.inf) -> None:
        """
        Begin to count the time.

        :param seconds: until it is over.
        """
        self._interrupt = interrupt
        self._end = time.monotonic() + seconds

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C came."""
        return self._interrupt.requested

    @property
    def seconds(self) -> float:
        """The time that is left."""
        return max(0.0, self._end - time.monotonic())

    def share(self, parts: int) -> Budget:
        """Return a budget with an equal part of the time that is left."""
        return Budget(self._interrupt, self.seconds / parts)

    def steps(self, what: str, steps: Sequence[Step], least: int = 1) -> Iterator[Step]:
        """
        Iterate over the steps of a measurement, and show how far it is.

        :param least: number of steps that are made however little time is left.
        """
        with tqdm(total=len(steps), desc=what, mininterval=0.5) as bar:
            for number, step in enumerate(steps):
                if self.interrupted or (number >= least and not self.seconds):
                    return
                yield step
                bar.update()
