"""Nodes that are killed leave nothing that the next start does not take back."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Of Fast DDS.
FOLDER = Path('/dev/shm')  # noqa: S108 - as Fast DDS does


def segments_of(process):
    """Return the locks of the segments that a process holds."""
    files = {Path(os.readlink(link)) for link in Path(f'/proc/{process.pid}/fd').iterdir()}
    return {each for each in files if each.parent == FOLDER and '_port' not in each.name}


@pytest.mark.skipif(
    'cyclone' in os.environ.get('RMW_IMPLEMENTATION', ''),
    reason='Cyclone DDS keeps nothing in /dev/shm',
)
def test_killed_nodes_leave_nothing(spawn, peer):
    """And one that lives keeps what it has."""
    names = ['killed_0', 'killed_1']
    alive, *killed = (
        spawn('tracker_node', '-r', f'__node:={name}', autostart=False)
        for name in ('alive', *names)
    )
    peer.until(lambda: {'alive', *names} <= set(peer.node.get_node_names()), 'all nodes')
    left = set()
    for process in killed:
        locks = segments_of(process)
        assert locks
        left |= locks
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    for lock in left:
        # Young ones may belong to a node that is just starting. Any node of this machine may have
        # removed it already.
        with suppress(FileNotFoundError):
            os.utime(lock, (time.time() - 60,) * 2)
    spawn('tracker_node', autostart=False)
    peer.until(
        lambda: not any(lock.exists() or lock.with_name(lock.name[:-3]).exists() for lock in left),
        'cleaning',
    )
    assert segments_of(alive)
    assert all(lock.exists() for lock in segments_of(alive))
