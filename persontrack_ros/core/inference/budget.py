"""
A limit of the processor time of a process, and the pattern of detectors that fits into it.

The processor time is that of the whole process, whatever other processes do meanwhile. What is
used while frames are processed is attributed to them; the rest is for receiving images, and all
else. From both follows what each pattern would take. Where none fits, frames are dropped, evenly.
A bucket of processor time keeps the limit where the estimates are wrong.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from persontrack_ros.core.config.settings import LARGE, LIGHT, NONE, DetectorSettings

Pattern = tuple[str, ...]

# From the most accurate one to the one that takes least (docs/performance.md).
_WITH_LIGHT: tuple[Pattern, ...] = (
    (LARGE,),
    (LARGE, LARGE, LIGHT),
    (LARGE, LIGHT),
    (LARGE, LIGHT, LIGHT),
    (LARGE, LIGHT, LIGHT, LIGHT),
    (LARGE, LIGHT, NONE),
    (LARGE, NONE, LIGHT, NONE),
)
_WITHOUT: tuple[Pattern, ...] = (
    (LARGE,),
    (LARGE, LARGE, NONE),
    (LARGE, NONE),
    (LARGE, NONE, NONE),
)

# What a frame takes until that is measured, relative to one of the large detector.
_EXPECTED = {LARGE: 1.0, LIGHT: 0.3, NONE: 0.1}

# Seconds between two choices, and choices in a row that have to agree on a better pattern.
PERIOD = 4.0
AGREEING = 3
# Parts of the limit: the pattern in use may take the first, another one has to take less.
STAYS, FITS = 1.05, 0.95
# Seconds of the limit that can be saved, for frames that take longer, and owed, where it is not
# enough to drop all frames. From one second on, all are processed or dropped: within 9 % of 30 s.
SAVED, OWED = 1.5, 3.0
# Seconds without a frame after which the measurement begins anew.
PAUSE = 10.0


def patterns(settings: DetectorSettings) -> tuple[Pattern, ...]:
    """Return the patterns that fit the models, the most accurate one first."""
    return _WITHOUT if settings.light_model == NONE else _WITH_LIGHT


class Budget:
    """
    The processor time of a process, whose cameras share the smallest of their limits.

    All cameras use the same step of their patterns, and drop the same part of their frames, so
    each gets what its images take. Any thread may call the methods.

    :ivar used: cores in use, in the mean of the last seconds.
    :ivar rest: the part of them that is not for frames.
    :ivar lacking: cores that the cheapest pattern would take; 0 if the limit permits it.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        processor_time: Callable[[], float] = time.process_time,
    ) -> None:
        """
        Begin without cameras.

        :param clock: seconds.
        :param processor_time: seconds that all threads of the process have used.
        """
        self._clock, self._processor_time = clock, processor_time
        self.lock = threading.Lock()
        self._shares: list[Share] = []
        self._now = -math.inf
        # Seconds of processor time: so far, what may be used now, that of frames in this period.
        self._spent = self.level = self._on_frames = 0.0
        self._began = self._spent_before = 0.0
        self.step = self._better = 0
        # The part of the frames that is processed.
        self.kept = 1.0
        self.used = self.rest = self.lacking = 0.0

    def join(self) -> Share:
        """Add a camera."""
        with self.lock:
            self._shares.append(Share(self))
            return self._shares[-1]

    @property
    def _limit(self) -> float:
        return min((each.limit for each in self._shares if each.limit), default=0.0)

    def advance(self) -> float:
        """Attribute what was used since the last call, and return the time; to call locked."""
        now, spent = self._clock(), self._processor_time()
        if now - self._now > PAUSE:
            self.level = 0.0
            self._begin(now, spent)
        else:
            used = spent - self._spent
            limit = self._limit
            level = self.level + limit * (now - self._now) - used
            self.level = min(max(level, -OWED * limit), SAVED * limit)
            working = [each for each in self._shares if each.working]
            for each in working:
                each.cost += used / len(working)
                self._on_frames += used / len(working)
        self._now, self._spent = now, spent
        if now - self._began >= PERIOD:
            self._choose(now - self._began)
            self._begin(now, spent)
        return now

    def _begin(self, now: float, spent: float) -> None:
        self._began, self._spent_before, self._on_frames = now, spent, 0.0

    def _choose(self, seconds: float) -> None:
        """Choose the pattern, by what was measured in the last seconds."""
        self.used = (self._spent - self._spent_before) / seconds
        self.rest = _mean(self.rest, self.used - self._on_frames / seconds)
        for each in self._shares:
            each.measure(seconds)
        steps = range(max(len(each.patterns) for each in self._shares))
        needs = [self.rest + sum(each.need(step) for each in self._shares) for step in steps]

        def fits(step: int) -> bool:
            part = STAYS if step == self.step else FITS
            gets = all(each.need(step) <= part * each.most for each in self._shares)
            return gets and needs[step] <= part * self._limit

        best = next(filter(fits, steps), steps[-1])
        # Only what was measured is reported.
        measured = self.step >= steps[-1]
        self.lacking = needs[-1] if measured and needs[-1] > self._limit * STAYS else 0.0
        self._better = self._better + 1 if best < self.step else 0
        if best > self.step or self._better == AGREEING:
            self.step, self._better = best, 0
        # What is saved or owed is to be balanced until the next choice.
        left = self._limit - self.rest + self.level / PERIOD
        on_frames = needs[self.step] - self.rest
        self.kept = max(0.0, min(1.0, left / on_frames)) if on_frames else 1.0

    @property
    def saved(self) -> float:
        """Seconds of the limit that are saved, or owed."""
        return self.level / self._limit


