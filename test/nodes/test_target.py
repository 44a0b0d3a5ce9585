"""The person to follow, without depth: choices, clicks and their end; in the test's process."""

from __future__ import annotations

import math
from dataclasses import replace

import node_runs
import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from node_runs import found
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray

from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.similarity import embed, save_embedding
from persontrack_ros.core.tracks3d.motion_filter import Motion
from persontrack_ros.ros.tracker.diagnostics import report
from persontrack_ros.ros.tracker.messages import UNKNOWN, motion_to_odometry

PARAMETERS = {
    'input': 'image+detections',
    'detector__model': 'none',
    'reid__model': 'color',
    'tracker__n_init': 1,
}
# Left, top, width, height and score: red is larger, blue in the middle.
RED, BLUE = (4, 4, 24, 88, 0.9), (56, 20, 16, 56, 0.9)


def picture():
    image = np.full((96, 128, 3), 90, np.uint8)
    for (left, top, width, height, _), color in ((RED, (0, 0, 220)), (BLUE, (220, 0, 0))):
        image[top : top + height, left : left + width] = color
    return image


class Rig(node_runs.Rig):
    """A tracker of detections, and a node that publishes persons."""

    def __init__(self, state_file):
        super().__init__(state_file=str(state_file), **PARAMETERS)
        self.targets = self.hear(Detection2D, 'target_detection')
        self.advertise(image_raw=Image, detections=Detection2DArray)
        self.advertise(target_pixel=Point, target_point=PointStamped)
        self.activate('configure', 'activate')

    def see(self, *boxes):
        """Show persons; return their tracks."""
        image = picture()
        message = Image(height=96, width=128, encoding='bgr8', step=384, data=image.tobytes())
        message.header = self.header()
        self.publishers['image_raw'].publish(message)
        self.publishers['detections'].publish(found(message.header, *boxes))
        self.until(lambda: self.tracks and self.tracks[-1].header == message.header)
        return self.tracks[-1].detections

    def begin(self):
        """Show red and blue without a target; return their ids."""
        assert self.set('').successful
        red, blue = sorted(self.see(RED, BLUE), key=lambda each: each.bbox.center.position.x)
        return red.id, blue.id

    def follow(self, id_, *boxes):
        """Show persons; one of them is published as the target."""
        (track,) = [each for each in self.see(*boxes) if each.id == id_]
        self.until(lambda: self.targets and self.targets[-1] == track)

    def set(self, target):
        return self.tracker.set_parameters([Parameter('target', value=target)])[0]

    def until_logged(self, capfd, text):
        lines = []

        def is_logged():
            lines.append(capfd.readouterr().err)
            return text in ''.join(lines)

        self.until(is_logged)

    @property
    def status(self):
        values = report(self.tracker._state, []).values
        return values['target id'], values['target status']

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
        lambda rig: rig.activate('deactivate', 'cleanup', 'configure', 'activate'),
    ],
    ids=['reset', 'load_state', 'cleanup'],
)
def test_a_target_ends_with_its_ids(rig, end):
    (id_,) = [each.id for each in rig.see(RED)]
    rig.call('save_state')
    for wrong in ('0', '-1', '01', '1.5', '99', '9' * 18, '9' * 30, '\N{SUPERSCRIPT TWO}'):
        assert not rig.set(wrong).successful
    assert rig.set(id_).successful
    rig.see(RED)
    assert rig.target == id_
    end(rig)
    assert rig.target == ''
    # The target is chosen anew: the next person with that id is not followed.
    rig.see(RED)
    assert rig.target == ''
    assert rig.set('nearest').successful
    end(rig)
    assert rig.target == 'nearest'
    assert rig.set('').successful


@pytest.mark.parametrize(('wanted', 'index'), [('nearest', 0), ('middle', 1)])
def test_a_choice_is_kept(rig, capfd, wanted, index):
    """Nothing is published while the person is lost, however near another one comes."""
    id_ = rig.begin()[index]
    assert rig.set(wanted).successful
    rig.follow(id_, RED, BLUE)
    rig.until_logged(capfd, f'target {wanted}: person {id_} is followed')
    assert rig.status == (id_, 'seen')
    count = len(rig.targets)
    rig.see((BLUE, RED)[index])
    rig.until(lambda: rig.status == (id_, 'lost'))
    rig.see((BLUE, RED)[index])
    rig.follow(id_, RED, BLUE)
    assert len(rig.targets) == count + 1


