"""What is asked of a running node, and sent to it: all is answered, and each image is counted."""

from __future__ import annotations

import math
import os
import re
import time

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_runs import found
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
)
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.config.node_options import DECLARED

FATES = ('sent', 'processed', 'dropped', 'failed', 'paused')


@pytest.fixture(scope='module')
def tracker(start_once):
    """Return a node that needs neither models nor images."""
    return start_once('tracker_node', input='detections').wait_for('tracking the persons')


@pytest.fixture
def peer(tracker, module_peer):
    """After each fault, the node is active and its parameters are what they were."""
    before = module_peer.call(GetParameters, 'get_parameters', names=list(DECLARED)).values
    yield module_peer
    assert tracker.is_alive
    assert module_peer.state() == 'active'
    after = module_peer.call(GetParameters, 'get_parameters', names=list(DECLARED)).values
    assert after == before


def runtime(*kinds):
    return [one for one in DECLARED.values() if one.runtime and one.type in kinds]


def of_all(value, *kinds):
    """Return a wrong value, or what a function makes of it, for each parameter of some types."""
    return {one.name: value(one) if callable(value) else value for one in runtime(*kinds)}


def at_run_time():
    """Return another value, which would be allowed, of each that takes effect in configure."""
    changes = {bool: lambda one: not one.default, int: lambda one: int(one.default) + 1}
    changes[float] = lambda one: one.limits[one.default == one.limits[0]]
    changes[str] = lambda one: next((c for c in one.choices if c != one.default), 'other')
    # What the node was started with is no other value.
    return {
        one.name: changes[one.type](one)
        for one in DECLARED.values()
        if not one.runtime and one.name != 'input'
    }


FIXED = 'cleanup the node first'
WRONG_VALUES = {
    'below': of_all(lambda one: one.type(one.limits[0] - 1), int, float),
    'above': of_all(lambda one: one.type(one.limits[1] * 2 + 1), int, float),
    'no number': of_all(math.nan, float),
    'infinite': of_all(-math.inf, float),
    'of another type': of_all('maybe', bool, int, float) | of_all(1.5, str),
    'list': of_all([1, 2], bool, int, float, str),
    'list of bytes': of_all([b'1', b'2'], int, float),
    'list of nothing': of_all([], bool, int, str),
    'largest integer': of_all(2**63 - 1, int, float),
    FIXED: at_run_time(),
    'is not one of': {'tracker.camera_motion': 'flow'},
    'empty text': {'detections.class_id': ''},
}


@pytest.mark.parametrize('kind', WRONG_VALUES)
def test_values_that_cannot_be(peer, kind):
    """One by one, then all together with one that could be."""
    values = WRONG_VALUES[kind]
    parameters = [
        rclpy.Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
    ]
    assert parameters
    results = peer.call(SetParameters, 'set_parameters', parameters=parameters).results
    together = peer.set(**{'drawing.scores': True, **values})
    for result in (*results, together):
        assert not result.successful
        assert result.reason
    if kind in (FIXED, 'is not one of'):
        assert kind in results[-1].reason


def a_name(name):
    return Parameter(
        name=name, value=ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=1)
    )


@pytest.mark.parametrize(
    'names',
    [
        ['nonsense'],
        ['nonsense'] * 1000,
        [''],
        ['x' * 1_000_000],
        ['tracker.\u2713'],
        ['tracker'],
        ['tracker\n.n_init'],
        ['qos_overrides./tracks.publisher.depth'],
        [],
    ],
    ids=lambda names: f'{len(names)} {names[0][:30] if names else ""}',
)
def test_names_that_cannot_be(peer, names):
    results = peer.call(
        SetParameters, 'set_parameters', parameters=[a_name(name) for name in names]
    ).results
    assert not any(each.successful for each in results)
    assert len(results) == len(names)
    peer.call(GetParameters, 'get_parameters', names=names)
    peer.call(GetParameterTypes, 'get_parameter_types', names=names)
    peer.call(DescribeParameters, 'describe_parameters', names=names)
    for depth in (3, 2**64 - 1):
        peer.call(ListParameters, 'list_parameters', prefixes=names, depth=depth)


def test_transitions_that_cannot_be(peer):
    """Unknown ones, ones of another state, and ones that only the node itself has."""
    for number, label in (
        *((0, ''), (200, ''), (201, 'fly'), (202, 'x' * 1_000_000)),
        *((Transition.TRANSITION_CONFIGURE, ''), (Transition.TRANSITION_ACTIVATE, '')),
        *((Transition.TRANSITION_CLEANUP, ''), (Transition.TRANSITION_ON_ERROR_FAILURE, '')),
        (Transition.TRANSITION_ON_CONFIGURE_SUCCESS, ''),
    ):
        transition = Transition(id=number, label=label)
        assert not peer.call(ChangeState, 'change_state', transition=transition).success
        assert peer.state() == 'active'


def all_at_once(peer):
    """Call everything 8 times without waiting, and return the answers; 10 wait at most."""
    calls = [
        (Trigger, 'reset', {}),
        (SetBool, 'enable', {'data': True}),
        (Trigger, 'save_state', {}),
        (Trigger, 'load_state', {}),
        (GetParameters, 'get_parameters', {'names': ['tracker.n_init']}),
        (SetParameters, 'set_parameters', {'parameters': [a_name('nonsense')]}),
    ]
    futures = [
        peer.client(kind, f'person_tracker/{name}').call_async(kind.Request(**fields))
        for _ in range(8)
        for kind, name, fields in calls
    ]
    peer.until(lambda: all(each.done() for each in futures), 'all answers')
    return [each.result() for each in futures]


