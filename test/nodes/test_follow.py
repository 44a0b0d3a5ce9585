"""A simulated robot follows a person, with the example controller."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT = 400

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec('tf2_ros') is None, reason='this ROS 2 has no tf2_ros'
    ),
]


def simulate(*arguments):
    command = [sys.executable, str(CHECKOUT / 'tools' / 'follow_simulation.py'), *arguments]
    done = subprocess.run(command, capture_output=True, encoding='utf-8', timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '[ERROR]' not in done.stderr
    return done.stdout


def test_the_distance_is_kept(models, data, own_graph):
    """Also when another person walks through between the two."""
    output = simulate(str(data('videos/one-by-one-person-detection.mp4')), '--seconds', '24')
    found = re.search(r'24 s, (\d+) poses, (\d+) images without one', output)
    assert int(found[1]) > 200
    # While the other one is in the way.
    assert 0 < int(found[2]) < 30


def test_the_robot_stops(models, own_graph):
    """Images, depth, detections, tf or poses stop, or the person is too near for depth."""
    output = simulate('--faults', '7')
    distances = [float(each) for each in re.findall(r' s: ([\d.]+) m at least', output)]
    assert len(distances) == 7
    assert min(distances) >= 0.8
