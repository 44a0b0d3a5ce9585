"""The benchmark: its clocks, its numbers, and its command."""

import json
import os
import re
import time

import numpy as np
import pytest

from persontrack_ros.benchmark.measure import Usage, cpu_time, paced, peak_memory, percentiles
from persontrack_ros.core.config.settings import Settings


def test_percentiles():
    assert percentiles(np.arange(1001) / 1000) == pytest.approx({'p50_ms': 500, 'p99_ms': 990})


def test_items_come_at_the_rate_of_a_camera():
    """Those that are asked for late come at once, and do not make the next ones hurry."""
    times = []
    for index in paced(range(4), 0.05):
        times.append(time.perf_counter())
        if index == 1:
            time.sleep(0.2)
    steps = np.diff(times)
    assert (steps >= 0.049).all()
    assert steps[1] >= 0.2


def test_clocks():
    before = Usage.now()
    while time.process_time() < before.cpu + 0.3:
        pass
    used = Usage.now() - before
    # Threads of an earlier test may still spin on the other processors.
    assert used.wall * os.cpu_count() >= used.cpu >= 0.3
    assert used.machine > 0.2
    assert cpu_time(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)
    assert peak_memory(os.getpid()) > 10


@pytest.mark.slow
def test_command(zoo, campus, persontrack, tmp_path):
    file = tmp_path / 'results.json'
    done = persontrack('benchmark', 'pipeline', '--video', campus, '--json', file)
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert set(results) == {'machine', 'video', 'settings', 'device', 'pipeline'}
    assert results['settings'] == Settings().values()
    assert re.search(r'cores, inference on CPU;', done.stdout)
    row = results['pipeline']
    assert f'{row["frame_ms"]:.1f} ms per frame' in done.stdout
    assert sum(row['parts_ms'].values()) == pytest.approx(row['frame_ms'], rel=0.2)
    assert 0 < row['embedded'] < row['detections']
    assert 0 < row['latency']['p50_ms'] <= row['latency']['p99_ms']
    assert row['peak_memory_mb'] > 100


@pytest.mark.parametrize(
    ('arguments', 'problem'),
    [
        (['fast'], "invalid _part value: 'fast'"),
        (['pipeline', '--video', 'missing.avi'], 'no such video'),
        (['--video', __file__, '--set', 'detector.model=none'], 'cannot decode the video'),
    ],
)
def test_wrong_arguments(persontrack, arguments, problem):
    done = persontrack('benchmark', *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
    assert 'Traceback' not in done.stderr
