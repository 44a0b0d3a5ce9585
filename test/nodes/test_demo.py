"""The demo gives the tracks of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from persontrack_ros.core.evaluation.mot import read_mot
from persontrack_ros.core.media.source import VideoSource

pytestmark = pytest.mark.slow

DEMO = Path(__file__).resolve().parents[2] / 'examples' / 'demo.py'
FRAMES = 60
TIMEOUT = 1200


def run(*arguments):
    # The demo takes a domain of its own.
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_DOMAIN_ID'}
    return subprocess.run(
        [sys.executable, str(DEMO), *map(str, arguments)],
        capture_output=True,
        encoding='utf-8',
        timeout=TIMEOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


def test_demo(data, models, persontrack, tmp_path):
    video = data('videos/vtest.avi')
    alone = tmp_path / 'alone.txt'
    command = ('run', video, '--online', '--max-frames', FRAMES)
    assert persontrack(*command, '--mot-output', alone).returncode == 0
    output = tmp_path / 'new' / 'results here'
    done = run(video, '--output', output, '--max-frames', FRAMES)
    assert done.returncode == 0, done.stderr
    assert 'Traceback' not in done.stderr
    rows = read_mot(output / 'tracks.txt')
    expected = read_mot(alone)
    assert len(expected) > 100
    np.testing.assert_array_equal(rows[:, :2], expected[:, :2])
    np.testing.assert_allclose(rows[:, 2:6], expected[:, 2:6], rtol=0, atol=0.01)
    np.testing.assert_allclose(rows[:, 6], expected[:, 6], rtol=0, atol=0.001)
    with VideoSource(str(output / 'annotated.mp4')) as video:
        assert video.rate == pytest.approx(10)
        images = [frame.image for frame in video]
    assert len(images) == FRAMES
    assert images[0].shape == (576, 768, 3)
    ids = len(np.unique(expected[:, 1]))
    assert done.stdout.startswith(f'{FRAMES} frames tracked, {ids} ids; see ')


def test_a_wrong_source(models, tmp_path):
    done = run('missing.mp4', '--output', tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert 'no such video, folder or camera: missing.mp4' in line
