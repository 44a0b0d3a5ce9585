"""The benchmark: what is compared is what it is said to be, and the numbers are told rightly."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import association
import numpy as np
import pytest
from association import Crowd, trackers

from persontrack_ros.benchmark.measure import (
    Usage,
    cpu_time,
    memory,
    paced,
    peak_memory,
    percentiles,
)
from persontrack_ros.benchmark.picture import draw_profile
from persontrack_ros.benchmark.pipelines import measure_pipelines, summarise
from persontrack_ros.benchmark.reference_tracker import ReferenceTracker
from persontrack_ros.benchmark.report import noise
from persontrack_ros.benchmark.variants import settings_of
from persontrack_ros.benchmark.worker import Chunk
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.config.settings import Settings, TrackerSettings
from persontrack_ros.core.evaluation.mot import read_mot
from persontrack_ros.core.evaluation.recording import Recording, track


def assert_the_loops_give(expected, recording, max_cosine_distance):
    tracker = ReferenceTracker(max_cosine_distance)
    rows = np.array(
        [
            [number, person.id, *person.box]
            for number, _, detections in recording.replay(0.0)
            for person in tracker.update(detections.boxes, detections.embeddings)
        ]
    )
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    expected = expected[np.lexsort((expected[:, 1], expected[:, 0]))]
    np.testing.assert_array_equal(rows[:, :2], expected[:, :2])
    np.testing.assert_allclose(rows[:, 2:], expected[:, 2:6], rtol=0, atol=0.01)


@pytest.mark.parametrize('max_cosine_distance', [0.3, 0.6])
@pytest.mark.slow
def test_the_loops_reproduce_the_reference(data, max_cosine_distance):
    """What the ratios refer to is no straw man: it does all that the reference does."""
    folder = data('reference/deep_sort')
    name = f'PETS09-S2L1.expected_max_cosine_distance_{max_cosine_distance}.txt'
    recording = Recording.load(folder / 'PETS09-S2L1.detections.npz')
    assert_the_loops_give(read_mot(folder / name), recording, max_cosine_distance)


@pytest.mark.parametrize('max_cosine_distance', [0.3, 0.6])
@pytest.mark.slow
def test_the_loops_do_as_the_tracker(stored, max_cosine_distance):
    """That of this package, which reproduces the reference as well."""
    recording = Recording.load(stored)
    settings = TrackerSettings(algorithm='deep_sort', max_cosine_distance=max_cosine_distance)
    expected = track(recording, settings, 0.0)
    assert len(expected) > 100
    assert_the_loops_give(expected, recording, max_cosine_distance)


def chunk(wall, cpu, latencies, detected=(4, 4), embedded=(1, 0)):
    stages = {'detection': 0.5 * wall, 'embedding': 0.25 * wall, 'tracking': 0.0}
    return Chunk(wall, cpu, 0.1 * wall, latencies, stages, list(detected), list(embedded), 100.0)


def test_ratios_are_those_of_the_same_round():
    """A machine that is three times as slow in one round changes no ratio."""
    base = [chunk(wall, 2 * wall, [wall / 2] * 2) for wall in (0.2, 0.6, 0.2)]
    fast = [chunk(wall, wall, [wall / 2] * 2) for wall in (0.05, 0.15, 0.05)]
    summary = summarise(fast, base, frames=2)
    assert summary['ratios']['throughput'] == pytest.approx(4)
    assert summary['ratios']['cpu'] == pytest.approx(1 / 8)
    assert summary['ratios']['p50'] == pytest.approx(1 / 4)
    assert summary['wall_ms'] == pytest.approx(25)
    assert summary['latency']['p50_ms'] == pytest.approx(25)
    assert summary['embedded_fraction'] == pytest.approx(1 / 8)
    assert summary['stages_ms']['detection'] == pytest.approx(2 * summary['stages_ms']['reading'])
    assert summary['others_cpu'] == pytest.approx(0.1)


def test_percentiles():
    told = percentiles(np.arange(1001) / 1000)
    assert told == pytest.approx({'p50_ms': 500, 'p99_ms': 990, 'p99.9_ms': 999})


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
    assert 0 < memory() <= peak_memory()
    assert peak_memory(os.getpid()) == pytest.approx(peak_memory(), rel=0.1)


@pytest.mark.slow
def test_every_tracker_follows_the_whole_crowd():
    crowd = Crowd(20)
    steps = trackers()
    for _ in range(6):
        boxes, embeddings = crowd.step()
        found = {name: len(step(boxes, embeddings)) for name, step in steps.items()}
    assert found == dict.fromkeys(steps, 20)


def test_modes_of_models_that_are_not_installed_are_left_out(models, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert settings_of('int8', Settings()) is None
    assert settings_of('interval_2', Settings()).detector.interval == 2


@pytest.mark.slow
def test_pipelines(campus, zoo, tmp_path):
    """All numbers are there; what they are is the machine's affair."""
    video = str(campus)
    modes = ['default', 'every_frame']
    pipelines = measure_pipelines(video, Settings(), modes, 1, 5)
    assert set(pipelines) == {'notebook', *modes, 'bound'}
    for row in pipelines.values():
        assert row['latency']['p50_ms'] > 0
        assert row['cpu_ms'] > 0
        assert row['peak_memory_mb'] > 100
    assert pipelines['notebook']['ratios']['throughput'] == 1
    assert pipelines['every_frame']['embedded_fraction'] == 1
    assert 0 < pipelines['default']['embedded_fraction'] < 1
    assert pipelines['bound']['stages_ms']['tracking'] == 0
    assert 'others used' in noise(pipelines)
    draw_profile(pipelines, tmp_path / 'profile.svg')
    drawn = (tmp_path / 'profile.svg').read_text()
    assert drawn.count('<text') + drawn.count('<!-- ') > len(pipelines)