def test_clicks(rig, capfd):
    """As rqt_image_view and rviz2 publish them; wrong ones change nothing."""
    red, blue = rig.begin()
    values = []

    def record(parameters):
        values.extend(each.value for each in parameters if each.name == 'target')
        return SetParametersResult(successful=True)

    rig.tracker.add_on_set_parameters_callback(record)

    def click(x, y, *frame, z=0.0):
        if frame:
            message = PointStamped(header=Header(frame_id=frame[0]), point=Point(x=x, y=y, z=z))
            rig.publishers['target_point'].publish(message)
        else:
            rig.publishers['target_pixel'].publish(Point(x=x, y=y))

    click(100.0, 10.0)
    rig.until_logged(capfd, "target is as it was: the point 100, 10, 0 in '': no person is there")
    click(16.0, 40.0, 'map')
    rig.until_logged(capfd, "in 'map': 3D points need depth; pixels have no frame_id")
    click(math.nan, 40.0, '')
    rig.until_logged(capfd, 'the point nan, 40, 0')
    for at, expected in (
        ((16.0, 40.0), red),
        ((64.0, 40.0, ''), blue),
        ((16.0, 40.0, 'lens'), red),
    ):
        click(*at)
        rig.until(lambda expected=expected: rig.target == expected)
        rig.follow(expected, RED, BLUE)
    assert values == [red, blue, red]
    rig.tracker.remove_on_set_parameters_callback(record)


def test_the_person_of_a_picture(rig, capfd, tmp_path):
    red, _ = rig.begin()
    left, top, width, height, _ = RED
    crop = np.ascontiguousarray(picture()[top : top + height, left : left + width])
    (embedding,) = embed([crop], Settings.from_values({'reid.model': 'color'}))
    files = {name: str(tmp_path / f'{name}.npz') for name in ('red', 'other', 'broken', 'none')}
    save_embedding(tmp_path / 'red.npz', embedding, 'color')
    save_embedding(tmp_path / 'other.npz', embedding, 'person-reidentification-retail-0287')
    (tmp_path / 'broken.npz').write_bytes(b'PK')
    for name, reason in (
        ('other', 'of the model person-reidentification-retail-0287, but reid.model color gives'),
        ('broken', 'cannot read'),
        ('none', 'No such file'),
    ):
        refused = rig.set(files[name])
        assert not refused.successful
        assert reason in refused.reason
    assert rig.set(files['red']).successful
    rig.follow(red, RED, BLUE)
    count = len(rig.targets)
    # Another person is not followed, also where the track of the first one is forgotten.
    rig.call('reset')
    rig.see(BLUE)
    (new,) = [each for each in rig.see(RED, BLUE) if each.bbox.center.position.x < 32]
    rig.until(lambda: rig.targets[-1] == new)
    assert len(rig.targets) == count + 1
    # Without embeddings.
    rig.change('deactivate', 'cleanup')
    rig.tracker.set_parameters([Parameter('reid.model', value='none')])
    rig.change('configure', result=node_runs.TransitionCallbackReturn.FAILURE)
    rig.until_logged(capfd, 'red.npz needs embeddings: a reid.model, and images')
    rig.tracker.set_parameters([Parameter('target', value='')])
    rig.activate('configure', 'activate')


def test_pixels_with_depth(rig):
    """Also where no depth image comes, and nothing but the click needs one."""
    rig.peer.destroy_publisher(rig.publishers.pop('target_point'))
    rig.until(lambda: not rig.tracker.count_publishers('target_point'))
    rig.change('deactivate', 'cleanup')
    rig.tracker.set_parameters([Parameter('depth', value=True)])
    rig.activate('configure', 'activate')
    red, _ = rig.begin()
    rig.until(lambda: rig.tracker._state.statistics.visible == 2)
    rig.publishers['target_pixel'].publish(Point(x=16.0, y=40.0))
    rig.until(lambda: rig.target == red)


def test_odometry_of_a_person():
    """The child frame has x along the walk; what is not measured has a large variance."""
    covariance = np.diag([0.1, 0.2, 0.3, 0.01, 0.04, 0.09])
    walking = Motion(np.array([1.0, 2.0, 0.9]), np.array([0.0, -2.0, 0.1]), covariance)
    message = motion_to_odometry(walking, -math.pi / 2, Header(frame_id='odom'))
    assert (message.header.frame_id, message.child_frame_id) == ('odom', 'target')
    position, turn = message.pose.pose.position, message.pose.pose.orientation
    assert [position.x, position.y, position.z] == [1, 2, 0]
    assert 2 * math.atan2(turn.z, turn.w) == pytest.approx(-math.pi / 2)
    velocity = message.twist.twist.linear
    assert [velocity.x, velocity.y, velocity.z] == pytest.approx([2, 0, 0.1])
    pose, twist = (
        np.diag(np.reshape(each.covariance, (6, 6))) for each in (message.pose, message.twist)
    )
    assert pose == pytest.approx([0.1, 0.2, UNKNOWN, UNKNOWN, UNKNOWN, 0.01 / 2**2])
    assert twist == pytest.approx([0.04, 0.01, 0.09, UNKNOWN, UNKNOWN, UNKNOWN])
    standing = replace(walking, velocity=np.zeros(3))
    standing = motion_to_odometry(standing, 0.0, Header())
    assert standing.pose.covariance[35] == UNKNOWN
