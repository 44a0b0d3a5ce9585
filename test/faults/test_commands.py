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
def tracker(spawn_once):
    """Return a node that needs neither models nor images."""
    process = spawn_once('tracker_node', input='detections')
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


def below():
    return {one.name: one.type(one.limits[0] - 1) for one in runtime(int, float)}


def above():
    return {one.name: one.type(one.limits[1] * 2 + 1) for one in runtime(int, float)}


def of_another_type():
    others = {bool: 'maybe', int: 'many', float: 'much', str: 1.5}
    return {one.name: others[one.type] for one in runtime(bool, int, float, str)}


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
    'below its range': below,
    'above its range': above,
    'that is no number': lambda: {one.name: math.nan for one in runtime(float)},
    'that is infinite': lambda: {one.name: -math.inf for one in runtime(float)},
    'of another type': of_another_type,
    'that is a list': lambda: {one.name: [1, 2] for one in runtime(bool, int, float, str)},
    'that is a list of bytes': lambda: {one.name: [b'1', b'2'] for one in runtime(int, float)},
    'that is a list of nothing': lambda: {one.name: [] for one in runtime(bool, int, str)},
    'that is the largest integer': lambda: {one.name: 2**63 - 1 for one in runtime(int, float)},
    'that takes effect in configure, while active': at_run_time,
    'empty, where there has to be a text': lambda: {'detections.class_id': ''},
}


@pytest.mark.parametrize('values', WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_values_that_cannot_be(peer, values):
    """One by one, then all together with one that could be."""
    parameters = [
        rclpy.Parameter(name, value=value).to_parameter_msg() for name, value in values().items()
    ]
    assert parameters
    results = peer.call(SetParameters, 'set_parameters', parameters=parameters).results
    for parameter, result in zip(parameters, results):
        assert not result.successful, parameter
        assert result.reason
    everything = dict(values())
    everything.setdefault('drawing.scores', True)
    result = peer.set(**everything)
    assert not result.successful
    assert result.reason


def a_name(name):
    return Parameter(
        name=name, value=ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=1)
    )


WRONG_NAMES = {
    'that there is not': ['nonsense'],
    'of no letters': [''],
    'of a megabyte': ['x' * 1_000_000],
    'of other letters': ['tracker.\u2713'],
    'of a group': ['tracker'],
    'with line ends': ['tracker\n.n_init'],
    'that there is not, 1,000 times': ['nonsense'] * 1000,
    'of qos_overrides': ['qos_overrides./tracks.publisher.depth'],
}


@pytest.mark.parametrize('names', WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_names_that_cannot_be(peer, names):
    results = peer.call(
        SetParameters, 'set_parameters', parameters=[a_name(name) for name in names]
    ).results
    assert not any(each.successful for each in results)
    assert len(results) == len(names)
    peer.call(GetParameters, 'get_parameters', names=names)
    peer.call(GetParameterTypes, 'get_parameter_types', names=names)
    peer.call(DescribeParameters, 'describe_parameters', names=names)
    peer.call(ListParameters, 'list_parameters', prefixes=names, depth=3)


NOTHING_AT_ALL = {
    'set': (SetParameters, 'set_parameters', {}),
    'read': (GetParameters, 'get_parameters', {}),
    'described': (DescribeParameters, 'describe_parameters', {}),
    'listed to an endless depth': (ListParameters, 'list_parameters', {'depth': 2**64 - 1}),
}


@pytest.mark.parametrize('call', NOTHING_AT_ALL.values(), ids=NOTHING_AT_ALL)
def test_no_parameters(peer, call):
    kind, name, fields = call
    assert peer.call(kind, name, **fields) is not None


def test_values_that_contradict_each_other(peer):
    result = peer.set(diagnostics__latency_warn=2.0, diagnostics__latency_error=1.0)
    assert not result.successful
    assert 'diagnostics.latency_error (1) must not be below' in result.reason


TRANSITIONS = {
    'that there is not': Transition(id=200),
    'of no number': Transition(id=0),
    'of a label that there is not': Transition(id=201, label='fly'),
    'whose label is a megabyte long': Transition(id=202, label='x' * 1_000_000),
    'to be configured, while active': Transition(id=Transition.TRANSITION_CONFIGURE),
    'to be activated, while active': Transition(id=Transition.TRANSITION_ACTIVATE),
    'to be cleaned up, while active': Transition(id=Transition.TRANSITION_CLEANUP),
    'that only the node itself has': Transition(id=Transition.TRANSITION_ON_CONFIGURE_SUCCESS),
    'of an error that there was not': Transition(id=Transition.TRANSITION_ON_ERROR_FAILURE),
}


@pytest.mark.parametrize('transition', TRANSITIONS.values(), ids=TRANSITIONS)
def test_transitions_that_cannot_be(peer, transition):
    assert not peer.call(ChangeState, 'change_state', transition=transition).success


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


def test_many_calls(peer):
    for _ in range(10):
        assert None not in all_at_once(peer)


def test_calls_during_transitions(peer):
    client = peer.client(ChangeState, 'person_tracker/change_state')
    identifiers = [
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ]
    changes = [
        client.call_async(ChangeState.Request(transition=Transition(id=each)))
        for each in identifiers
    ]
    assert None not in all_at_once(peer)
    peer.until(lambda: all(each.done() for each in changes), 'all transitions')
    assert all(each.result().success for each in changes)


def test_a_race(peer):
    client = peer.client(ChangeState, 'person_tracker/change_state')

    def race(identifier):
        calls = [
            client.call_async(ChangeState.Request(transition=Transition(id=identifier)))
            for _ in range(10)
        ]
        peer.until(lambda: all(each.done() for each in calls), 'ten answers')
        return sum(each.result().success for each in calls)

    assert race(Transition.TRANSITION_DEACTIVATE) == 1
    assert race(Transition.TRANSITION_ACTIVATE) == 1


def test_who_does_not_wait(peer):
    for _ in range(5):
        client = peer.node.create_client(Trigger, 'person_tracker/reset')
        peer.until(client.service_is_ready, 'service')
        client.call_async(Trigger.Request())
        peer.node.destroy_client(client)
    assert peer.call(Trigger, 'reset').success


def test_pausing_again_and_again(peer):
    for number in range(100):
        assert peer.call(SetBool, 'enable', data=number % 2 == 1).success
