"""Numbers and levels of the diagnostics."""

from __future__ import annotations

import pytest

from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.parameters.node_options import NODE_PARAMETERS, check_options
from persontrack_ros.ros.tracker import statistics
from persontrack_ros.ros.tracker.statistics import ERROR_TIME, Level, Statistics

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
    numbers = Statistics()
    for step in range(100):
        clock.now += 0.1
        numbers.processed(clock.now - (0.2 if step == 50 else 0.02), 3, {step // 10, 7})
    report = numbers.report(limits(), silence=0.1)
    assert (report.level, report.message) == (Level.OK, 'tracking')
    assert float(report.values['rate (1/s)']) == pytest.approx(10, abs=0.3)
    assert report.values['latency p50 (ms)'] == '20.0'
    assert 20 < float(report.values['latency p99 (ms)']) <= 200
    assert numbers.account(dropped=7, in_work=1) == {
        'sent': 108,
        'processed': 100,
        'dropped': 7,
        'failed': 0,
        'paused': 0,
        'in work': 1,
    }
    assert (report.values['people now'], report.values['ids so far']) == ('3', '10')
    numbers.forget_ids()
    assert numbers.report(limits(), 0.1).values['ids so far'] == '0'
    assert numbers.report(limits(latency_warn=0.01), 0.1).level == Level.WARN
    assert numbers.report(limits(latency_error=0.01), 0.1).level == Level.ERROR
    assert numbers.report(limits(rate_warn=9.0), 0.1).level == Level.OK
    assert numbers.report(limits(rate_warn=11.0), 0.1).message == '10.0 images per second'
    clock.now += 60
    assert numbers.report(limits(), 0.1).values['rate (1/s)'] == '0.0'
    numbers.resume()
    clock.now += 1
    assert numbers.report(limits(rate_warn=11.0), 0.1).level == Level.OK  # too early to tell


def test_many_persons_take_no_memory(monkeypatch):
    """Somebody who stays is counted once, however many pass by."""
    monkeypatch.setattr(statistics, 'REMEMBERED_IDS', 10)
    numbers = Statistics()
    for passing in range(2, 1000):
        numbers.processed(0.0, 2, [1, passing])
        assert len(numbers._ids) <= 10
    assert numbers.report(limits(), 0.1).values['ids so far'] == '999'


def test_silence():
    numbers = Statistics()
    assert numbers.report(limits(), silence=4.9).level == Level.OK
    report = numbers.report(limits(), silence=5.1)
    assert (report.level, report.message) == (Level.WARN, 'no input for 5.1 s')
    assert numbers.report(limits(silence_error=10.0), silence=11).level == Level.ERROR
    assert numbers.report(limits(silence_warn=0.0), silence=1e6).level == Level.OK


def test_the_last_error(clock):
    numbers = Statistics()
    numbers.failed('image skipped')
    report = numbers.report(limits(), 0.1)
    assert (report.level, report.message) == (Level.ERROR, 'image skipped')
    clock.now += ERROR_TIME + 1
    report = numbers.report(limits(), 0.1)
    assert (report.level, report.values['last error']) == (Level.OK, 'image skipped')


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
