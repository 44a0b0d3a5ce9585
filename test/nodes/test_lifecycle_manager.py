"""The node under a manager that does what nav2_lifecycle_manager does, in its order."""

from __future__ import annotations

import time

import pytest
from lifecycle_msgs.srv import GetState

from persontrack_ros.ros.tracker import bond

NAME = 'person_tracker'
# Seconds; the defaults of bond_timeout and service_timeout.
BOND, SERVICE = 4.0, 5.0

with_bond = pytest.mark.skipif(bond.Status is None, reason='this ROS 2 has no messages of bond')


class Manager:
    """Starts, watches and stops a node."""

    def __init__(self, peer):
        self.peer, self.heard = peer, []
        self.own = peer.node.create_publisher(bond.Status, 'bond', 5)
        self.other = peer.node.create_subscription(bond.Status, 'bond', self.hear, 100)

    def hear(self, message):
        if (message.id, message.instance_id) != (NAME, 'manager'):
            self.heard.append((time.monotonic(), message))

    def say(self, active):
        self.own.publish(bond.Status(id=NAME, instance_id='manager', active=active))

    def startup(self):
        """Activate the node; wait for the first heartbeat of this activation, and answer it."""
        before = {each.instance_id for _, each in self.heard}
        change(self.peer, 'configure inactive', 'activate active')
        self.peer.until(
            lambda: self.heard and self.heard[-1][1].instance_id not in before, 'a new bond'
        )
        self.say(active=True)

    def reaches_node(self):
        """Whether a node answers in time; for a while, requests may go to one that was killed."""
        future = self.peer.client(GetState, f'{NAME}/get_state').call_async(GetState.Request())
        end = time.monotonic() + SERVICE
        while not future.done() and time.monotonic() < end:
            self.peer.spin_once()
        return future.done()

    @property
    def is_broken(self):
        """Whether the node said farewell, or was not heard in time."""
        when, last = self.heard[-1]
        return not last.active or time.monotonic() - when > BOND


def change(peer, *steps):
    for step in steps:
        transition, state = step.split()
        assert peer.change_state(transition), step
        assert peer.state() == state


@with_bond
def test_started_watched_and_stopped(start, peer):
    start('tracker_node', autostart=False, input='detections')
    manager = Manager(peer)
    manager.startup()
    count = len(manager.heard)
    # The manager ends: the node goes on, as those of Nav2 do.
    manager.say(active=False)
    peer.until(lambda: len(manager.heard) > count + 2, 'more heartbeats')
    assert len({each.instance_id for _, each in manager.heard}) == 1
    assert not manager.is_broken
    for end in (), ('unconfigured_shutdown finalized',):
        change(peer, 'deactivate inactive', 'cleanup unconfigured', *end)
        peer.until(lambda: not manager.heard[-1][1].active, 'farewell')
        peer.until(lambda: peer.node.count_publishers('bond') == 1, 'end of the publisher')
        if not end:
            manager.startup()


@with_bond
@pytest.mark.slow
def test_a_killed_node_is_missed_and_taken_up_again(spawn, peer):
    """As with `respawn`, and attempt_respawn_reconnection of the manager."""
    process = spawn('tracker_node', autostart=False, input='detections')
    manager = Manager(peer)
    manager.startup()
    process._process.kill()
    peer.until(lambda: manager.is_broken, 'missing heartbeats')
    assert manager.heard[-1][1].active
    spawn('tracker_node', autostart=False, input='detections')
    peer.until(manager.reaches_node, 'state of the node')
    manager.startup()


@pytest.mark.parametrize('autostart', [False, True])
def test_where_there_is_no_bond(start, peer, monkeypatch, autostart):
    """A node that starts itself has no manager; without the messages, a line says so."""
    if not autostart:
        monkeypatch.setattr(bond, 'Status', None)
    node = start('tracker_node', autostart=autostart, input='detections')
    if not autostart:
        change(peer, 'configure inactive', 'activate active')
    node.wait_for('tracking the persons in /detections')
    assert ('bond is not installed' in node.output) is not autostart
    assert peer.node.count_publishers('bond') == 0
    if not autostart:
        change(peer, 'deactivate inactive', 'cleanup unconfigured')
