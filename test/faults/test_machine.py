"""Clocks, signals and disks: what the machine does to a node."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.timeline import SECOND


@pytest.fixture(scope='module')
def tracker(spawn_once):
    """Return a node that needs neither models nor images, in simulated time."""
    process = spawn_once('tracker_node', input='detections', use_sim_time=True)
    process.wait_for('tracking the persons')
    return process


class Robot:
    """Publishes the time and what is detected."""

    def __init__(self, peer):
        self.peer = peer
        self.clock = peer.node.create_publisher(Clock, '/clock', 100)
        self.detections = peer.node.create_publisher(Detection2DArray, 'detections', 10)
        for publisher in (self.clock, self.detections):
            peer.until(publisher.get_subscription_count, publisher.topic_name)
        self._stamp = 0

    def tell(self, nanoseconds):
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(nanoseconds, SECOND)
        self.clock.publish(message)
        self.peer.spin_once()

    def track(self):
        """Return the answer to the next message, which has a stamp of its own."""
        self._stamp += SECOND // 10
        message = Detection2DArray()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(self._stamp, SECOND)
        return self.peer.ask(lambda: self.detections.publish(message), message.header)


@pytest.fixture(scope='module')
def robot(tracker, module_peer):
    return Robot(module_peer)


def in_the_year_2038(robot):
    robot.tell((2**31 - 1) * SECOND)


def to_and_fro(robot):
    for number in range(30):
        robot.tell((100 + number % 2 * 50) * SECOND)


def standing_still(robot):
    for _ in range(50):
        robot.tell(77 * SECOND)


def nanoseconds_without_end(robot):
    message = Clock()
    message.clock.sec, message.clock.nanosec = 80, 2**32 - 1
    robot.clock.publish(message)
    robot.peer.spin_once()


def back_to_zero(robot):
    robot.tell(500 * SECOND)
    robot.tell(0)


def a_thousand_at_once(robot):
    message = Clock()
    for number in range(1000):
        message.clock.sec = number
        robot.clock.publish(message)


def two_clocks(robot):
    other = robot.peer.node.create_publisher(Clock, '/clock', 1)
    message = Clock()
    for number in range(20):
        robot.tell((1000 + number) * SECOND)
        message.clock.sec = 5
        other.publish(message)
    robot.peer.node.destroy_publisher(other)


CLOCKS = {
    'in the year 2038': in_the_year_2038,
    'that goes back and forth': to_and_fro,
    'that stands still': standing_still,
    'with 4 billion nanoseconds': nanoseconds_without_end,
    'that goes back to zero': back_to_zero,
    'that ticks a thousand times at once': a_thousand_at_once,
    'and another one beside it': two_clocks,
}


@pytest.mark.parametrize('tick', CLOCKS.values(), ids=CLOCKS)
def test_clocks(tracker, robot, tick):
    tick(robot)
    for _ in range(3):
        assert not robot.track().detections
    assert tracker.is_alive
    assert robot.peer.state() == 'active'


ENDS = {
    'SIGINT': [signal.SIGINT],
    'SIGTERM': [signal.SIGTERM],
    'SIGINT three times': [signal.SIGINT] * 3,
    'SIGTERM, then SIGINT': [signal.SIGTERM, signal.SIGINT],
    'SIGINT after it was stopped and continued': [
        signal.SIGSTOP,
        signal.SIGCONT,
        signal.SIGINT,
    ],
}


@pytest.mark.parametrize('numbers', ENDS.values(), ids=ENDS)
@pytest.mark.slow
def test_signals_that_end_it(spawn, numbers):
    process = spawn('tracker_node', input='detections')
    process.wait_for('tracking the persons')
    for number in numbers:
        os.kill(process.pid, number)
        time.sleep(0.05)
    assert process.wait() == 0
    assert 'Traceback' not in process.output


HARMLESS = {
    'SIGSTOP and SIGCONT': [signal.SIGSTOP, signal.SIGCONT],
    'SIGPIPE': [signal.SIGPIPE],
    'SIGWINCH': [signal.SIGWINCH],
    'SIGCHLD': [signal.SIGCHLD],
    'SIGXFSZ': [signal.SIGXFSZ],
}


@pytest.mark.parametrize('numbers', HARMLESS.values(), ids=HARMLESS)
def test_signals_that_do_nothing(tracker, robot, numbers):
    for number in numbers:
        os.kill(tracker.pid, number)
        time.sleep(0.2)
    robot.track()
    assert tracker.is_alive


class Limit:
    """A limit of a process while the block is executed."""

    def __init__(self, pid, what, most):
        self._pid, self._what, self._most = pid, what, most

    def __enter__(self):
        self._before = resource.prlimit(self._pid, self._what)
        resource.prlimit(self._pid, self._what, (self._most, self._before[1]))

    def __exit__(self, *_):
        resource.prlimit(self._pid, self._what, self._before)


def descriptors(process):
    return len(list(Path(f'/proc/{process.pid}/fd').iterdir()))


LIMITS = {
    'no file may grow': lambda process: (resource.RLIMIT_FSIZE, 10),
    'no file may be opened': lambda process: (resource.RLIMIT_NOFILE, descriptors(process)),
}


@pytest.mark.parametrize('limit', LIMITS.values(), ids=LIMITS)
def test_a_state_that_cannot_be_written(tracker, robot, tmp_path, limit):
    state = tmp_path / 'state.npz'
    assert robot.peer.set(state_file=str(state)).successful
    assert robot.peer.call(Trigger, 'save_state').success
    before = state.read_bytes()
    robot.peer.client(Trigger, 'person_tracker/save_state')
    with Limit(tracker.pid, *limit(tracker)):
        result = robot.peer.call(Trigger, 'save_state')
    assert not result.success
    assert 'cannot write' in result.message
    assert state.read_bytes() == before
    assert os.listdir(tmp_path) == ['state.npz']
    assert robot.peer.call(Trigger, 'save_state').success
    robot.track()


def test_a_folder_that_vanishes(tracker, robot, tmp_path):
    folder = tmp_path / 'stick'
    folder.mkdir()
    assert robot.peer.set(state_file=str(folder / 'state.npz')).successful
    assert robot.peer.call(Trigger, 'save_state').success
    folder.rename(tmp_path / 'gone')
    for service in ('save_state', 'load_state'):
        result = robot.peer.call(Trigger, service)
        assert not result.success
        assert 'state.npz' in result.message
    (tmp_path / 'gone').rename(folder)
    assert robot.peer.call(Trigger, 'load_state').success


def test_a_state_that_is_exchanged(tracker, robot, tmp_path):
    good, bad, state = (tmp_path / name for name in ('good', 'bad', 'state.npz'))
    assert robot.peer.set(state_file=str(state)).successful
    assert robot.peer.call(Trigger, 'save_state').success
    good.write_bytes(state.read_bytes())
    bad.write_bytes(state.read_bytes()[:100])
    client = robot.peer.client(Trigger, 'person_tracker/load_state')
    outcomes = set()
    for number in range(20):
        future = client.call_async(Trigger.Request())
        source = (good, bad)[number % 2]
        source_copy = tmp_path / 'copy'
        source_copy.write_bytes(source.read_bytes())
        source_copy.replace(state)
        robot.peer.until(future.done, 'answer')
        result = future.result()
        outcomes.add(result.success)
        assert result.success or 'state.npz' in result.message
    assert tracker.is_alive
    robot.track()


def test_no_space_in_shared_memory(start_process):
    """In a namespace of its own, where that is allowed."""
    own = ['unshare', '--mount']
    if shutil.which(own[0]) is None or subprocess.run([*own, 'true']).returncode:
        pytest.skip('no mount namespaces here')
    fill = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && head -c 64k /dev/zero > /dev/shm/full'
    node = f'{shlex.quote(sys.executable)} -m persontrack_ros.ros tracker_node'
    process = start_process([*own, 'sh', '-c', f'{fill} && exec {node}'])
    assert process.wait() == 2
    process.wait_for('tracker_node: error: /dev/shm is full, and without space there a ROS node')
