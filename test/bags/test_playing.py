"""``persontrack bag play``, heard by a node of another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from persontrack_ros.core.messages import stamp_to_nanoseconds

rclpy = pytest.importorskip('rclpy')
TIMEOUT = 120


class Listener:
    """Plays bags and notes what is published."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.node = rclpy.create_node('listener', context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard = {}

    def subscribe(self, topic, kind):
        self.heard[topic] = []
        self.node.create_subscription(kind, topic, self.heard[topic].append, 100)

    def play(self, bag, *options, until=None):
        """Play a bag to its end, or until a condition and then Ctrl-C."""
        process = subprocess.Popen(
            [sys.executable, '-m', 'persontrack_ros.cli', 'bag', 'play', bag, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding='utf-8',
            env=os.environ,
        )
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            self.executor.spin_once(0.05)
            if until is not None and until():
                process.send_signal(signal.SIGINT)
                until = None
        output, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, output
        assert 'Traceback' not in output
        return output

    def wait_for(self, topic, count):
        """Wait until so many messages of a topic were heard."""
        deadline = time.monotonic() + TIMEOUT
        while len(self.heard[topic]) < count:
            assert time.monotonic() < deadline, self.heard[topic]
            self.executor.spin_once(0.05)


@pytest.fixture
def listener(monkeypatch):
    from persontrack_ros.ros.discovery import own_domain

    with own_domain() as domain:
        monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
        monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        result = Listener()
        yield result
        result.node.destroy_node()
        result.context.try_shutdown()


def test_messages_and_clock(make_bag, storage, listener):
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import Image
    from std_msgs.msg import String

    path, messages = make_bag(storage, count=8)
    # The player begins when it knows of the last one: who wants the images.
    listener.subscribe('/text', String)
    listener.subscribe('/clock', Clock)
    listener.subscribe('/camera', Image)
    output = listener.play(str(path), '--clock', '--remap', '/image:=/camera', '--rate', '2')
    assert '/battery is left out: its type robot_msgs/msg/Battery is not installed' in output
    listener.wait_for('/text', 8)
    listener.wait_for('/camera', 8)
    listener.wait_for('/clock', 1)
    assert [one.data for one in listener.heard['/text']] == [f'text {n}' for n in range(8)]
    stamps = [stamp_to_nanoseconds(one.header) for one in listener.heard['/camera']]
    assert stamps == [1_700_000_000_000_000_000 + n * 100_000_000 for n in range(8)]
    times = [one.clock.sec * 10**9 + one.clock.nanosec for one in listener.heard['/clock']]
    assert times == sorted(times)
    assert messages[0][1] <= times[0] <= times[-1] <= messages[-1][1]


def test_loop_until_interrupted(make_bag, listener):
    from std_msgs.msg import String

    path, _ = make_bag(count=3)
    listener.subscribe('/text', String)
    texts = listener.heard['/text']
    options = ('--loop', '--topics', '/text', '--rate', '10')
    listener.play(str(path), *options, until=lambda: len(texts) > 7)
    assert [one.data for one in texts][:7] == [f'text {n % 3}' for n in range(7)]


def test_topic_that_is_not_there(make_bag, persontrack):
    path, _ = make_bag(count=1)
    done = persontrack('bag', 'play', path, '--topics', '/nothing')
    assert done.returncode == 2
    assert 'has no topic /nothing; its topics are /' in done.stdout + done.stderr
