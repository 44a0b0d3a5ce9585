"""The measurements of the node: start, and images that come too fast."""

from __future__ import annotations

import os

import cameras
import pytest
import transport
from rclpy.utilities import get_rmw_implementation_identifier

from persontrack_ros.benchmark.measure import images_of
from persontrack_ros.ros.process import ros
from persontrack_ros.ros.tools import benchmark

pytestmark = pytest.mark.slow

CONFIGURATION = (
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'CYCLONEDDS_URI',
)


def test_sizes(data, models, monkeypatch):
    monkeypatch.setattr(benchmark, 'SIZES', ((320, 240),))
    with ros():
        result = benchmark.measure_sizes(str(data('videos/vtest.avi')), {}, 1, 5)
    row = result['320x240']
    assert row['start_s'] > 0
    assert row['images'] == 5
    assert row['node']['p50_ms'] > 0


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
        result = transport.measure(str(data('videos/vtest.avi')), 5, {})
    middleware = get_rmw_implementation_identifier()
    assert (result['distribution'], result['middleware']) == (os.environ['ROS_DISTRO'], middleware)
    reliable, best_effort = result['runs']
    assert [reliable['reliability'], best_effort['reliability']] == ['reliable', 'best_effort']
    assert list(reliable['sizes']) == ['640x480', '1280x720', '1920x1080', '3840x2160']
    # Small images that are sent reliably get there.
    row = reliable['sizes']['640x480']['10']
    assert (row['sent'], row['tracked']) == (5, 5)
    assert 0 < row['publishing']['p50_ms'] < row['latency']['p50_ms']
    told = [line.split() for line in transport.table(result) if ' of 5 ' in line]
    assert told[0][:7] == ['none', 'reliable', '640x480', '|', '5', 'of', '5']


def test_cameras_in_one_node_and_in_several(data, models):
    """More than the machine can track: each camera has its share of what it can."""
    images = images_of(str(data('videos/vtest.avi')), cameras.SIZE, 40)
    names = [f'camera{number}' for number in range(1, 5)]
    with ros():
        one, many = (cameras.measure(names, images, {}, 3, together) for together in (True, False))
    for each in (one, many):
        assert each['sent'] == [30] * 4
        assert all(0 < number <= 30 for number in each['tracked'])
        assert 0 < each['p50_ms'] <= each['p99_ms']
    assert one['memory_mb'] < 0.6 * many['memory_mb']
    rows = [line.split()[:2] for line in cameras.table({4: {'one': one, 'many': many}})]
    assert rows[-3:-1] == [['4', '1'], ['4', '4']]
