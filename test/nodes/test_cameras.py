"""Several cameras in one process."""

from __future__ import annotations

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters

pytestmark = pytest.mark.slow

OTHERS = ('person-detection-0200', 'person-detection-0202')
PARAMETERS = """\
/**:
  ros__parameters:
    reid: {model: color}
    tracker: {n_init: 1, max_age: 50, remember: 60.0}
/robot/rear/person_tracker:
  ros__parameters:
    tracker: {max_age: 60}
"""


@pytest.fixture(scope='module')
def process(models, start_once, tmp_path_factory):
    path = tmp_path_factory.mktemp('cameras') / 'params.yaml'
    path.write_text(PARAMETERS)
    process = start_once(
        'cameras_node', '-r', '__ns:=/robot', '--params-file', str(path), cameras='front rear'
    )
    for name in ('front', 'rear'):
        process.wait_for(f'tracking the persons in /robot/{name}/image_raw')
    assert 'deprecated' not in process.output
    return process


@pytest.fixture(scope='module')
def all_peers(process, peer_of):
    return [peer_of('/robot/front'), peer_of('/robot/rear')]


@pytest.fixture
def peers(all_peers):
    """Both cameras track, whatever state a test that failed has left them in."""
    for peer in all_peers:
        while (state := peer.state()) != 'active':
            assert peer.change_state('configure' if state == 'unconfigured' else 'activate')
        peer.until_tracker_listens()
    return all_peers


def test_parameters_and_topics(peers):
    """The process itself only has the parameter that names the cameras, which have their own."""
    front, rear = peers
    node = front.node
    front.until(lambda: ('cameras', '/robot') in node.get_node_names_and_namespaces(), 'node')
    assert set(dict(node.get_publisher_names_and_types_by_node('cameras', '/robot'))) <= {
        '/rosout',
        '/parameter_events',
    }
    assert node.get_subscriber_names_and_types_by_node('cameras', '/robot') == []
    client = front.client(GetParameters, '/robot/cameras/get_parameters')
    answer = client.call_async(GetParameters.Request(names=['cameras']))
    front.until(answer.done, 'answer')
    assert answer.result().values[0].string_value == 'front rear'
    assert (front.get('tracker.max_age'), rear.get('tracker.max_age')) == (50, 60)
    assert front.set(tracker__max_age=70).successful
    assert (front.get('tracker.max_age'), rear.get('tracker.max_age')) == (70, 60)


def test_each_camera_has_its_own_tracks_of_the_same_persons(peers, pictures, to_message):
    """The other camera sees the same persons mirrored: elsewhere, in the same clothes."""
    front, rear = peers
    for picture in pictures[:6]:
        first = front.track(to_message(picture))
    blank = rear.track(to_message(np.zeros_like(pictures[0])))
    assert not blank.detections
    assert len(first.detections) >= 3
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures[:6]]
    for picture in mirrored:
        second = rear.track(to_message(picture))
    there, here = (
        {each.id: each.bbox.center.position for each in tracks.detections}
        for tracks in (first, second)
    )
    again = there.keys() & here.keys()
    assert len(again) >= 2
    for id_ in again:
        assert abs(768 - there[id_].x - here[id_].x) < 40
        assert abs(there[id_].y - here[id_].y) < 40


def test_a_busy_camera_does_not_stop_the_others(peers, pictures, to_message, tmp_path):
    """While one loads its models, the other tracks; at least once, if loading is very fast."""
    front, rear = peers
    client = front.client(ChangeState, 'person_tracker/change_state')
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    tracked = 0
    for number in range(10):
        assert front.change_state(*('deactivate', 'cleanup')[number > 0 :])
        cache = str(tmp_path / f'{number}')
        assert front.set(inference__cache_dir=cache, detector__model=OTHERS[number % 2]).successful
        configured = client.call_async(request)
        front.spin_once()
        rear.track(to_message(pictures[0]))
        front.spin_once()
        tracked += not configured.done()
        front.until(configured.done, 'answer')
        assert configured.result().success
        if tracked:
            break
    assert tracked


def test_one_camera_can_be_switched_off(process, peers, pictures, to_message):
    """The last test of this module: then, Ctrl-C while both work."""
    front, rear = peers
    assert front.change_state('deactivate')
    assert (front.state(), rear.state()) == ('inactive', 'active')
    rear.track(to_message(pictures[0]))
    assert front.change_state('activate')
    front.until_tracker_listens()
    front.track(to_message(pictures[0]))
    for picture in pictures:
        for peer in peers:
            peer.images.publish(to_message(picture))
    process.interrupt()
    assert process.wait() == 0


@pytest.mark.parametrize(
    ('names', 'reason'),
    [
        ('front front', 'is no valid namespace, or occurs twice'),
        ('a/b', 'is no valid namespace, or occurs twice'),
        ('', 'cameras.* empty'),
    ],
)
def test_names_that_cannot_be(start, names, reason):
    process = start('cameras_node', cameras=names)
    assert process.wait() == 2
    process.wait_for(f'FATAL.*{reason}')