class Share:
    """
    One camera of a budget, made by :meth:`Budget.join`.

    :ivar limit: cores; 0 for no limit.
    :ivar patterns: those to choose from.
    :ivar dropped: part of the frames that were dropped in the last seconds.
    """

    def __init__(self, budget: Budget) -> None:
        """Begin without a limit."""
        self.budget = budget
        self.limit = self.dropped = 0.0
        self.patterns: tuple[Pattern, ...] = ((LARGE,),)
        # For the budget: whether a frame is in work, and what it took so far; cores that a frame
        # in work gets beside other processes.
        self.working, self.cost = False, 0.0
        self.most = 0.0
        # Grows by the part of the frames that is to be processed.
        self._due = 0.0
        # In this period.
        self._arrived = self._left_out = 0
        self._busy = 0.0
        self._costs: dict[str, list[float]] = {}
        # Frames per second, processor seconds of a frame with the large detector, and the parts of
        # that the others take.
        self._rate = self._large = 0.0
        self._relative = dict(_EXPECTED)

    @property
    def pattern(self) -> Pattern:
        """The pattern in use, as `detector.pattern`; empty without a limit."""
        return self._pattern(self.budget.step) if self.limit else ()

    def _pattern(self, step: int) -> Pattern:
        return self.patterns[min(step, len(self.patterns) - 1)]

    def admits(self, limit: float, choices: tuple[Pattern, ...]) -> bool:
        """
        Return whether to process a frame that came.

        :param limit: cores that the process may use; 0 for no limit.
        :param choices: patterns, the most accurate one first.
        """
        budget = self.budget
        with budget.lock:
            self.limit, self.patterns = limit, choices
            if not limit:
                return True
            budget.advance()
            self._arrived += 1
            self._due = min(2.0, self._due + budget.kept)
            admitted = budget.saved > 1.0 or (self._due >= 1.0 and budget.saved >= -1.0)
            self._due = max(0.0, self._due - admitted)
            self._left_out += not admitted
            return admitted

    @contextmanager
    def processing(self, turn: Callable[[], str]) -> Iterator[None]:
        """
        Measure what a frame takes that is processed during the block.

        :param turn: returns its word of the pattern, afterwards.
        """
        if not self.limit:
            yield
            return
        with self.budget.lock:
            began = self.budget.advance()
            self.working, self.cost = True, 0.0
        try:
            yield
        finally:
            with self.budget.lock:
                ended = self.budget.advance()
                self._busy += ended - began
                self.working = False
                self._costs.setdefault(turn(), []).append(self.cost)

    def measure(self, seconds: float) -> None:
        """End a period of so many seconds."""
        self._rate = _mean(self._rate, self._arrived / seconds)
        self.dropped = self._left_out / max(1, self._arrived)
        if self._busy:
            spent = sum(map(sum, self._costs.values()))
            self.most = _mean(self.most, spent / self._busy)
        costs = {turn: sum(each) / len(each) for turn, each in self._costs.items()}
        self._large = _mean(self._large, costs.pop(LARGE, self._large))
        for turn, cost in costs.items():
            if self._large:
                self._relative[turn] = _mean(self._relative[turn], cost / self._large)
        self._arrived = self._left_out = 0
        self._busy, self._costs = 0.0, {}

    def need(self, step: int) -> float:
        """Return the cores that its frames would take with the pattern of a step."""
        pattern = self._pattern(step)
        mean = sum(self._relative[turn] for turn in pattern) / len(pattern)
        return self._rate * self._large * mean


def _mean(old: float, new: float) -> float:
    return (old + new) / 2 if old else new
