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
from builtin_interfaces.msg import Time
from node_runs import Process, stamp
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray


class Robot:
    """Publishes the time and what is detected."""

    def __init__(self, peer, tracker):
        self.peer, self.tracker = peer, tracker
        self.clock = peer.publisher(Clock, '/clock', 100)
        self.detections = peer.publisher(Detection2DArray, 'detections')
        self._seconds = 0.0

    def show(self, *clocks):
        """Publish these times; then the node answers to detections, each with its own stamp."""
        for clock in clocks:
            self.clock.publish(clock)
            self.peer.spin_once()
        for _ in range(3):
            self._seconds += 0.1
            message = Detection2DArray()
            message.header.stamp = stamp(self._seconds)
            self.peer.ask(lambda message=message: self.detections.publish(message), message.header)
        assert self.tracker.is_alive
        assert self.peer.state() == 'active'


@pytest.fixture(scope='module')
def robot(start_once, module_peer):
    """Return what publishes to a node that needs neither models nor images, in simulated time."""
    process = start_once('tracker_node', input='detections', use_sim_time=True)
    return Robot(module_peer, process.wait_for('tracking the persons'))


ENDLESS = Clock()
ENDLESS.clock.sec, ENDLESS.clock.nanosec = 80, 2**32 - 1


def test_clocks(robot):
    """In 2038, back and forth, still, back to zero, of two publishers, and before time began."""
    for seconds in (
        *([2**31 - 1], [100, 150] * 8, [77] * 8, [500, 0], [1000, 5, 1001, 5, 1002, 5]),
        *([-1, 5] * 5,),
    ):
        robot.show(*(Clock(clock=Time(sec=each)) for each in seconds))
    robot.tracker.wait_for('ERROR.*Seconds value must not be negative')
    robot.show(ENDLESS)


INT, TERM, STOP, CONT = signal.SIGINT, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT
ENDS = [[INT], [TERM], [INT, INT, INT], [TERM, INT], [STOP, CONT, INT]]


@pytest.mark.parametrize('numbers', ENDS, ids=lambda each: '-'.join(one.name for one in each))
@pytest.mark.slow
def test_signals_that_end_it(spawn, numbers):
    process = spawn('tracker_node', input='detections').wait_for('tracking the persons')
    for number in numbers:
        os.kill(process.pid, number)
        time.sleep(0.05)
    assert process.wait() == 0


@pytest.mark.slow
def test_signals_and_limits_that_do_not_end_it(spawn, peer, tmp_path):
    """A state that cannot be written leaves the one before, and no other file."""
    process = spawn('tracker_node', input='detections', use_sim_time=True)
    process.wait_for('tracking the persons')
    robot = Robot(peer, process)
    for number in (STOP, CONT, signal.SIGPIPE, signal.SIGWINCH, signal.SIGCHLD, signal.SIGXFSZ):
        os.kill(process.pid, number)
        time.sleep(0.2)
    robot.show()
    state = tmp_path / 'state.npz'
    assert peer.set(state_file=str(state)).successful
    assert peer.call(Trigger, 'save_state').success
    before = state.read_bytes()
    descriptors = len(list(Path(f'/proc/{process.pid}/fd').iterdir()))
    for what, most in ((resource.RLIMIT_FSIZE, 10), (resource.RLIMIT_NOFILE, descriptors)):
        limits = resource.prlimit(process.pid, what)
        resource.prlimit(process.pid, what, (most, limits[1]))
        result = peer.call(Trigger, 'save_state')
        resource.prlimit(process.pid, what, limits)
        assert not result.success
        assert 'cannot write' in result.message
        assert state.read_bytes() == before
        assert os.listdir(tmp_path) == ['state.npz']
        assert peer.call(Trigger, 'save_state').success
    robot.show()


@pytest.mark.slow
def test_no_space_in_shared_memory(own_graph):
    """In a namespace of its own, where that is allowed."""
    own = ['unshare', '--mount']
    if shutil.which(own[0]) is None or subprocess.run([*own, 'true']).returncode:
        pytest.skip('no mount namespaces here')
    fill = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && head -c 64k /dev/zero > /dev/shm/full'
    node = f'{shlex.quote(sys.executable)} -m persontrack_ros.ros tracker_node'
    process = Process([*own, 'sh', '-c', f'{fill} && exec {node}'])
    assert process.wait() == 2
    process.wait_for('tracker_node: error: /dev/shm is full, and without space there a ROS node')
