"""Numbers and levels of the diagnostics."""

from __future__ import annotations

import pytest

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import NODE_PARAMETERS, check_options
from persontrack_ros.ros.tracker import statistics
from persontrack_ros.ros.tracker.checks import Level, judge
from persontrack_ros.ros.tracker.statistics import ERROR_TIME, RATE_WINDOW, Statistics

DEFAULTS = {one.name: one.default for one in NODE_PARAMETERS}


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


def limits(**changes):
    return {**DEFAULTS, **{f'diagnostics.{name}': value for name, value in changes.items()}}


def test_rate_and_latency(clock):
    statistics = Statistics()
    for step in range(100):
        clock.now += 0.1
        received = clock.now - (0.2 if step == 50 else 0.02)
        statistics.processed(received, 0.01, 3, {step // 10, 7})
    numbers = statistics.numbers()
    assert numbers.rate == pytest.approx(10, abs=0.3)
    assert numbers.busy == pytest.approx(0.01)
    assert numbers.p50 == pytest.approx(0.02)
    assert 0.02 < numbers.p99 < 0.21
    assert statistics.account(dropped=7, in_work=1) == {
        'sent': 108,
        'processed': 100,
        'dropped': 7,
        'failed': 0,
        'paused': 0,
        'in work': 1,
    }
    assert (numbers.visible, numbers.persons) == (3, 10)
    statistics.forget_ids()
    assert statistics.numbers().persons == 0
    clock.now += 60
    assert (statistics.numbers().rate, statistics.numbers().window) == (0.0, RATE_WINDOW)
    statistics.resume()
    clock.now += 1
    assert statistics.numbers().window == 1.0


def test_levels_by_parameters():
    assert judge(limits(), 'silence', 4.9) == Level.OK
    assert judge(limits(), 'silence', 5.1) == Level.WARN
    assert judge(limits(silence_error=10.0), 'silence', 11.0) == Level.ERROR
    assert judge(limits(silence_warn=0.0), 'silence', 1e6) == Level.OK
    assert judge(limits(latency_warn=0.01), 'latency', 0.02) == Level.WARN
    assert judge(limits(rate_warn=9.0), 'rate', -10.0, sign=-1) == Level.OK
    assert judge(limits(rate_warn=11.0), 'rate', -10.0, sign=-1) == Level.WARN


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
    numbers.failed('frame skipped')
    assert (numbers.numbers().error, numbers.numbers().recent) == ('frame skipped', True)
    clock.now += ERROR_TIME + 1
    assert (numbers.numbers().error, numbers.numbers().recent) == ('frame skipped', False)


@pytest.mark.parametrize(
    ('wrong', 'right'),
    [
        ({'latency_warn': 2.0, 'latency_error': 1.0}, {'latency_warn': 1.0, 'latency_error': 2.0}),
        ({'rate_warn': 1.0, 'rate_error': 2.0}, {'rate_warn': 2.0, 'rate_error': 1.0}),
        ({'silence_error': 4.0}, {'silence_error': 4.0, 'silence_warn': 0.0}),
    ],
)
def test_an_error_may_not_come_before_its_warning(wrong, right):
    check_options(limits(**right))
    with pytest.raises(SettingsError, match='must not be'):
        check_options(limits(**wrong))
