"""The measurements of nodes."""

from __future__ import annotations

import cameras
import pytest
import transport
from arrivals import images_of

from persontrack_ros.ros.process import ros
from persontrack_ros.ros.tools import benchmark

pytestmark = pytest.mark.slow

CONFIGURATION = (
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'CYCLONEDDS_URI',
)


def test_node(data, models):
    with ros():
        row = benchmark.measure_node(str(data('videos/vtest.avi')), {}, (320, 240), 1, 5)
    assert row['start_s'] > 0
    assert row['images'] == 5
    assert row['node']['p50_ms'] > 0
    assert row['receiving_ms'] < row['cpu_ms']


def test_transport(data, models, monkeypatch):
    """Without a configuration, which is one of three to measure."""
    for name in CONFIGURATION:
        monkeypatch.delenv(name, raising=False)
    with ros():
        runs = transport.measure(str(data('videos/vtest.avi')), 5)
        lines = transport.table(runs)
    reliable, best_effort = runs
    assert [reliable['reliability'], best_effort['reliability']] == ['reliable', 'best_effort']
    assert list(reliable['sizes']) == ['640x480', '1280x720', '1920x1080', '3840x2160']
    # Small images that are sent reliably get there.
    row = reliable['sizes']['640x480']
    assert (row['sent'], row['tracked']) == (5, 5)
    assert 0 < row['latency']['p50_ms'] <= row['latency']['p99_ms']
    first = next(line.split() for line in lines if ' of 5 ' in line)
    assert first[:6] == ['none', 'reliable', '640x480', '5', 'of', '5']


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
    assert rows[-2:] == [['4', '1'], ['4', '4']]
