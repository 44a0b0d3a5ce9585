"""What nobody foresees: it costs what it was about, and never the node."""

from __future__ import annotations

import os
import re
import sys
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Detection2DArray


@pytest.fixture(scope='module')
def tracker(spawn_once):
    """Return a node that needs neither models nor images."""
    process = spawn_once('tracker_node', input='detections', use_sim_time=True)
    process.wait_for('tracking the persons')
    return process


@pytest.fixture
def peer(tracker, module_peer):
    yield module_peer
    assert tracker.is_alive
    assert module_peer.state() == 'active'


IMPOSSIBLE = Parameter(name='state_file', value=ParameterValue(type=200))
NEW = Parameter(
    name='tracker.n_init',
    value=ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=7),
)


def test_a_clock_before_its_beginning(tracker, peer):
    clock = peer.node.create_publisher(Clock, '/clock', 1)
    peer.until(clock.get_subscription_count, 'subscription of /clock')
    message = Clock()
    for seconds in (-1, 5):
        message.clock.sec = seconds
        for _ in range(5):
            clock.publish(message)
            peer.spin_once()
    tracker.wait_for(r'ERROR.*/clock: ')


@pytest.mark.parametrize('service', ['save_state', 'load_state'])
def test_the_home_of_nobody(peer, service):
    assert peer.set(state_file='~nosuchuser/x').successful
    result = peer.call(Trigger, service)
    assert not result.success
    assert 'state_file: ~nosuchuser/x' in result.message


def test_files_that_cannot_be_a_state(tracker, peer, tmp_path):
    """Neither waits nor takes memory for them; nor is one replaced that is something else."""
    pipe, link, folder = tmp_path / 'pipe', tmp_path / 'link', tmp_path / 'folder'
    os.mkfifo(pipe)
    folder.mkdir()
    other = tmp_path / 'other'
    other.write_text('of somebody')
    link.symlink_to(other)
    for path in (pipe, folder, other, link, '/dev/zero', '/dev/null', tmp_path / ('x' * 300)):
        assert peer.set(state_file=str(path)).successful
        for service, words in (('save_state', 'cannot write'), ('load_state', 'cannot read')):
            result = peer.call(Trigger, service)
            assert not result.success
            assert words in result.message, path
    assert other.read_text() == 'of somebody'
    assert sorted(each.name for each in tmp_path.iterdir()) == ['folder', 'link', 'other', 'pipe']
    state = tmp_path / 'state.npz'
    assert peer.set(state_file=str(state)).successful
    for service in ('save_state', 'save_state', 'load_state'):
        assert peer.call(Trigger, service).success
    assert not [line for line in tracker.lines if '_state: ' in line]


def test_messages_that_are_none(peer):
    """As from another version of a type: rclpy can raise while it takes them."""
    detections = peer.node.create_publisher(Detection2DArray, 'detections', 10)
    peer.until(detections.get_subscription_count, 'subscription')
    message = Detection2DArray()
    whole = serialize_message(message)
    for garbage in (whole[:7], whole[:4] + b'\xff' * 40, b'\0\1\0\0' + b'\xff' * 200):
        detections.publish(garbage)
        message.header.stamp.sec += 1
        peer.ask(lambda: detections.publish(message), message.header)


class Account:
    """What the node says became of the images that it was sent."""

    def __init__(self, peer):
        self._peer = peer
        self._messages = peer.collect(DiagnosticArray, '/diagnostics')

    def until(self, **fates):
        """Wait until the diagnostics tell these numbers."""
        wanted = {name.replace('_', ' '): str(number) for name, number in fates.items()}
        self._peer.until(lambda: wanted.items() <= self.newest.items(), f'{wanted}')
        return {name: int(self.newest[name]) for name in FATES}

    @property
    def newest(self):
        if not self._messages:
            return {}
        (status,) = self._messages[-1].status
        return {each.key: each.value for each in status.values}


FATES = ('sent', 'processed', 'dropped', 'failed', 'paused')


def test_every_image_is_accounted_for(models, start, peer_of, own_graph, pictures, to_message):
    """Also those that are worked on, or wait, or come while they are left out."""
    peer = peer_of('')
    process = start('tracker_node', reid__model='none')
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    account = Account(peer)
    sent = 0

    def send(count, change=None, images=peer.images):
        """Publish as a camera does; return how many have been sent by now."""
        nonlocal sent
        for index in range(count):
            message = to_message(pictures[index % len(pictures)])
            if change is not None:
                change(index, message)
            images.publish(message)
            sent += 1
            time.sleep(0.01)
        return sent

    def damage(index, message):
        if index % 3 == 0:
            message.encoding = 'smell8 ' * 100_000

    account.until(sent=send(60), in_work=0)
    # Somebody else sends one, and leaves.
    second = peer.node.create_publisher(Image, 'image_raw', 1)
    peer.until(second.get_subscription_count, 'subscription')
    fates = account.until(sent=send(1, images=second), in_work=0)
    peer.node.destroy_publisher(second)
    later = account.until(sent=send(1), in_work=0)
    assert later == {**fates, 'sent': sent, 'processed': fates['processed'] + 1}
    fates = account.until(sent=send(30, damage), in_work=0)
    assert fates['failed'] > 0
    # Told every second: not all of what was wrong, but what.
    assert re.match('frame skipped: .*smell8 smell8', account.newest['last error'])
    assert len(account.newest['last error']) < 1000
    process.wait_for(r'ERROR.*frame skipped: .*smell8')
    assert max(map(len, process.lines)) < 1000
    assert peer.call(SetBool, 'enable', data=False).success
    fates = account.until(sent=send(20), in_work=0)
    assert fates['paused'] > 0
    assert peer.call(SetBool, 'enable', data=True).success
    # At the end of it, one image is worked on and others wait, or are replaced.
    peer.client(ChangeState, 'person_tracker/change_state')
    send(40)
    assert peer.change_state('deactivate')
    fates = account.until(sent=sent, in_work=0)
    assert fates.pop('sent') == sum(fates.values())
    process.wait_for(
        f'INFO.*of {sent} frames since configure, {fates["processed"]} processed, '
        f'{fates["dropped"]} dropped, {fates["failed"]} failed, {fates["paused"]} paused, '
        '0 in work'
    )


FAILING = """
import sys
from persontrack_ros.ros import __main__ as executables
from persontrack_ros.ros import process
from persontrack_ros.ros.nodes import tracker_node

def spin(executor):
    if any(isinstance(node, tracker_node.TrackerNode) for node in executor.get_nodes()):
        raise RuntimeError('no more\\nof it')
    super(process.NodeExecutor, executor).spin()

process.NodeExecutor.spin = spin
sys.exit(executables.cameras_node())
"""


@pytest.mark.slow
def test_a_camera_takes_the_process_with_it(own_graph, start_process):
    """With an exit code, so that a supervisor sees it."""
    names = ('-p', 'cameras:=front rear', '-p', 'autostart:=false')
    process = start_process([sys.executable, '-c', FAILING, '--ros-args', *names])
    assert process.wait() == 1
    process.wait_for('cameras_node: error: RuntimeError: no more of it')
    assert 'Traceback' not in process.output
