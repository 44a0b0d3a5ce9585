"""tools/computers.py: cameras on one computer and their tracker on another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'computers.py'
TIMEOUT = 300


def test_what_goes_over_the_network(data, models):
    made = ['unshare', '--net', 'ip', 'link', 'add', 'net0', 'type', 'veth']
    if os.geteuid() != 0 or subprocess.run(made).returncode:
        pytest.skip('no network namespace can be made here')
    ways = ('compressed', 'detections', 'tracks')
    command = [sys.executable, SCRIPT, data('videos/vtest.avi'), '--seconds', '4', '--ways', *ways]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[2:]}
    assert tuple(rows) == ways
    there = {way: float(row[0]) for way, row in rows.items()}
    # An image has 46 kB as JPEG.
    assert 0 < there['tracks'] < 0.2 * there['compressed']
    assert 0 < there['detections'] < 0.2 * there['compressed']
    for _, _, tracks, p50, p99, *cores in rows.values():
        assert float(tracks) > 0
        assert 0 < float(p50) <= float(p99)
        assert min(map(float, cores)) >= 0
