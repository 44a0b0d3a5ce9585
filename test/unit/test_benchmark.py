"""The benchmark: its clocks, its numbers, and its command."""

import json
import os
import re
import time
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from persontrack_ros.benchmark.frontier import CYCLE, WAYS, choose, draw
from persontrack_ros.benchmark.measure import cpu_time, paced, peak_memory, percentiles, usage
from persontrack_ros.cli import benchmark
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.files import SEARCH_VARIABLE, find_model


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
    before = usage()
    while time.process_time() < before[1] + 0.3:
        pass
    wall, cpu, machine = usage() - before
    # Threads of an earlier test may still spin on the other processors.
    assert wall * os.cpu_count() >= cpu >= 0.3
    assert machine > 0.2
    assert cpu_time(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)
    assert peak_memory(os.getpid()) > 10


def rows(most):
    """Return a row for each way; the first takes so many cores, and each next one less."""
    cores = np.linspace(most, 0.01, len(WAYS))
    return [{**way, 'cores': each} for way, each in zip(WAYS, cores.tolist())]


def test_the_page_has_the_loss_of_each_way(request):
    page = (request.config.rootpath / 'docs' / 'performance.md').read_text()
    table = page.split('| model | pattern | time |')[1].split('\n\n')[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in table]
    assert {(row[0], row[1]): row[5] for row in cells} == {
        (way['name'], way['pattern']): '/'.join(f'{each:.1f}' for each in way['loss'])
        for way in WAYS
    }


def test_the_most_accurate_way_that_fits():
    assert choose(rows(2.0), 2.0)['values'] == WAYS[0]['values']
    assert choose(rows(2.0), 1.99)['loss'] == min(way['loss'] for way in WAYS[1:])
    assert choose(rows(2.0), 0.005) is None
    # One thread cannot use more than one core.
    threads = [row for row in rows(2.0) if row['values'].get('inference.threads') == 1]
    assert threads
    assert choose([{**row, 'cores': 1.1} for row in threads], 2.0) is None


def test_picture():
    ways = rows(2.0)
    picture = ElementTree.fromstring(draw(ways, ways[3]))
    circles = [each for each in picture.iter() if each.tag.endswith('circle')]
    assert len(circles) == len(WAYS)
    assert [index for index, each in enumerate(circles) if each.get('fill') == 'red'] == [3]
    # The default takes the most cores, without a loss.
    assert (circles[0].get('cx'), circles[0].get('cy')) == ('540', '40')
    texts = [each.text for each in picture.iter() if each.text]
    assert f'1: 2.00, 0.0: {WAYS[0]["name"]}, {WAYS[0]["pattern"]}' in texts


@pytest.mark.slow
def test_command(zoo, campus, persontrack, tmp_path, monkeypatch):
    file, plot = tmp_path / 'results.json', tmp_path / 'ways.svg'
    # Without the light model and INT8, as after the first download.
    for name in ('person-detection-0202', 'person-reidentification-retail-0287'):
        (tmp_path / name).symlink_to(find_model(name, 'FP16').parents[1])
    monkeypatch.setenv(SEARCH_VARIABLE, str(tmp_path))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(benchmark, '_WAY_FRAMES', CYCLE)
    arguments = ('--cores', 64, '--rate', 5, '--plot', plot, '--video', campus, '--json', file)
    done = persontrack('benchmark', 'pipeline', 'ways', *arguments)
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert set(results) == {'machine', 'video', 'settings', 'device', 'pipeline', 'ways'}
    assert results['settings'] == Settings().values()
    assert re.search(r'cores, inference on CPU;', done.stdout)
    row = results['pipeline']
    assert f'{row["frame_ms"]:.1f} ms per frame' in done.stdout
    assert sum(row['parts_ms'].values()) == pytest.approx(row['frame_ms'], rel=0.2)
    assert 0 < row['embedded'] < row['detections']
    assert 0 < row['latency']['p50_ms'] <= row['latency']['p99_ms']
    assert row['peak_memory_mb'] > 100
    ways = results['ways']
    assert {way['pattern'] for way in ways} == {'large', 'large none'}
    for way in ways:
        assert way['cores'] == pytest.approx(way['cpu_ms'] * 5 / 1000)
    missing = done.stdout.split('get them by: ')[1].splitlines()[0].split('; ')
    assert 'persontrack models download person-detection-0200' in missing
    assert 'persontrack models quantize person-detection-0202 --calibration VIDEO' in missing
    lines = done.stdout.split('parameter file:\n')[1]
    assert yaml.safe_load(lines) == WAYS[0]['values']
    assert ElementTree.parse(plot).getroot().tag.endswith('svg')


def test_without_the_models_of_the_default(campus, persontrack, tmp_path, monkeypatch):
    monkeypatch.setenv(SEARCH_VARIABLE, '')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    own = ('--set', 'detector.model=x.onnx', '--set', 'reid.model=color')
    done = persontrack('benchmark', '--video', campus, *own)
    assert done.returncode == 2
    assert 'run persontrack models download person-detection-0202 and ' in done.stderr


@pytest.mark.parametrize(
    ('arguments', 'problem'),
    [
        (['fast'], 'fast is none of pipeline, node, ways'),
        (['pipeline', '--video', 'missing.avi'], 'no such video'),
        (['pipeline', '--video', 'missing.avi', '--cores', '1'], '--plot need the part ways'),
        (['--video', 'missing.avi', '--cores', '-1'], 'number from 0.01'),
        (['--video', 'missing.avi', '--plot', 'ways.pdf'], 'the name has to end in .svg'),
        (['--video', __file__, '--set', 'detector.model=none'], 'cannot decode the video'),
    ],
)
def test_wrong_arguments(persontrack, arguments, problem):
    done = persontrack('benchmark', *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
    assert 'Traceback' not in done.stderr
