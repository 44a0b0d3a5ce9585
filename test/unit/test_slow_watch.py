"""Test what a node says whose camera is faster than it."""

import json

import pytest

from persontrack_ros.core import speed
from persontrack_ros.core.parameters.settings import Settings
from persontrack_ros.core.pipeline import StageTimes
from persontrack_ros.core.speed import Measured, advise, kept
from persontrack_ros.ros.tracker import slow_watch
from persontrack_ros.ros.tracker.slow_watch import SlowWatch

TIMES = StageTimes(0.040, 0.004, 0.001)
MEASURED = [
    Measured({}, 0.030, 0.002),
    Measured({'detector.model': 'person-detection-0200'}, 0.010, 0.002),
    Measured({'reid.model': 'color'}, 0.030, 0.001),
]


def told(monkeypatch, period, busy, seconds=25.0, before=0):
    """Return what is told when images come with a period and take so long."""
    now = 1000.0
    monkeypatch.setattr(slow_watch.time, 'monotonic', lambda: now)
    watch = SlowWatch()
    lines = []
    end = now + seconds
    start = now
    while now < end:
        now += max(period, busy)
        line = watch.see(Settings(), TIMES, busy, before + round((now - start) / period))
        if line:
            lines.append(line)
    return lines


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return tmp_path / 'persontrack_ros' / 'speed.json'


def keep(cache, settings, measured=MEASURED):
    cache.parent.mkdir(exist_ok=True)
    machine = speed._machine(settings)
    cache.write_text(
        json.dumps({'machine': machine, 'measured': [vars(each) for each in measured]})
    )


def test_a_camera_that_is_faster_is_told_of_once(monkeypatch):
    (line,) = told(monkeypatch, 1 / 30, 0.045)
    assert line == (
        'an image takes 45 ms here (detection 40, re-identification 4), and one comes every 33 '
        'ms: not all are tracked. What would help: detector.interval: 2 (25 ms). "persontrack '
        'devices --measure" tells what would help here'
    )


@pytest.mark.parametrize('before', [0, 1000])
def test_a_camera_that_is_slow_enough_is_not(monkeypatch, before):
    assert told(monkeypatch, 0.05, 0.045, before=before) == []


def test_a_moment_is_no_reason(monkeypatch):
    assert told(monkeypatch, 1 / 30, 0.045, seconds=9.0) == []


def test_what_was_measured_here_is_told(monkeypatch, cache):
    keep(cache, Settings())
    (line,) = told(monkeypatch, 1 / 30, 0.045)
    assert line.endswith(
        'What would help: detector.interval: 2 (25 ms), detector.model: person-detection-0200 '
        '(18 ms), reid.model: color (43 ms)'
    )


def test_what_is_set_already_is_no_advice():
    settings = Settings.from_values({'reid.model': 'color', 'detector.interval': 4})
    assert advise(settings, TIMES, MEASURED) == [
        'detector.interval: 8 (25 ms)',
        'detector.model: person-detection-0200 (18 ms)',
    ]
    settings = Settings.from_values({'detector.model': 'none'})
    assert advise(settings, TIMES, MEASURED) == ['reid.model: color (43 ms)']


def test_what_was_measured_with_other_settings_is_none(cache):
    keep(cache, Settings())
    assert kept(Settings()) == MEASURED
    # What it does not depend on.
    assert kept(Settings.from_values({'tracker.n_init': 5})) == MEASURED
    assert kept(Settings.from_values({'inference.threads': 1})) == []


@pytest.mark.parametrize(
    'content',
    ['', 'nonsense', '[]', '{}', 'null', '{"machine": 1, "measured": 5}', '\udc80', '[' * 90_000],
)
def test_a_damaged_file_is_as_good_as_none(cache, content):
    cache.parent.mkdir(exist_ok=True)
    cache.write_bytes(content.encode(errors='surrogateescape'))
    assert kept(Settings()) == []


@pytest.mark.parametrize('measured', [5, [5], [{}], [{'changes': 5, 'detection': 1}]])
def test_a_file_with_something_else_is_as_good_as_none(cache, measured):
    keep(cache, Settings())
    content = json.loads(cache.read_text())
    cache.write_text(json.dumps({**content, 'measured': measured}))
    assert kept(Settings()) == []


def test_measure(zoo, cache, monkeypatch):
    monkeypatch.setattr(speed, 'DURATION', 0.1)
    settings = Settings.from_values({'tracker.n_init': 5})
    rows = list(speed.measure(settings))
    found = {speed.named(changes): measured for changes, measured, _ in rows}
    assert list(found) == [
        '',
        'detector.interval: 2',
        'detector.precision: INT8',
        'detector.model: person-detection-0200',
        'reid.model: color',
    ]
    assert found['detector.interval: 2'].detection < found[''].detection
    assert found['detector.model: person-detection-0200'].detection < found[''].detection
    assert found['reid.model: color'].embedding < found[''].embedding
    # Nobody quantized it.
    assert found['detector.precision: INT8'] is None
    assert 'models quantize' in {speed.named(c): p for c, _, p in rows}['detector.precision: INT8']
    assert kept(Settings()) == [measured for _, measured, _ in rows if measured]
