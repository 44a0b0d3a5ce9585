"""What is asked of a running node: each question gets an answer, and wrong ones change nothing."""

from __future__ import annotations

import math

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
)
from std_srvs.srv import SetBool, Trigger

from persontrack_ros.core.config.node_options import DECLARED


@pytest.fixture(scope='module')
def tracker(start_once):
    """Return a node that needs neither models nor images."""
    process = start_once('tracker_node', input='detections')
    process.wait_for('tracking the persons')
    return process


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
    'not while active': at_run_time(),
    'empty text': {'detections.class_id': ''},
}


@pytest.mark.parametrize('values', WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_values_that_cannot_be(peer, values):
    """One by one, then all together with one that could be."""
    parameters = [
        rclpy.Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
    ]
    assert parameters
    results = peer.call(SetParameters, 'set_parameters', parameters=parameters).results
    together = peer.set(**{'drawing.scores': True, **values})
    for result in (*results, together):
        assert not result.successful
        assert result.reason


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


def test_clients_that_do_not_wait(peer):
    for number in range(5):
        client = peer.node.create_client(Trigger, 'person_tracker/reset')
        peer.until(client.service_is_ready, 'service')
        client.call_async(Trigger.Request())
        peer.node.destroy_client(client)
        assert peer.call(SetBool, 'enable', data=number % 2 == 0).success
    assert peer.call(Trigger, 'reset').success
