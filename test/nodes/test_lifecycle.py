"""Start, states and end of the tracker node."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus


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

    assert peer.change_state('deactivate', 'cleanup')
    assert peer.state() == 'unconfigured'
    assert peer.set(tracker__nn_budget=7).successful  # structural ones may change here
    assert peer.change_state('configure', 'activate')
    peer.until_tracker_listens()
    for picture in pictures[:8]:
        tracks = peer.track(to_message(picture))
    assert '1' in {detection.id for detection in tracks.detections}  # ids start anew

    assert peer.change_state('active_shutdown')
    assert peer.state() == 'finalized'
    peer.until(lambda: not peer.node.count_publishers('tracks'), 'end of the publisher')
    process.end()
    configured = ['loading person-detection-0202 and none', 'loaded in']
    activated = ['tracking the persons in /image_raw', 'of ', 'deactivated']
    expected = [*configured, *activated, *activated, 'the models are freed', *configured]
    said = [each.partition(']: ')[2] for each in process.lines if '[person_tracker]' in each]
    assert len(said) > len(expected)
    assert all(map(str.startswith, said, expected)), said
    assert said[1].endswith(' s, on CPU')


@pytest.mark.parametrize('state', ['unconfigured', 'inactive'])
def test_shutdown_from_other_states(start, peer, state):
    start('tracker_node', autostart=False, input='detections')
    for name in ('activate', 'deactivate', 'cleanup', 'inactive_shutdown'):
        assert not peer.change_state(name)
        assert peer.state() == 'unconfigured'
    assert peer.change_state(*['configure'][: state == 'inactive'])
    assert peer.state() == state
    assert peer.change_state(f'{state}_shutdown')
    assert peer.state() == 'finalized'
    peer.until(lambda: not peer.node.count_publishers('tracks'), 'end of the publisher')


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
        assert peer.change_state('configure', 'activate')
        peer.until_tracker_listens()
        peer.track(to_message(pictures[0]))
        used.append(anonymous_memory(process))
        assert peer.change_state('deactivate', 'cleanup')
        freed.append(anonymous_memory(process))
    assert max(freed) < min(used) - 50e6
    # What stays does so once. The least of two, as the allocator gives back now and then later:
    # 94, 111, 94 and 95 MB were seen.
    assert min(freed[2:]) < freed[0] + 10e6


@pytest.mark.parametrize(
    ('name', 'wrong', 'right', 'message'),
    [
        ('detector__model', 'no-0202', 'person-detection-0202', 'no-0202'),
        ('detector__device', 'NOPE', 'CPU', 'device NOPE is not available'),
        ('tracker__max_age', -5, 30, r'tracker\.max_age.*1 to 100000'),
        ('tracker__max_age', 'old', 30, r'tracker\.max_age'),
        ('tracker__camera_motion', 'flow', 'none', "'flow' is not one of"),
    ],
)
def test_wrong_values_at_the_start(models, start, peer, name, wrong, right, message):
    """The node lives, says why on one line and in the diagnostics, and can be put right."""
    process = start('tracker_node', **{name: wrong}, reid__model='none')
    process.wait_for(f'ERROR.*{message}')
    process.wait_for('ERROR.*not started')
    assert peer.state() == 'unconfigured'
    assert not peer.change_state('configure')
    status = peer.diagnostics()
    status.until(DiagnosticStatus.ERROR, '')
    assert re.search(message, status.message)
    assert re.search(message, status['last error'])
    assert peer.set(**{name: right}).successful
    assert peer.change_state('configure', 'activate')
    peer.until_tracker_listens()


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
