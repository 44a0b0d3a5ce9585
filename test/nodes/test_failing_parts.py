"""Whatever fails within a node costs what it was about, and is reported; in the test's process."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future
from unittest import mock

import node_runs
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.ros import __main__ as executables
from persontrack_ros.ros.nodes import cameras_node, tracker_node
from persontrack_ros.ros.nodes.tracker_node import TrackerNode
from persontrack_ros.ros.tracker import checks
from persontrack_ros.ros.tracker.checks import Level
from persontrack_ros.ros.tracker.diagnostics import report
from persontrack_ros.ros.tracker.frames import Frames
from persontrack_ros.ros.tracker.inputs import Inputs
from persontrack_ros.ros.tracker.outputs import Outputs
from persontrack_ros.ros.tracker.processing import Processor
from persontrack_ros.ros.tracker.space import Space
from persontrack_ros.ros.tracker.state import Transitions
from persontrack_ros.ros.tracker.statistics import Statistics
from persontrack_ros.ros.tracker.worker import NewestItemWorker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Rig(node_runs.Rig):
    """A tracker of detections, which is active, and a node that publishes these."""

    def __init__(self):
        super().__init__(input='detections')
        self.state = self.tracker._state
        self.advertise(detections=Detection2DArray)
        self.publisher = self.publishers['detections']
        self.sent = 0
        self.unconfigured = self.entities
        self.change('configure')
        self.inactive = self.entities
        self.activate('activate')
        self.active = self.entities

    @property
    def entities(self):
        """The topics of all publishers and subscriptions of the tracker."""
        return [
            sorted(each.topic_name for each in ends)
            for ends in (self.tracker.publishers, self.tracker.subscriptions)
        ]

    def send(self):
        self.sent += 1
        header = Header(stamp=node_runs.stamp(1000 + self.sent / 10))
        self.publisher.publish(Detection2DArray(header=header))

    def send_until(self, fate):
        """Send a frame, and wait for the fate of it."""
        before = self.state.account[fate]
        self.send()
        self.until(lambda: self.state.account[fate] > before and not self.state.account['in work'])

    def check(self):
        self.tracker._checks.run()
        return report(self.state, self.tracker._checks.findings)


@pytest.fixture(scope='module')
def rig(isolation):
    rig = Rig()
    yield rig
    rig.close()


@pytest.mark.parametrize(
    ('part', 'name', 'published'),
    [
        (Processor, 'process', False),
        (Frames, '_warn', False),
        (Outputs, 'publish_tracks', False),
        (Outputs, 'publish_rest', True),
        (Frames, '_log', True),
        (Statistics, 'processed', True),
    ],
    ids=lambda value: getattr(value, '__name__', str(value)),
)
def test_an_error_costs_one_frame(rig, part, name, published):
    before = rig.state.account
    error = SystemExit(1)  # a BaseException; test_worker.py has others
    with mock.patch.object(part, name, side_effect=error):
        rig.send_until('failed')
    what = 'after the tracks were published: ' if published else 'frame skipped: '
    status = rig.check()
    assert status.level == Level.ERROR
    assert status.message.startswith(f'{what}{type(error).__name__}')
    rig.send_until('processed')
    changes = {fate: count - before[fate] for fate, count in rig.state.account.items() if count}
    assert changes['sent'] == 2
    assert (changes['processed'], changes['failed']) == (1, 1)


def test_a_dead_worker_ends_the_process(own_graph):
    rig = Rig()
    with (
        mock.patch.object(Processor, 'process', side_effect=RuntimeError),
        mock.patch.object(Statistics, 'failed', side_effect=MemoryError('no more')),
    ):
        rig.send()
        rig.until(lambda: rig.state.worker.failure is not None)
    status = rig.check()
    assert status.level == Level.ERROR
    assert status.message == 'the thread of the tracker ended: MemoryError: no more'
    # Until then, callbacks that fail are survived.
    rig.tracker.create_timer(0.1, mock.Mock(side_effect=ValueError))
    rig.executor.spin()
    assert 'the thread of the tracker ended' in str(rig.executor.failure)
    assert not rig.context.ok()
    rig.close()


def test_a_camera_takes_the_process_with_it(own_graph, monkeypatch, capfd):
    """With an exit code, so that a supervisor sees it."""
    monkeypatch.setattr(cameras_node, 'run', mock.Mock(side_effect=RuntimeError('no more\nof it')))
    arguments = ['cameras_node', '--ros-args', '-p', 'cameras:=front rear']
    monkeypatch.setattr('sys.argv', arguments)
    before = signal.getsignal(signal.SIGINT)
    assert executables._main('cameras_node') == 1
    signal.signal(signal.SIGINT, before)
    assert 'cameras_node: error: RuntimeError: no more of it' in capfd.readouterr().err


def test_a_frame_that_hangs_is_named(rig, monkeypatch):
    go_on = threading.Event()
    process = Processor.process

    def hang(*arguments):
        assert go_on.wait(node_runs.TIMEOUT)
        return process(*arguments)

    monkeypatch.setattr(checks, 'LONG', 0.0)
    monkeypatch.setattr(tracker_node, '_PATIENCE', 1.5)
    with mock.patch.object(Processor, 'process', hang):
        rig.send()
        try:
            rig.until(lambda: rig.state.worker.current is not None)
            name = f'the frame {1000 + rig.sent / 10:.3f} has been worked on for'
            status = rig.check()
            assert status.level >= Level.WARN
            assert name in status.message
            with mock.patch.object(Transitions, 'logger') as logger:
                rig.change('deactivate', result=FAILURE)
        finally:
            go_on.set()
        (line,) = [call.args[0] for call in logger.warning.mock_calls]
        assert line.startswith(f'waiting for the tracker: {name}')
        assert 'the node stays active' in rig.state.statistics.error
        rig.until(lambda: not rig.state.account['in work'])
    before = rig.state.account['processed']

    def goes_on():
        rig.send()
        return rig.state.account['processed'] > before

    # It has subscribed anew.
    rig.until(goes_on)


@pytest.mark.parametrize(
    ('transition', 'part', 'name', 'result'),
    [
        ('configure', tracker_node, 'Processor', FAILURE),
        ('configure', Outputs, 'advertise', FAILURE),
        ('activate', Inputs, 'subscribe', FAILURE),
        ('activate', tracker_node, 'NewestItemWorker', FAILURE),
        ('deactivate', NewestItemWorker, 'stop', FAILURE),
        ('deactivate', Outputs, 'clear', SUCCESS),
        ('deactivate', TrackerNode, '_close_account', SUCCESS),
        ('cleanup', tracker_node.Camera, 'forget', SUCCESS),
        ('cleanup', tracker_node, 'giving_memory_back', SUCCESS),
    ],
)
def test_each_transition_succeeds_or_leaves_the_state_before_it(
    rig, transition, part, name, result
):
    way = ['deactivate', 'cleanup', 'configure', 'activate']
    before = {'configure': 2, 'activate': 3, 'deactivate': 0, 'cleanup': 1}[transition]
    rig.change(*way[:before])
    with mock.patch.object(part, name, side_effect=MemoryError('injected')):
        rig.change(transition, result=result)
    status = rig.check()
    assert status.level == Level.ERROR
    assert 'MemoryError: injected' in status.message
    rig.change(*way[before if result == FAILURE else before + 1 :])
    assert rig.entities == rig.active
    rig.until(rig.publisher.get_subscription_count)
    rig.send_until('processed')
    for each, entities in (('deactivate', rig.inactive), ('cleanup', rig.unconfigured)):
        rig.change(each)
        assert rig.entities == entities
    rig.change('configure', 'activate')
    rig.until(rig.publisher.get_subscription_count)


def test_an_error_about_3d_positions_is_reported():
    """It is raised within a future, which would hide it."""
    node, depth = mock.Mock(), Future()
    space = Space(node, mock.MagicMock(), mock.Mock())
    frame = mock.MagicMock(depth=depth, tracks=[], detections=None, header=Header())
    frame.moment.time = 0
    space.publish(frame)
    with mock.patch.object(Space, '_finish', side_effect=RecursionError('deep')):
        depth.set_exception(SourceError('no depth'))
    assert space.fault == 'no tracks_3d: RecursionError: deep'
    (call,) = node.get_logger().error.mock_calls
    assert call.args == (space.fault,)
    space.publish(frame)
    assert space.fault == ''


def test_two_nodes_of_one_name(rig):
    assert 'have the name' not in rig.check().message
    other = Node('person_tracker', context=rig.context, use_global_arguments=False)

    def names():
        rig.check()
        return [
            each.level
            for each in rig.tracker._checks.findings
            if 'nodes have the name /person_tracker' in each.text
        ] == [Level.WARN]

    rig.until(names)
    other.destroy_node()
    rig.until(lambda: not names())
