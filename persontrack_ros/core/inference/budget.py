"""
A limit of the processor time of a process, and the pattern of detectors that fits into it.

The processor time is that of the whole process, whatever other processes do meanwhile. What is
used while frames are processed is attributed to them; the rest is for receiving, and all else.
From both follows what each pattern would take. Where none fits, frames are dropped, evenly. A
bucket of processor time keeps the limit where the estimates are wrong.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from persontrack_ros.core.config.settings import LARGE, LIGHT, NONE

# Values of `detector.pattern`, from the most accurate one to the one that takes least
# (docs/performance.md).
WITH_LIGHT = (
    'large',
    'large large light',
    'large light',
    'large light light',
    'large light light light',
    'large none light none',
)
WITHOUT_LIGHT = ('large', 'large large none', 'large none', 'large none none')

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


class Budget:
    """
    The processor time of a process, whose cameras share the smallest of their limits.

    All cameras use the same step of their patterns, and drop the same part of their frames, so
    each gets what its images take. Any thread may call the methods.

    :ivar used: cores in use, in the mean of the last seconds.
    :ivar rest: the part of them that is not for frames.
    :ivar lacking: cores that the cheapest pattern would take; 0 if the limit permits it.
    :ivar kept: part of the frames that is to be processed.
    :ivar saved: seconds of the limit that are saved; below 0, owed.
    :ivar step: index of the pattern in use.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        processor_time: Callable[[], float] = time.process_time,
        thread_time: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begin without cameras; the functions of time return seconds."""
        self._clock, self._processor_time = clock, processor_time
        self.thread_time = thread_time
        self.lock = threading.Lock()
        self.shares: list[Share] = []
        self._now = self._began = -math.inf
        # Seconds of processor time: so far, at the last choice, and of frames since then.
        self._spent = self._spent_before = self._on_frames = 0.0
        self.step = self._better = 0
        self.used = self.rest = self.lacking = self.saved = 0.0
        self.kept = 1.0

    @property
    def limit(self) -> float:
        """Cores that the process may use; 0 for no limit."""
        return min((each.limit for each in self.shares if each.limit), default=0.0)

    def advance(self, apart: float = 0.0) -> float:
        """
        Attribute what was used since the last call, and return the time; to call locked.

        :param apart: seconds of it that were not used for frames.
        """
        now, spent = self._clock(), self._processor_time()
        used, limit = spent - self._spent, self.limit
        if now - self._now > PAUSE:
            self._began, self._spent_before, self._on_frames = now, spent, 0.0
            self.saved = 0.0
        elif limit:
            saved = self.saved + now - self._now - used / limit
            self.saved = min(max(saved, -OWED), SAVED)
            working = [each for each in self.shares if each.working]
            for each in working:
                each.cost += max(0.0, used - apart) / len(working)
                self._on_frames += max(0.0, used - apart) / len(working)
        self._now, self._spent = now, spent
        if now - self._began >= PERIOD:
            self._choose(now - self._began)
            self._began, self._spent_before, self._on_frames = now, spent, 0.0
        return now

    def _choose(self, seconds: float) -> None:
        """Choose the pattern, by what was measured in the last seconds."""
        self.used = (self._spent - self._spent_before) / seconds
        self.rest = _mean(self.rest, self.used - self._on_frames / seconds)
        for each in self.shares:
            each.measure(seconds)
        steps = range(max(len(each.patterns) for each in self.shares))
        needs = [self.rest + sum(each.need(step) for each in self.shares) for step in steps]
        self.step = min(self.step, steps[-1])
        # Only what was measured is reported.
        too_much = self.step == steps[-1] and needs[-1] > self.limit * STAYS
        self.lacking = needs[-1] if too_much else 0.0

        def fits(step: int) -> bool:
            part = STAYS if step == self.step else FITS
            gets = all(each.need(step) <= part * each.most for each in self.shares)
            return gets and needs[step] <= part * self.limit

        best = next(filter(fits, steps), steps[-1])
        self._better = self._better + 1 if best < self.step else 0
        if best > self.step or self._better == AGREEING:
            self.step, self._better = best, 0
        # What is saved or owed is to be balanced until the next choice.
        left = self.limit * (1 + self.saved / PERIOD) - self.rest
        on_frames = needs[self.step] - self.rest
        self.kept = max(0.0, min(1.0, left / on_frames)) if on_frames else 1.0


class Share:
    """
    One camera of a budget.

    :ivar limit: cores; 0 for no limit.
    :ivar patterns: those to choose from, the most accurate one first.
    :ivar dropped: part of the frames that were dropped in the last seconds.
    :ivar working: whether a frame is in work; `cost` is what it took so far.
    :ivar most: cores that a frame in work gets beside other processes.
    """

    def __init__(self, budget: Budget) -> None:
        """Join a budget, without a limit."""
        self.budget = budget
        budget.shares.append(self)
        self.limit = self.dropped = self.cost = self.most = 0.0
        self.patterns: tuple[str, ...] = (LARGE,)
        self.working = False
        # Seconds that the thread has used that receives the frames.
        self._receiving = 0.0
        # Grows by the part of the frames that is to be processed.
        self._due = 0.0
        # Since the last choice.
        self._arrived = self._left_out = 0
        self._busy = 0.0
        self._costs: dict[str, list[float]] = {}
        # Frames per second, processor seconds of a frame with the large detector, and the parts of
        # that each takes; the last two are expected until they are measured.
        self._rate = self._large = 0.0
        self._relative = {LARGE: 1.0, LIGHT: 0.3, NONE: 0.1}

    @property
    def pattern(self) -> str:
        """The pattern in use; empty without a limit."""
        return self._pattern(self.budget.step) if self.limit else ''

    def _pattern(self, step: int) -> str:
        return self.patterns[min(step, len(self.patterns) - 1)]

    def admits(self, limit: float) -> bool:
        """Return whether to process a frame that came, with a limit in cores (0: none)."""
        budget = self.budget
        with budget.lock:
            self.limit = limit
            if not limit:
                return True
            # This thread receives messages.
            before, self._receiving = self._receiving, budget.thread_time()
            budget.advance(self._receiving - before)
            self._arrived += 1
            self._due = min(2.0, self._due + budget.kept)
            admitted = budget.saved > 1.0 or (self._due >= 1.0 and budget.saved >= -1.0)
            self._due = max(0.0, self._due - admitted)
            self._left_out += not admitted
            return admitted

    @contextmanager
    def processing(self, turn: Callable[[], str]) -> Iterator[None]:
        """Measure a frame that is processed now; `turn` returns its word of the pattern then."""
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
        """Take what was measured in so many seconds."""
        self._rate = _mean(self._rate, self._arrived / seconds)
        self.dropped = self._left_out / max(1, self._arrived)
        if self._busy:
            self.most = _mean(self.most, sum(map(sum, self._costs.values())) / self._busy)
        costs = {turn: sum(each) / len(each) for turn, each in self._costs.items()}
        self._large = _mean(self._large, costs.get(LARGE, self._large))
        for turn in costs.keys() - {LARGE}:
            part = costs[turn] / self._large if self._large else self._relative[turn]
            self._relative[turn] = _mean(self._relative[turn], part)
        self._arrived = self._left_out = 0
        self._busy, self._costs = 0.0, {}

    def need(self, step: int) -> float:
        """Return the cores that all of its frames would take with the pattern of a step."""
        parts = [self._relative[turn] for turn in self._pattern(step).split()]
        return self._rate * self._large * sum(parts) / len(parts)


def _mean(old: float, new: float) -> float:
    return (old + new) / 2 if old else new
