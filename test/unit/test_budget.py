"""A limit of processor time, on a simulated machine."""

from __future__ import annotations

import itertools

import pytest

from persontrack_ros.core.config.settings import LARGE, LIGHT, NONE
from persontrack_ros.core.inference.budget import WITH_LIGHT, WITHOUT_LIGHT, Budget, Share

# Milliseconds of processor time of a frame at VGA, and of receiving it.
COSTS = {LARGE: 35, LIGHT: 12, NONE: 3}
RECEIVING = 1.5


class Camera:
    """A camera, and the worker that processes its newest frame."""

    def __init__(self, machine, rate, size=1, patterns=WITHOUT_LIGHT):
        self.machine, self.rate, self.size = machine, rate, size
        self.share = Share(machine.budget)
        self.share.patterns = patterns
        self.next = 0.0
        self.turns = itertools.cycle([LARGE])
        self.waiting, self.left, self.block = False, 0.0, None
        self.arrived, self.received, self.processed = 0, 0.0, []

    def run(self):
        """Live through a millisecond."""
        if self.machine.now >= self.next:
            self.next += 1 / self.rate
            self.arrived += 1
            self.machine.used += RECEIVING * self.size / 1000
            self.received += RECEIVING * self.size / 1000
            self.machine.received = self.received
            self.waiting |= self.share.admits(self.machine.limit)
        if self.block:
            self.left -= 1
            self.machine.used += 1 / 1000
            if self.left <= 0:
                self.block.__exit__(None, None, None)
                self.block = None
                self.processed.append(self.machine.now)
        elif self.waiting:
            turn = next(self.turns)
            self.waiting, self.left = False, COSTS[turn] * self.size
            self.block = self.share.processing(lambda: turn)
            self.block.__enter__()


class Machine:
    """Cameras share simulated time; the budget measures it."""

    def __init__(self, limit, *cameras):
        self.limit = limit
        self.now = self.used = self.received = 0.0
        self.budget = Budget(lambda: self.now, lambda: self.used, lambda: self.received)
        self.cameras = [Camera(self, *each) for each in cameras]
        # The cores in use over each 30 s, and the patterns of the first camera, with their times.
        self.windows, self._used = [], []
        self.patterns = []

    def run(self, seconds):
        for number in range(round(1000 * seconds)):
            self.now += 0.001
            for camera in self.cameras:
                camera.run()
            pattern = self.cameras[0].share.pattern
            if not self.patterns or self.patterns[-1][1] != pattern:
                self.patterns.append((self.now, pattern))
                for camera in self.cameras:
                    camera.turns = itertools.cycle(camera.share.pattern.split() or [LARGE])
            if number % 1000 == 0:
                self._used.append(self.used)
                self.windows += [(self.used - before) / 30 for before in self._used[-31:-30]]

    def need(self, pattern):
        """Return the cores that a pattern takes."""
        turns = pattern.split()
        mean = sum(COSTS[turn] for turn in turns) / len(turns)
        return sum((mean + RECEIVING) * each.size * each.rate for each in self.cameras) / 1000


@pytest.mark.parametrize('patterns', [WITHOUT_LIGHT, WITH_LIGHT])
@pytest.mark.parametrize('size', [1, 4])
@pytest.mark.parametrize('rate', [5, 60])
@pytest.mark.parametrize('limit', [0.3, 0.8])
def test_limit_is_kept_and_used(patterns, size, rate, limit):
    machine = Machine(limit, (rate, size, patterns))
    machine.run(60)
    receiving = RECEIVING * size * rate / 1000
    assert max(machine.windows) <= max(1.15 * limit, receiving + 0.1 * limit)
    # One choice, and no flapping.
    assert len(machine.patterns) <= 2
    pattern = machine.patterns[-1][1]
    fitting = [each for each in patterns if machine.need(each) <= 0.9 * limit]
    assert patterns.index(pattern) <= patterns.index((fitting or patterns[-1:])[0])
    share = machine.cameras[0].share
    if machine.need(patterns[-1]) > 1.1 * limit:
        assert machine.windows[-1] >= 0.85 * limit
        assert machine.budget.lacking == pytest.approx(machine.need(patterns[-1]), rel=0.1)
    else:
        assert share.dropped == 0
    if receiving > limit:
        assert share.dropped == 1
        assert machine.budget.rest == pytest.approx(receiving, rel=0.1)


def test_cameras_drop_the_same_part_of_their_frames_evenly():
    machine = Machine(0.4, (10, 1, WITHOUT_LIGHT), (30, 2, WITH_LIGHT))
    machine.run(90)
    slow, fast = machine.cameras
    parts = [len(camera.processed) / camera.arrived for camera in machine.cameras]
    assert parts[0] == pytest.approx(parts[1], abs=0.05)
    assert (slow.share.pattern, fast.share.pattern) == (WITHOUT_LIGHT[-1], WITH_LIGHT[-1])
    gaps = [b - a for a, b in itertools.pairwise(fast.processed) if a > 30]
    assert max(gaps) < 2 * sum(gaps) / len(gaps) + 1 / 30


def test_adapts_to_changes_without_flapping():
    machine = Machine(0.6, (10, 1, WITH_LIGHT))
    (camera,) = machine.cameras
    for rate, size in ((10, 1), (40, 1), (10, 1), (10, 4), (10, 1)):
        camera.rate, camera.size = rate, size
        machine.run(60)
        assert (camera.share.pattern == LARGE) == (rate * size == 10)
        assert camera.share.dropped == 0
    assert max(machine.windows) <= 1.15 * 0.6
    times = [time for time, _ in machine.patterns]
    assert min(b - a for a, b in itertools.pairwise(times)) > 3
    assert len(times) <= 9
    # The limit is taken away.
    machine.limit = 0.0
    machine.run(1)
    assert camera.share.pattern == ''
    assert camera.share.admits(0.0)
