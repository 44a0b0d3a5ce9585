"""Counts and times of the work of a node."""

import pytest

from persontrack_ros.ros.tracker import statistics
from persontrack_ros.ros.tracker.statistics import ERROR_TIME, Statistics


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when told so."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(statistics, 'time', clock)
    return clock


def test_rate_and_latency(clock):
    statistics = Statistics()
    for step in range(100):
        clock.now += 0.1
        received = clock.now - (0.2 if step == 50 else 0.02)
        statistics.processed(received, 0.01, 3, {step // 10, 7})
    times = statistics.times()
    assert times.rate == pytest.approx(10, abs=0.3)
    assert times.busy == pytest.approx(0.01)
    assert times.p50 == pytest.approx(0.02)
    assert 0.02 < times.p99 < 0.21
    assert (statistics.visible, len(statistics.ids)) == (3, 10)
    assert statistics.account(dropped=7, in_work=1) == {
        'sent': 108,
        'processed': 100,
        'dropped': 7,
        'failed': 0,
        'paused': 0,
        'in work': 1,
    }
    clock.now += 60
    assert (statistics.times().rate, statistics.times().busy) == (0.0, 0.0)
    statistics.resume()
    clock.now += 1
    statistics.processed(clock.now, 0.01, 0, ())
    assert statistics.times().rate == 1.0


def test_a_frame_is_counted_once_whatever_fails():
    numbers = Statistics()

    def ids():
        yield 1
        raise MemoryError

    with pytest.raises(MemoryError):
        numbers.processed(0.0, 0.0, 1, ids())
    numbers.failed('frame skipped')
    assert numbers.account(0, 0)['sent'] == 1


def test_the_last_error(clock):
    numbers = Statistics()
    assert not numbers.is_error_recent
    numbers.failed('frame skipped')
    assert (numbers.error, numbers.is_error_recent) == ('frame skipped', True)
    clock.now += ERROR_TIME + 1
    assert (numbers.error, numbers.is_error_recent) == ('frame skipped', False)
