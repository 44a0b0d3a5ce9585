"""The node under a manager that does what nav2_lifecycle_manager does, in its order."""

from __future__ import annotations

import os
import signal
import time

import pytest
from lifecycle_msgs.srv import GetState

from persontrack_ros.ros.tracker import bond

NAME = 'person_tracker'
# Defaults of nav2_lifecycle_manager: bond_timeout.
TIMEOUT = 4.0
UP = (('configure', 'inactive'), ('activate', 'active'))

with_bond = pytest.mark.skipif(bond.Status is None, reason='this ROS 2 has no messages of bond')


class Manager:
    """Starts, watches and stops a node; without a bond where `bond_timeout` is 0."""

    def __init__(self, peer, bond_timeout=TIMEOUT):
        self.peer, self.timeout = peer, bond_timeout
        self.heard = []
        if bond_timeout:
            node, depth = peer.node, 100
            self.own = node.create_publisher(bond.Status, 'bond', 5)
            self.other = node.create_subscription(bond.Status, 'bond', self.hear, depth)

    def hear(self, message):
        if message.id == NAME and message.instance_id != 'manager':
            self.heard.append((time.monotonic(), message))

    def change(self, *steps):
        for transition, state in steps:
            assert self.peer.change_state(transition), transition
            assert self.peer.state() == state

    def startup(self):
        """Configure and activate the node; wait for its first heartbeat, and answer it."""
        before = {each.instance_id for _, each in self.heard}
        self.change(*UP)
        if self.timeout:
            self.peer.until(
                lambda: self.heard and self.heard[-1][1].instance_id not in before, 'a new bond'
            )
            self.own.publish(bond.Status(id=NAME, instance_id='manager', active=True))

    def reconnect(self):
        """Ask for the state until a node answers, each time for as long as service_timeout."""
        client = self.peer.client(GetState, f'{NAME}/get_state')
        while True:
            future, end = client.call_async(GetState.Request()), time.monotonic() + 5
            while not future.done() and time.monotonic() < end:
                self.peer.spin_once()
            if future.done():
                return future.result().current_state.label

    @property
    def is_broken(self):
        """Whether the node said farewell, or was not heard in time."""
        when, last = self.heard[-1]
        return not last.active or time.monotonic() - when > self.timeout

    def reset(self):
        self.change(('deactivate', 'inactive'), ('cleanup', 'unconfigured'))

    def shutdown(self):
        self.reset()
        self.change(('unconfigured_shutdown', 'finalized'))


def test_without_a_bond(start, peer):
    """With bond_timeout: 0.0, services do."""
    start('tracker_node', autostart=False, input='detections')
    manager = Manager(peer, bond_timeout=0.0)
    manager.startup()
    manager.reset()
    manager.startup()
    manager.shutdown()


@with_bond
def test_started_watched_and_stopped(start, peer):
    start('tracker_node', autostart=False, input='detections')
    manager = Manager(peer)
    assert peer.state() == 'unconfigured'
    assert peer.node.count_publishers('bond') == 1  # the manager's own
    manager.startup()
    count = len(manager.heard)
    # The manager ends: the node goes on, as those of Nav2 do.
    manager.own.publish(bond.Status(id=NAME, instance_id='manager', active=False))
    peer.until(lambda: len(manager.heard) > count + 2, 'more heartbeats')
    assert not manager.is_broken
    assert {each.instance_id for _, each in manager.heard} == {manager.heard[0][1].instance_id}

    manager.reset()
    peer.until(lambda: not manager.heard[-1][1].active, 'farewell')
    peer.until(lambda: peer.node.count_publishers('bond') == 1, 'end of the publisher')
    manager.startup()
    manager.shutdown()
    peer.until(lambda: not manager.heard[-1][1].active, 'farewell')


@with_bond
@pytest.mark.slow
def test_a_killed_node_is_missed_and_taken_up_again(spawn, peer):
    """As with `respawn`, and attempt_respawn_reconnection of the manager."""
    process = spawn('tracker_node', autostart=False, input='detections')
    manager = Manager(peer)
    manager.startup()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    peer.until(lambda: manager.is_broken, 'missing heartbeats')
    assert manager.heard[-1][1].active
    spawn('tracker_node', autostart=False, input='detections')
    assert manager.reconnect() == 'unconfigured'
    manager.startup()
    manager.shutdown()


@pytest.mark.parametrize('autostart', [False, True])
def test_where_there_is_no_bond(start, peer, monkeypatch, autostart):
    """A node that starts itself has no manager; without the messages, a line says so."""
    if not autostart:
        monkeypatch.setattr(bond, 'Status', None)
    node = start('tracker_node', autostart=autostart, input='detections')
    if not autostart:
        Manager(peer, bond_timeout=0.0).startup()
    node.wait_for('tracking the persons in /detections')
    assert ('bond is not installed' in node.output) is not autostart
    assert peer.state() == 'active'
    assert peer.node.count_publishers('bond') == 0
