"""Start, states and end of the tracker node."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_all_transitions(models, start, peer, pictures, to_message):
    process = start('tracker_node', autostart=False, reid__model='none')
    assert peer.state() == 'unconfigured'
    assert peer.node.count_publishers('tracks') == 0
    assert peer.change_state('configure')
    assert peer.state() == 'inactive'
    assert peer.images.get_subscription_count() == 0
    assert peer.change_state('activate')
    assert peer.state() == 'active'
    peer.until_tracker_listens()
    for picture in pictures[:8]:
        tracks = peer.track(to_message(picture))
    first = {detection.id for detection in tracks.detections}
    assert len(first) >= 2

    assert peer.change_state('deactivate')
    peer.until(lambda: not peer.images.get_subscription_count(), 'end of the subscription')
    assert peer.change_state('activate')
    peer.until_tracker_listens()
    again = {detection.id for detection in peer.track(to_message(pictures[8])).detections}
    assert len(first & again) >= 2  # the tracks stayed

    assert peer.change_state('deactivate')
    assert peer.change_state('cleanup')
    assert peer.state() == 'unconfigured'
    assert peer.set(tracker__nn_budget=7).successful  # structural ones may change here
    assert peer.change_state('configure')
    assert peer.change_state('activate')
    peer.until_tracker_listens()
    for picture in pictures[:8]:
        tracks = peer.track(to_message(picture))
    assert '1' in {detection.id for detection in tracks.detections}  # ids start anew

    assert peer.change_state('active_shutdown')
    assert peer.state() == 'finalized'
    process.end()
    configured = ['loading person-detection-0202 and none', 'loaded in']
    activated = ['tracking the persons in /image_raw', 'of ', 'deactivated']
    expected = [*configured, *activated, *activated, 'the models are freed', *configured]
    said = [each.partition(']: ')[2] for each in process.lines if '[person_tracker]' in each]
    assert len(said) > len(expected)
    assert all(map(str.startswith, said, expected)), said
    assert said[1].endswith(' s, on CPU')


def test_impossible_transitions_are_refused(start, peer):
    process = start('tracker_node', autostart=False)
    for name in ('activate', 'deactivate', 'cleanup', 'inactive_shutdown'):
        assert not peer.change_state(name)
        assert peer.state() == 'unconfigured'
    assert process.is_alive


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
def test_shutdown_from_every_state(models, start, peer, state):
    process = start('tracker_node', autostart=False, reid__model='none')
    for name in ['configure', 'activate'][: ['unconfigured', 'inactive', 'active'].index(state)]:
        assert peer.change_state(name)
    assert peer.state() == state
    assert peer.change_state(f'{state}_shutdown')
    assert peer.state() == 'finalized'
    peer.until(lambda: not peer.node.count_publishers('tracks'), 'end of the publisher')
    process.end()


def anonymous_memory(process):
    """Return the memory of a process that is no file's, in bytes."""
    rollup = Path(f'/proc/{process.pid}/smaps_rollup').read_text()
    return 1024 * int(re.search(r'Pss_Anon:\s*(\d+) kB', rollup)[1])


@pytest.mark.slow
def test_cleanup_frees_the_memory(models, spawn, peer, pictures, to_message):
    process = spawn('tracker_node', autostart=False)
    assert peer.state() == 'unconfigured'
    used, freed = [], []
    for _ in range(4):
        assert peer.change_state('configure')
        assert peer.change_state('activate')
        peer.until_tracker_listens()
        peer.track(to_message(pictures[0]))
        used.append(anonymous_memory(process))
        assert peer.change_state('deactivate')
        assert peer.change_state('cleanup')
        freed.append(anonymous_memory(process))
    assert max(freed) < min(used) - 50e6
    # What stays does so once. The least of two, as the allocator gives back now and then later:
    # 94, 111, 94 and 95 MB were seen.
    assert min(freed[2:]) < freed[0] + 10e6


@pytest.mark.parametrize(
    ('path', 'state'),
    [
        ('annotated_image/compressed.publisher', 'unconfigured'),
        ('image_raw.subscription', 'inactive'),
    ],
)
def test_unforeseen_errors_leave_it_in_the_state_before(models, start, peer, path, state):
    """Of a transition that fails half-way, nothing stays."""
    depth = f'qos_overrides./{path}.depth:=-3'
    process = start('tracker_node', '-p', depth, reid__model='none')
    process.wait_for('ERROR.*Failed to create')
    process.wait_for('ERROR.*not started')
    assert peer.state() == state
    expected = 1 if state == 'inactive' else 0
    peer.until(lambda: peer.node.count_publishers('tracks') == expected, 'publishers')
    assert not peer.change_state({'unconfigured': 'configure', 'inactive': 'activate'}[state])
    assert peer.state() == state