@pytest.mark.slow
def test_interrupted(zoo, campus):
    """As the terminal does it: all processes of the group get Ctrl-C."""
    command = [sys.executable, '-m', 'persontrack_ros.cli', 'benchmark', 'pipeline']
    with subprocess.Popen(
        [*command, '--video', str(campus)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        said = ''
        while 'measuring' not in said:
            some = process.stderr.read(1)
            assert some, said
            said += some
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert 'Traceback' not in errors
    assert output == ''


@pytest.mark.slow
def test_association():
    row = association.measure(1, (10,))[10]
    assert list(row) == ['reference', 'deep_sort', 'persistent']
    assert all(time > 0 for time in row.values())


@pytest.mark.slow
def test_command(zoo, campus, persontrack, tmp_path):
    file = tmp_path / 'results.json'
    arguments = ('pipeline', '--quick', '--video', campus, '--json', file)
    done = persontrack('benchmark', *arguments)
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert set(results) == {'machine', 'video', 'settings', 'inference', 'pipeline'}
    assert results['settings'] == Settings().values()
    for name in ('notebook', 'default', 'bound'):
        assert re.search(rf'^{name} +\| +\d+\.\d\d', done.stdout, re.MULTILINE), done.stdout
    assert re.search(r'cores, inference with CPU, \w+_(f32|bf16|f16)', done.stdout)


@pytest.mark.parametrize(
    ('arguments', 'problem'),
    [
        (['fast'], "invalid _part value: 'fast'"),
        (['node', '--plot', 'a.svg'], '--plot needs the part pipeline'),
        (['pipeline', '--video', 'missing.avi'], 'no such video'),
    ],
)
def test_wrong_arguments(persontrack, arguments, problem):
    done = persontrack('benchmark', *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_a_worker_that_ends_says_why(data, tmp_path):
    from persontrack_ros.benchmark.worker import Worker

    with (
        Worker('default', {'detector.model': 'none.xml'}, str(data('videos/vtest.avi'))) as worker,
        pytest.raises(PersontrackError, match='ended'),
    ):
        worker.run(1)


def test_no_benchmark_without_asking_for_it():
    """Other commands do not pay for it."""
    code = (
        'import sys; from persontrack_ros.cli import commands; '
        'print([name for name in sys.modules if "benchmark." in name])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[]'
