"""The measurements of the node: start, and images that come too fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.benchmark.budget import Budget
from persontrack_ros.benchmark.report import as_text
from persontrack_ros.core.files.interrupt import Interrupt
from persontrack_ros.ros.process import ros
from persontrack_ros.ros.tools import benchmark

TIMEOUT = 600
CONFIGURATION = (
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'CYCLONEDDS_URI',
)


def test_start(data, models):
    command = [sys.executable, '-m', 'persontrack_ros.ros.tools.benchmark', 'start']
    arguments = [str(data('videos/vtest.avi')), '{}', 'inf', '1']
    done = subprocess.run(
        [*command, *arguments], stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True
    )
    result = json.loads(done.stdout)
    assert result['rounds'] == 1
    assert result['warm_s'] > 0
    assert result['cold_s'] > 0


def test_overload(data, models, monkeypatch):
    """With too many images, the newest one wins and each one is accounted for."""
    monkeypatch.setattr(benchmark, '_OVERLOAD_TIME', 3.0)
    # Too many also where the machine has less to do than when the time for one was measured.
    monkeypatch.setattr(benchmark, '_OVERLOAD', 6)
    # Small images, which are hardly ever lost on their way.
    monkeypatch.setattr(benchmark, 'SIZES', ((320, 240),) * 3)
    with ros():
        result = benchmark.measure_overload(str(data('videos/vtest.avi')), {})
    assert result['published'] == result['answered'] + result['dropped']
    assert result['answered'] > 3
    assert result['dropped'] > 0.3 * result['published']
    # One or the other may be lost on its way, before the node can count it.
    assert result['dropped_by_its_count'] == pytest.approx(result['dropped'], rel=0.2)
    assert result['memory_after_mb'] < result['memory_before_mb'] + 50


def test_transport(data, models, monkeypatch):
    """Without a configuration, which is one of three to measure."""
    for name in CONFIGURATION:
        monkeypatch.delenv(name, raising=False)
    with ros():
        result = benchmark.measure_transport(
            str(data('videos/vtest.avi')), {}, Budget(Interrupt()), 5
        )
    middleware = get_rmw_implementation_identifier()
    assert (result['distribution'], result['middleware']) == (os.environ['ROS_DISTRO'], middleware)
    reliable, best_effort = result['runs']
    assert [reliable['reliability'], best_effort['reliability']] == ['reliable', 'best_effort']
    assert list(reliable['sizes']) == ['640x480', '1280x720', '1920x1080', '3840x2160']
    # Small images that are sent reliably get there.
    row = reliable['sizes']['640x480']['10']
    assert (row['sent'], row['tracked']) == (5, 5)
    assert 0 < row['publishing']['p50_ms'] < row['latency']['p50_ms']
    assert row['call']['p50_ms'] > 0
    about = {
        'processor': 'P',
        'cores': 2,
        'inference': 'I',
        'openvino': 'O',
        'python': 'P',
        'load_before': 0.0,
    }
    text = as_text({'machine': about, 'transport': result})
    assert f'ROS 2 {result["distribution"]} with {middleware}' in text
    told = [line.split() for line in text.splitlines() if ' of 5 ' in line]
    assert [line[:3] for line in told] == [
        ['none', run['reliability'], size] for run in result['runs'] for size in run['sizes']
    ]
    assert told[0][3:7] == ['|', '5', 'of', '5']
    if 'fastrtps' in middleware:
        assert reliable['shared_memory_mib'] > 0.5
    else:
        assert reliable['shared_memory_mib'] == 0


def test_cameras_in_one_node_and_in_several(data, models, tmp_path):
    """More than the machine can track: each camera has its share of what it can."""
    path = tmp_path / 'results.json'
    command = [sys.executable, '-m', 'persontrack_ros.cli', 'benchmark', 'cameras']
    command += ['--video', str(data('videos/vtest.avi')), '--cameras', '1', '6']
    command += ['--quick', '--json', str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert '100%' in done.stderr
    results = json.loads(path.read_text())['cameras']
    assert [(count, list(row)) for count, row in results.items()] == [
        ('1', ['one', 'many']),
        ('6', ['one', 'many']),
    ]
    for count, row in results.items():
        for each in row.values():
            assert each['sent'] == [50] * int(count)
            assert all(0 < number <= 50 for number in each['tracked'])
            assert 0 < each['p50_ms'] <= each['p99_ms']
            assert each['cores'] > 0
            assert each['images_per_s'] * 5 == pytest.approx(sum(each['tracked']), rel=0.1)
            share = min(each['tracked']) * int(count) / sum(each['tracked'])
            assert each['least_to_mean'] == pytest.approx(share)
    assert results['6']['one']['least_to_mean'] > 0.8
    assert results['6']['one']['memory_mb'] < 0.45 * results['6']['many']['memory_mb']
    told = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in told if line[:1] in (['1'], ['6'])] == [
        ['1', '1'],
        ['1', '1'],
        ['6', '1'],
        ['6', '6'],
    ]
    assert [line[:1] for line in told].count(['ratio']) == 2
