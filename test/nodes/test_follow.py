"""A simulated robot follows a person, with the example controller."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT = 400


@pytest.mark.skipif(
    importlib.util.find_spec('tf2_ros') is None, reason='this ROS 2 has no tf2_ros'
)
def test_the_distance_is_kept(models, data, own_graph):
    """Also when somebody walks through between the two; tools/follow_simulation.py tells more."""
    video = data('videos/one-by-one-person-detection.mp4')
    script = CHECKOUT / 'tools' / 'follow_simulation.py'
    done = subprocess.run(
        [sys.executable, str(script), str(video), '--seconds', '24'],
        capture_output=True,
        encoding='utf-8',
        timeout=TIMEOUT,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r'24 s, (\d+) poses, (\d+) images without one', done.stdout)
    assert int(found[1]) > 200
    # While the other one is in the way.
    assert 0 < int(found[2]) < 20
    assert '[ERROR]' not in done.stderr
