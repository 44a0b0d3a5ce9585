"""A target by id ends with its ids, whatever ends them; in the test's process."""

from __future__ import annotations

import node_runs
import pytest
from node_runs import found, stamp
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

PARAMETERS = {
    'input': 'image+detections',
    'detector__model': 'none',
    'reid__model': 'none',
    'tracker__n_init': 1,
}


class Rig(node_runs.Rig):
    """A tracker of detections, and a node that publishes one person."""

    def __init__(self, state_file):
        super().__init__(state_file=str(state_file), **PARAMETERS)
        self.tracks = []
        self.publishers = [
            self.peer.create_publisher(Image, 'image_raw', 10),
            self.peer.create_publisher(Detection2DArray, 'detections', 10),
        ]
        self.peer.create_subscription(Detection2DArray, 'tracks', self.tracks.append, 10)
        self.tenths = 10_000
        self.reconfigure('configure', 'activate')

    def reconfigure(self, *transitions):
        self.change(*transitions)
        for each in self.publishers:
            self.until(each.get_subscription_count)
            self.until(lambda each=each: self.tracker.count_publishers(each.topic_name))

    def call(self, name):
        client = self.peer.create_client(Trigger, f'person_tracker/{name}')
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        assert future.result().success, future.result().message

    def see(self):
        """Show the person; return their id."""
        self.tenths += 1
        image = Image(height=48, width=64, encoding='mono8', step=64, data=bytes(48 * 64))
        image.header.stamp = stamp(self.tenths / 10)
        for publisher, message in zip(
            self.publishers, (image, found(image.header, (24, 4, 16, 40, 0.9)))
        ):
            publisher.publish(message)
        self.until(lambda: self.tracks and self.tracks[-1].header.stamp == image.header.stamp)
        return self.tracks[-1].detections[0].id

    def set(self, target):
        return self.tracker.set_parameters([Parameter('target', value=target)])[0]

    @property
    def target(self):
        return self.tracker.get_parameter('target').value


@pytest.fixture(scope='module')
def rig(isolation, tmp_path_factory):
    rig = Rig(tmp_path_factory.mktemp('target') / 'state.npz')
    yield rig
    rig.close()


@pytest.mark.parametrize(
    'end',
    [
        lambda rig: rig.call('reset'),
        lambda rig: rig.call('load_state'),
        lambda rig: rig.reconfigure('deactivate', 'cleanup', 'configure', 'activate'),
    ],
    ids=['reset', 'load_state', 'cleanup'],
)
def test_a_target_ends_with_its_ids(rig, end):
    id_ = rig.see()
    rig.call('save_state')
    for wrong in ('0', '-1', '01', '1.5', '99', '9' * 18, '9' * 30, '\N{SUPERSCRIPT TWO}'):
        assert not rig.set(wrong).successful
    assert rig.set(id_).successful
    rig.see()
    assert rig.target == id_
    end(rig)
    assert rig.target == ''
    # The target is chosen anew: the next person with that id is not followed.
    rig.see()
    assert rig.target == ''
    assert rig.set('nearest').successful
    end(rig)
    assert rig.target == 'nearest'
    assert rig.set('').successful
