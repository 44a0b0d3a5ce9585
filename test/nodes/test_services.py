"""The services of the tracker node."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import SetBool, Trigger


@pytest.fixture(scope='module')
def state_file(tmp_path_factory):
    return tmp_path_factory.mktemp('state') / 'state.npz'


@pytest.fixture(scope='module')
def tracker(models, start_once, state_file):
    process = start_once(
        'tracker_node', reid__model='color', tracker__n_init=1, state_file=str(state_file)
    )
    process.wait_for('tracking the persons')
    return process


@pytest.fixture
def peer(tracker, module_peer):
    module_peer.until_tracker_listens()
    return module_peer


def ids(answer):
    return {int(detection.id) for detection in answer.detections}


def silence(status):
    """Return the seconds since the last image that the newest diagnostics tell."""
    values = {one.key: one.value for one in status[-1].status[0].values}
    return float(values['time since last input (s)'])


def track_all(peer, pictures, to_message):
    for picture in pictures:
        answer = peer.track(to_message(picture))
    assert len(answer.detections) >= 2
    return ids(answer)


def high_ids(peer, pictures, to_message):
    """Let the ids go on from higher numbers, by time that leaps ahead; return them."""
    # Not by time that goes back: on its return, stamps would go back and forth and count no more.
    for _ in range(3000):
        to_message(pictures[0][:1, :1])
    return track_all(peer, pictures[:3], to_message)


def test_reset_starts_the_ids_anew(peer, pictures, to_message):
    assert peer.call(Trigger, 'reset').success
    first = track_all(peer, pictures[:4], to_message)
    assert track_all(peer, pictures[4:6], to_message) & first
    result = peer.call(Trigger, 'reset')
    assert (result.success, result.message) == (True, 'ids start at 1')
    assert track_all(peer, pictures[:4], to_message) == first
    assert 1 in first


def test_reset_between_two_detections(peer, pictures, to_message):
    """Tracks that are only predicted end too."""
    before = high_ids(peer, pictures, to_message)
    assert 1 not in before
    assert peer.set(detector__pattern='large' + 49 * ' none').successful
    peer.track(to_message(pictures[4]))
    assert track_all(peer, pictures[:2], to_message)
    assert peer.call(Trigger, 'reset').success
    assert min(track_all(peer, pictures[:1], to_message)) < min(before)
    assert peer.set(detector__pattern='auto').successful


def test_enable_pauses_and_loses_nothing(peer, pictures, to_message):
    before = track_all(peer, pictures[:4], to_message)
    result = peer.call(SetBool, 'enable', data=False)
    assert (result.success, result.message) == (True, 'paused')
    status = peer.collect(DiagnosticArray, '/diagnostics')
    peer.until(lambda: status and silence(status) > 1, 'silence')
    left_out = to_message(pictures[0])
    # Nothing but the diagnostics tells that it has arrived; an image of a sensor may be lost.
    while silence(status) > 1:
        peer.images.publish(left_out)
        status.clear()
        peer.until(lambda: status, 'diagnostics')
    assert peer.images.get_subscription_count() == 1
    result = peer.call(SetBool, 'enable', data=True)
    assert (result.success, result.message) == (True, 'tracking')
    assert len(track_all(peer, pictures[4:5], to_message) & before) >= 2
    answered = [answer.header.stamp for answer in peer.tracks]
    assert left_out.header.stamp not in answered


def test_a_state_survives_a_new_configuration(peer, pictures, to_message, state_file):
    track_all(peer, pictures[:4], to_message)
    before = high_ids(peer, pictures, to_message)
    assert 1 not in before
    result = peer.call(Trigger, 'save_state')
    assert (result.success, result.message) == (True, f'saved to {state_file}')
    assert state_file.is_file()
    for name in ('deactivate', 'cleanup', 'configure'):
        assert peer.change_state(name)
    result = peer.call(Trigger, 'load_state')  # also before the first image
    assert (result.success, result.message) == (True, f'loaded from {state_file}')
    assert peer.change_state('activate')
    peer.until_tracker_listens()
    assert len(track_all(peer, pictures[3:4], to_message) & before) >= 2


def test_files_that_cannot_be_used_change_nothing(peer, pictures, to_message, tmp_path):
    before = track_all(peer, pictures[:4], to_message)
    damaged = tmp_path / 'damaged.npz'
    damaged.write_bytes(b'PK\x03\x04 nothing')
    state_file = peer.get('state_file')
    for path, service, reason in (
        (tmp_path / 'missing.npz', 'load_state', 'missing.npz'),
        (damaged, 'load_state', 'damaged.npz'),
        (tmp_path / 'no' / 'folder' / 'state.npz', 'save_state', 'cannot write'),
    ):
        assert peer.set(state_file=str(path)).successful
        result = peer.call(Trigger, service)
        assert not result.success
        assert reason in result.message
    assert peer.set(state_file='').successful
    for service in ('save_state', 'load_state'):
        result = peer.call(Trigger, service)
        assert not result.success
        assert 'state_file is empty' in result.message
    assert peer.set(state_file=state_file).successful
    assert len(track_all(peer, pictures[4:5], to_message) & before) >= 2


def test_without_a_tracker_they_refuse(peer):
    for name in ('deactivate', 'cleanup'):
        assert peer.change_state(name)
    for service in ('reset', 'save_state', 'load_state'):
        result = peer.call(Trigger, service)
        assert not result.success
        assert 'not configured' in result.message
    for name in ('configure', 'activate'):
        assert peer.change_state(name)