def test_a_missing_model_can_be_mended(models, start, peer):
    process = start('tracker_node', detector__model='person-detection-9999', reid__model='none')
    process.wait_for('ERROR.*person-detection-9999')
    process.wait_for('ERROR.*not started')
    assert peer.state() == 'unconfigured'
    assert not peer.change_state('configure')
    assert peer.state() == 'unconfigured'
    assert peer.set(detector__model='person-detection-0202').successful
    assert peer.change_state('configure')
    assert peer.change_state('activate')
    peer.until_tracker_listens()
    assert process.is_alive


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'detector__device': 'NOPE'}, 'device NOPE is not available'),
        ({'tracker__max_age': -5}, r'tracker\.max_age.*1 to 100000'),
        ({'tracker__max_age': 'old'}, r'tracker\.max_age'),
        ({'detector__score_threshold': float('nan')}, r'detector\.score_threshold'),
        ({'tracker__camera_motion': 'flow'}, "'flow' is not one of"),
    ],
)
def test_wrong_values_at_the_start(models, start, peer, parameters, message):
    """The node lives, says why on one line, and stays unconfigured until it is mended."""
    process = start('tracker_node', **parameters, reid__model='none')
    process.wait_for(f'ERROR.*{message}')
    process.wait_for('ERROR.*not started')
    assert peer.state() == 'unconfigured'


def test_a_parameter_file(models, start, peer, tmp_path):
    path = tmp_path / 'params.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    tracker: {max_age: 12}\n    reid: {model: none}\n'
    )
    process = start('tracker_node', '--params-file', str(path))
    process.wait_for('tracking the persons')
    assert peer.get('tracker.max_age') == 12
    assert peer.get('tracker.n_init') == 3


def test_wrong_value_in_a_parameter_file(models, start, peer, tmp_path):
    path = tmp_path / 'params.yaml'
    path.write_text('/**:\n  ros__parameters:\n    detector: {score_threshold: 7.5}\n')
    process = start('tracker_node', '--params-file', str(path), reid__model='none')
    process.wait_for(r'ERROR.*detector\.score_threshold.*0 to 1')
    assert peer.state() == 'unconfigured'
    assert peer.set(detector__score_threshold=0.5).successful
    assert peer.change_state('configure')


@pytest.mark.parametrize(
    'moment',
    ['_rclpy_pybind11', 'libopenvino.so', 'libopenvino_ir_frontend', 'libopenvino_intel_cpu'],
)
@pytest.mark.slow
def test_interrupted_while_starting(models, spawn, moment):
    """Each library is loaded at another moment: importing, importing, reading, compiling."""
    process = spawn('tracker_node')
    process.wait_until_mapped(moment)
    process.interrupt()
    assert process.wait() == 0
    assert 'Traceback' not in process.output


@pytest.mark.slow
def test_interrupted_while_working(models, spawn, peer, pictures, to_message):
    process = spawn('tracker_node', reid__model='none')
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    peer.track(to_message(pictures[0]))
    for picture in pictures:
        peer.images.publish(to_message(picture))
    process.interrupt()
    process.interrupt()  # a terminal and ros2 launch both pass it on
    assert process.wait() == 0
    assert 'Traceback' not in process.output


@pytest.mark.slow
def test_interrupted_while_unconfigured(models, spawn, peer):
    process = spawn('tracker_node', autostart=False)
    assert peer.state() == 'unconfigured'
    process.interrupt()
    assert process.wait() == 0


def test_remapping_and_namespace(models, start, peer, pictures, to_message):
    process = start(
        'tracker_node', '-r', '__ns:=/robot', '-r', 'image_raw:=/lens/picture', reid__model='none'
    )
    process.wait_for('tracking the persons in /lens/picture')
    peer.until(lambda: peer.node.count_publishers('/robot/tracks'), 'topic /robot/tracks')
    peer.until(lambda: peer.node.count_subscribers('/lens/picture'), 'subscription')
