"""The tracker node: images in, tracks out, parameters and services."""

from __future__ import annotations

import pytest
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, ListParameters
from std_srvs.srv import SetBool, Trigger

from persontrack_ros.core.base.geometry import as_boxes, iou
from persontrack_ros.core.base.messages import message_to_tracks
from persontrack_ros.core.config.node_options import NODE_PARAMETERS
from persontrack_ros.core.config.settings import PARAMETERS
from persontrack_ros.core.evaluation.mot import GroundTruth


@pytest.fixture(scope='module')
def state_file(tmp_path_factory):
    return tmp_path_factory.mktemp('state') / 'state.npz'


@pytest.fixture(scope='module')
def tracker(models, start_once, state_file):
    """Run a tracker for all tests of this module that leave it as it was."""
    parameters = {'reid__model': 'color', 'tracker__n_init': 1, 'state_file': str(state_file)}
    return start_once('tracker_node', **parameters).wait_for('tracking the persons in /image_raw')


@pytest.fixture
def peer(tracker, module_peer):
    module_peer.until_tracker_listens()
    return module_peer


def test_every_field_of_the_message(peer, pictures, to_message, persons):
    """And boxes against the ground truth, whose boxes are left, top, width, height."""
    seen = []
    for picture in pictures[:8]:
        message = to_message(picture)
        answer = peer.track(message)
        assert answer.header == message.header
        assert answer.header.frame_id == 'lens'
        seen.append({detection.id for detection in answer.detections})
        assert len(seen[-1]) == len(answer.detections)
    assert len(set.intersection(*seen[5:])) >= 3
    for detection in answer.detections:
        assert detection.header == message.header
        assert int(detection.id) >= 1
        (result,) = detection.results
        assert result.hypothesis.class_id == 'person'
        assert 0.5 <= result.hypothesis.score <= 1
        assert detection.bbox.center.theta == 0
    rows = GroundTruth.load(persons).rows
    truth = as_boxes(rows[rows[:, 0] == 8, 2:6])
    boxes = as_boxes([box for _, box, _ in message_to_tracks(answer)])
    assert (iou(truth, boxes).max(axis=1) > 0.5).mean() > 0.7


def test_parameters_are_described_with_type_and_range(peer):
    declared = {one.name: one for one in (*NODE_PARAMETERS, *PARAMETERS)}
    kinds = {
        bool: ParameterType.PARAMETER_BOOL,
        int: ParameterType.PARAMETER_INTEGER,
        float: ParameterType.PARAMETER_DOUBLE,
    }
    listed = peer.call(ListParameters, 'list_parameters').result.names
    assert set(declared) <= set(listed)
    for descriptor in peer.call(
        DescribeParameters, 'describe_parameters', names=list(declared)
    ).descriptors:
        parameter = declared[descriptor.name]
        assert descriptor.description == parameter.description
        if parameter.type is not str:  # of texts, the type may change: 0 names a camera
            assert descriptor.type == kinds[parameter.type]
        ranges = [
            (each.from_value, each.to_value)
            for each in (*descriptor.integer_range, *descriptor.floating_point_range)
        ]
        assert ranges == ([parameter.limits] if parameter.type in (int, float) else [])
        for choice in parameter.choices:
            assert choice in descriptor.additional_constraints
        fixed = 'takes effect in configure' in descriptor.additional_constraints
        assert fixed != parameter.runtime


def test_thresholds_change_at_run_time(peer, pictures, to_message):
    """And an image without persons has a message, too."""

    def matched():
        """Return the number of tracks that have a detection in a new image."""
        for _ in range(4):
            message = to_message(pictures[0])
            answer = peer.track(message)
        assert answer.header == message.header
        return len(answer.detections)

    assert matched() >= 2
    assert peer.set(detector__score_threshold=1.0).successful
    assert peer.get('detector.score_threshold') == 1.0
    peer.until(lambda: not matched(), 'image without persons')
    assert peer.set(detector__score_threshold=0.5).successful
    assert matched() >= 2


def track_all(peer, pictures, to_message):
    for picture in pictures:
        answer = peer.track(to_message(picture))
    assert len(answer.detections) >= 2
    return {int(detection.id) for detection in answer.detections}


def high_ids(peer, pictures, to_message):
    """Let the ids go on from higher numbers, by time that leaps ahead; return them."""
    # Not by time that goes back: on its return, stamps would go back and forth and count no more.
    for _ in range(3000):
        to_message(pictures[0][:1, :1])
    ids = track_all(peer, pictures[:3], to_message)
    assert 1 not in ids
    return ids


def test_reset_starts_the_ids_anew(peer, pictures, to_message):
    """Tracks that are only predicted, between two detections, end too."""
    assert peer.call(Trigger, 'reset').success
    first = track_all(peer, pictures[:4], to_message)
    assert track_all(peer, pictures[4:6], to_message) & first
    result = peer.call(Trigger, 'reset')
    assert (result.success, result.message) == (True, 'ids start at 1')
    assert track_all(peer, pictures[:4], to_message) == first
    assert 1 in first

    before = high_ids(peer, pictures, to_message)
    assert peer.set(detector__pattern='large' + 49 * ' none').successful
    peer.track(to_message(pictures[4]))
    assert track_all(peer, pictures[:2], to_message)
    assert peer.call(Trigger, 'reset').success
    assert min(track_all(peer, pictures[:1], to_message)) < min(before)
    assert peer.set(detector__pattern='auto').successful


def test_enable_pauses_and_loses_nothing(peer, pictures, to_message):
    before = track_all(peer, pictures[:4], to_message)
    status = peer.diagnostics()
    for _ in range(10):  # it answers while images are processed
        peer.images.publish(to_message(pictures[3]))
    result = peer.call(SetBool, 'enable', data=False)
    assert (result.success, result.message) == (True, 'paused')
    peer.until(lambda: status.number('paused') >= 0, 'the diagnostics')
    before_pause, left_out = status.number('paused'), []

    def publish():
        left_out.append(to_message(pictures[0]))
        peer.images.publish(left_out[-1])

    # An image of a sensor may be lost.
    peer.until(lambda: publish() or status.number('paused') > before_pause, 'the image')
    assert peer.images.get_subscription_count() == 1
    paused = status.number('paused') - before_pause
    result = peer.call(SetBool, 'enable', data=True)
    assert (result.success, result.message) == (True, 'tracking')
    assert len(track_all(peer, pictures[4:5], to_message) & before) >= 2
    # The last ones may come after the pause.
    stamps = [answer.header.stamp for answer in peer.tracks]
    assert sum(one.header.stamp in stamps for one in left_out) <= len(left_out) - paused


def test_a_state_survives_a_new_configuration(peer, pictures, to_message, state_file):
    """Without a tracker there is none; wrong files are in test_requests.py."""
    track_all(peer, pictures[:4], to_message)
    before = high_ids(peer, pictures, to_message)
    result = peer.call(Trigger, 'save_state')
    assert (result.success, result.message) == (True, f'saved to {state_file}')
    assert peer.change_state('deactivate', 'cleanup')
    for service in ('reset', 'save_state', 'load_state'):
        result = peer.call(Trigger, service)
        assert not result.success
        assert 'not configured' in result.message
    assert peer.change_state('configure')
    result = peer.call(Trigger, 'load_state')  # also before the first image
    assert (result.success, result.message) == (True, f'loaded from {state_file}')
    assert peer.change_state('activate')
    peer.until_tracker_listens()
    assert len(track_all(peer, pictures[3:4], to_message) & before) >= 2