def changes(peer, *names):
    """Request transitions without waiting for the first answer."""
    client = peer.client(ChangeState, 'person_tracker/change_state')
    identifiers = [getattr(Transition, f'TRANSITION_{name}') for name in names]
    requests = [ChangeState.Request(transition=Transition(id=each)) for each in identifiers]
    return [client.call_async(each) for each in requests]


def test_calls_during_transitions(peer):
    futures = changes(peer, 'DEACTIVATE', 'CLEANUP', 'CONFIGURE', 'ACTIVATE')
    assert None not in all_at_once(peer)
    peer.until(lambda: all(each.done() for each in futures), 'all transitions')
    assert all(each.result().success for each in futures)


def test_a_race(peer):
    for name in ('DEACTIVATE', 'ACTIVATE'):
        futures = changes(peer, *[name] * 10)
        peer.until(lambda futures=futures: all(each.done() for each in futures), 'ten answers')
        assert sum(each.result().success for each in futures) == 1


def test_files_that_cannot_be_a_state(tracker, peer, tmp_path):
    """Neither waits nor takes memory for them; nor is one replaced that is something else."""
    begin = len(tracker.lines)
    pipe, link, folder = tmp_path / 'pipe', tmp_path / 'link', tmp_path / 'folder'
    os.mkfifo(pipe)
    folder.mkdir()
    other = tmp_path / 'other'
    other.write_text('of another program')
    link.symlink_to(other)
    wrong = [pipe, folder, other, link, tmp_path / ('x' * 300), tmp_path / 'no' / 'state.npz']
    for path in (*wrong, '/dev/zero', '/dev/null', '~nosuchuser/x', ''):
        assert peer.set(state_file=str(path)).successful
        for service, words in (('save_state', 'cannot write'), ('load_state', 'cannot read')):
            words = words if path else 'state_file is empty'
            result = peer.call(Trigger, service)
            assert not result.success
            assert words in result.message, path
    assert other.read_text() == 'of another program'
    assert sorted(each.name for each in tmp_path.iterdir()) == ['folder', 'link', 'other', 'pipe']
    state = tmp_path / 'state.npz'
    assert peer.set(state_file=str(state)).successful
    for service in ('save_state', 'save_state', 'load_state'):
        assert peer.call(Trigger, service).success
    state.write_bytes(state.read_bytes()[:100])
    result = peer.call(Trigger, 'load_state')
    assert not result.success
    assert 'state.npz' in result.message
    assert not [line for line in tracker.lines[begin:] if '_state: ' in line]
    assert peer.set(state_file='').successful


def test_every_detection_is_accounted_for(peer):
    """Also bytes that are no message, as from another version of a type."""
    account = peer.diagnostics()
    detections = peer.publisher(Detection2DArray, 'detections', 200)
    header = Header()

    def counted():
        return [account[fate] for fate in ('sent', 'failed', 'in work')]

    for burst in (1, 2):
        for _ in range(100):
            header.stamp.nanosec += 1000
            detections.publish(found(header, (50, 50, 40, 80, 0.9)))
        wanted = [str(100 * burst), '0', '0']
        peer.until(lambda wanted=wanted: counted() == wanted, 'account')
    detections.publish(b'\0\1\0\0' + b'\xff' * 200)
    peer.until(lambda: counted() == ['201', '1', '0'], 'failure')
    whole = serialize_message(Detection2DArray())
    for garbage in (whole[:7], whole[:4] + b'\xff' * 40):
        detections.publish(garbage)
        header.stamp.sec += 1
        peer.ask(lambda: detections.publish(found(header)), header)


def test_every_image_is_accounted_for(models, start, peer_of, own_graph, pictures, to_message):
    """Also those that are worked on, or wait, or come while they are left out."""
    peer = peer_of('')
    process = start('tracker_node', reid__model='none')
    peer.until_tracker_listens()
    account = peer.diagnostics()
    sent = 0

    def send(count, encoding='', images=peer.images):
        """Publish as a camera does; return how many have been sent by now."""
        nonlocal sent
        for index in range(count):
            message = to_message(pictures[index % len(pictures)])
            message.encoding = encoding or message.encoding
            images.publish(message)
            sent += 1
            time.sleep(0.01)
        return sent

    def fates_of(count):
        """Wait until so many have been sent and none is in work; return the numbers."""
        peer.until(lambda: (account['sent'], account['in work']) == (str(count), '0'), f'{count}')
        return {name: int(account[name]) for name in FATES}

    fates_of(send(40))
    # Another node sends one, and leaves.
    second = peer.node.create_publisher(Image, 'image_raw', 1)
    peer.until(second.get_subscription_count, 'subscription')
    fates = fates_of(send(1, images=second))
    peer.node.destroy_publisher(second)
    later = fates_of(send(1))
    assert later == {**fates, 'sent': sent, 'processed': fates['processed'] + 1}
    assert fates_of(send(30, 'smell8 ' * 100_000))['failed'] > 0
    # Shown every second: not all of what was wrong, but what.
    assert re.match('frame skipped: .*smell8 smell8', account['last error'])
    assert len(account['last error']) < 1000
    process.wait_for(r'ERROR.*frame skipped: .*smell8')
    assert max(map(len, process.lines)) < 1000
    assert peer.call(SetBool, 'enable', data=False).success
    assert fates_of(send(20))['paused'] > 0
    assert peer.call(SetBool, 'enable', data=True).success
    # At the end of it, one image is worked on and others wait, or are dropped.
    peer.client(ChangeState, 'person_tracker/change_state')
    send(40)
    assert peer.change_state('deactivate')
    fates = fates_of(sent)
    assert fates.pop('sent') == sum(fates.values())
    process.wait_for(
        f'INFO.*of {sent} frames since configure, {fates["processed"]} processed, '
        f'{fates["dropped"]} dropped, {fates["failed"]} failed, {fates["paused"]} paused, '
        '0 in work'
    )
