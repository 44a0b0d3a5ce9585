"""tools/computers.py: cameras on one computer and their tracker on another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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
    os.geteuid() == 0 and bool(refusal()), reason='no network namespace can be made here'
)


def computers(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=TIMEOUT
    )


def namespaces(process):
    """Return those that a process made."""
    return list(Path('/run/netns').glob(f'persontrack-{process}-*'))


@needs_namespaces
def test_what_goes_over_the_network(data, models):
    """Over a link that is too slow, what does not fit does not arrive in time."""
    video = str(data('videos/vtest.avi'))
    done = computers(video, '--seconds', '4', '--ways', 'compressed', 'detections', 'tracks')
    if os.geteuid():
        assert done.returncode == 2
        assert 'need root' in done.stderr
        return
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[2:]}
    assert list(rows) == ['compressed', 'detections', 'tracks']
    there = {way: float(row[0]) for way, row in rows.items()}
    # An image has 46 kB as JPEG, one of 10 per second.
    assert 1 < there['compressed'] < 20
    assert 0 < there['tracks'] < 0.2 * there['compressed']
    assert 0 < there['detections'] < 0.2 * there['compressed']
    for _, _, tracks, p50, p99, cores, other_cores in rows.values():
        assert 0 < float(tracks) <= 11
        assert 0 < float(p50) <= float(p99)
        assert float(cores) > 0
        assert float(other_cores) >= 0
    # The work is done where the way says.
    assert float(rows['compressed'][-1]) > float(rows['compressed'][-2])
    assert float(rows['tracks'][-1]) < float(rows['tracks'][-2])

    done = computers(video, '--seconds', '4', '--ways', 'raw', '--mbit', '20')
    assert done.returncode == 0, done.stderr
    name, there, _, tracks, *_ = done.stdout.splitlines()[-1].split()
    assert name == 'raw'
    assert float(there) < 25
    assert float(tracks) < 5


@pytest.mark.skipif(os.geteuid() != 0, reason='namespaces need root')
@needs_namespaces
def test_an_end_before_the_end(data, models):
    """After it, the namespaces are deleted."""
    command = [sys.executable, SCRIPT, str(data('videos/vtest.avi')), '--ways', 'tracks']
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + TIMEOUT
    while not namespaces(process.pid):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT) == 130
    assert namespaces(process.pid) == []
