"""The services of the tracker node."""

from __future__ import annotations

import pytest
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
    assert peer.set(detector__interval=50).successful
    peer.track(to_message(pictures[4]))
    assert track_all(peer, pictures[:2], to_message)
    assert peer.call(Trigger, 'reset').success
    assert min(track_all(peer, pictures[:1], to_message)) < min(before)
    assert peer.set(detector__interval=1).successful


def test_enable_pauses_and_loses_nothing(peer, pictures, to_message):
    before = track_all(peer, pictures[:4], to_message)
    status = peer.diagnostics()
    result = peer.call(SetBool, 'enable', data=False)
    assert (result.success, result.message) == (True, 'paused')
    left_out = to_message(pictures[0])
    peer.images.publish(left_out)
    # An image of a sensor may be lost.
    peer.until(lambda: peer.images.publish(left_out) or status.number('paused') >= 1, 'the image')
    assert peer.images.get_subscription_count() == 1
    result = peer.call(SetBool, 'enable', data=True)
    assert (result.success, result.message) == (True, 'tracking')
    assert len(track_all(peer, pictures[4:5], to_message) & before) >= 2
    assert left_out.header.stamp not in [answer.header.stamp for answer in peer.tracks]


def test_a_state_survives_a_new_configuration(peer, pictures, to_message, state_file):
    """Without a tracker there is none; a wrong file changes nothing (see test_accounts.py)."""
    track_all(peer, pictures[:4], to_message)
    before = high_ids(peer, pictures, to_message)
    result = peer.call(Trigger, 'save_state')
    assert (result.success, result.message) == (True, f'saved to {state_file}')
    for name in ('deactivate', 'cleanup'):
        assert peer.change_state(name)
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

    content = state_file.read_bytes()
    state_file.write_bytes(b'PK\x03\x04 nothing')
    result = peer.call(Trigger, 'load_state')
    assert not result.success
    assert 'state.npz' in result.message
    state_file.write_bytes(content)
    assert len(track_all(peer, pictures[4:5], to_message) & before) >= 2
