"""tools/computers.py: cameras on one computer and their tracker on another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'computers.py'
TIMEOUT = 300


def refusal():
    """Return why no network namespace can be made here; empty if one can."""
    made = subprocess.run(
        ['unshare', '--net', 'ip', 'link', 'add', 'net0', 'type', 'veth'],
        capture_output=True,
        text=True,
    )
    return made.stderr.strip()


needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or bool(refusal()), reason='no network namespace can be made here'
)


def start(video, *arguments):
    return subprocess.Popen(
        [sys.executable, SCRIPT, video, *arguments], stdout=subprocess.PIPE, text=True
    )


@needs_namespaces
def test_what_goes_over_the_network(data, models):
    ways = ('compressed', 'detections', 'tracks')
    process = start(data('videos/vtest.avi'), '--seconds', '4', '--ways', *ways)
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines()[2:]}
    assert tuple(rows) == ways
    there = {way: float(row[0]) for way, row in rows.items()}
    # An image has 46 kB as JPEG.
    assert 0 < there['tracks'] < 0.2 * there['compressed']
    assert 0 < there['detections'] < 0.2 * there['compressed']
    for _, _, tracks, p50, p99, *cores in rows.values():
        assert float(tracks) > 0
        assert 0 < float(p50) <= float(p99)
        assert min(map(float, cores)) >= 0


@needs_namespaces
def test_an_end_before_the_end(data, models):
    """After it, the namespaces are deleted."""
    process = start(data('videos/vtest.avi'), '--ways', 'tracks')

    def namespaces():
        return list(Path('/run/netns').glob(f'persontrack-{process.pid}-*'))

    while not namespaces():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert namespaces() == []
