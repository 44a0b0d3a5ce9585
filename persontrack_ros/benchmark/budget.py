"""How long a benchmark may still go on, and how far it is."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

from persontrack_ros.core.errors import PersontrackError
from persontrack_ros.core.files.interrupt import Interrupt

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


def results_of(command: Sequence[str], budget: Budget, problem: str) -> dict[str, Any]:
    """
    Run a part in a process of its own, which heeds the budget too.

    :param problem: what is said where it fails.
    :returns: the results that it printed; nothing if Ctrl-C came before it could heed that.
    :raises PersontrackError: if it fails otherwise.
    """
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode and budget.interrupted:
        return {}
    if done.returncode:
        raise PersontrackError(problem)
    result: dict[str, Any] = json.loads(done.stdout)
    return result
