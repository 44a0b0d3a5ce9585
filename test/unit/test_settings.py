"""Parameters: ranges, types, unknown names and parameter files."""

from __future__ import annotations

import dataclasses
import math

import pytest

from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.settings import PARAMETERS
from persontrack_ros.core.settings import Parameter
from persontrack_ros.core.settings import Settings

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}
RANGED = [p.name for p in PARAMETERS if p.minimum is not None]


def test_defaults_are_those_agreed_on():
    values = Settings().values()
    expected = {
        # The threshold of the model: 0.5 for the default one.
        'detector.score_threshold': 0.0,
        'tracker.max_cosine_distance': 0.3,
        'tracker.max_iou_distance': 0.7,
        'tracker.max_age': 70,
        'tracker.n_init': 3,
        'tracker.nn_budget': 100,
        'detector.device': 'AUTO',
        'reid.device': 'AUTO',
    }
    assert {name: values[name] for name in expected} == expected


@pytest.mark.parametrize('parameter', PARAMETERS, ids=lambda parameter: parameter.name)
def test_declarations_are_complete(parameter):
    """Everybody needs a description; every number a range that its default lies in."""
    assert parameter.description.endswith('.')
    assert parameter.check(parameter.default) == parameter.default
    if parameter.type in (int, float):
        assert parameter.minimum < parameter.maximum


@pytest.mark.parametrize('name', RANGED)
def test_limits_of_a_range_are_included(name):
    parameter = BY_NAME[name]
    kind, low, high = parameter.type, parameter.minimum, parameter.maximum
    step = 1 if kind is int else 1e-6
    for value in (low, high):
        assert Settings.from_values({name: kind(value)}).values()[name] == value
    for value in (low - step, high + step):
        with pytest.raises(SettingsError, match=rf'^{name}: .* not in the range'):
            Settings.from_values({name: kind(value)})


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('name', [p.name for p in PARAMETERS if p.type is float])
def test_numbers_are_finite(name, value):
    with pytest.raises(SettingsError, match=f'{name}: .* not a finite number'):
        Settings.from_values({name: value})


@pytest.mark.parametrize(
    ('name', 'value', 'problem'),
    [
        ('tracker.max_age', 70.0, '70.0 is not an integer'),
        ('tracker.max_age', True, 'True is not an integer'),
        ('tracker.max_age', '70', "'70' is not an integer"),
        ('tracker.max_age', -1, '-1 is not in the range 1 to '),
        ('tracker.n_init', 0, '0 is not in the range 1 to '),
        ('detector.score_threshold', 'high', "'high' is not a number"),
        ('detector.score_threshold', False, 'False is not a number'),
        ('detector.score_threshold', None, 'None is not a number'),
        ('detector.score_threshold', [0.5], 'is not a number'),
        ('detector.score_threshold', -0.1, '-0.1 is not in the range 0 to 1'),
        ('detector.model', 202, '202 is not a text'),
        ('detector.model', '', 'must not be empty'),
        ('detector.precision', 'FP8', "'FP8' is not one of FP32, FP16, FP16-INT8"),
        ('tracker.metric', 'manhattan', "'manhattan' is not one of cosine, euclidean"),
    ],
)
def test_wrong_values_are_refused(name, value, problem):
    with pytest.raises(SettingsError) as caught:
        Settings.from_values({name: value})
    assert str(caught.value).startswith(f'{name}: ')
    assert problem in str(caught.value)


def test_wrong_values_are_refused_by_the_constructor_too():
    tracker = dataclasses.replace(Settings().tracker, max_age=-5)
    with pytest.raises(SettingsError, match=r'tracker\.max_age: -5'):
        Settings(tracker=tracker)


def test_whole_numbers_will_do_for_a_float():
    value = Settings.from_values({'detector.score_threshold': 1}).detector.score_threshold
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('tracker.max_cosine_distanse', 'did you mean tracker.max_cosine_distance?'),
        ('detector.score_treshold', 'did you mean detector.score_threshold?'),
        ('tracker.budget', ''),
        ('detector', ''),
        ('', ''),
    ],
)
def test_unknown_names_are_refused_with_a_hint(name, hint):
    with pytest.raises(SettingsError, match='no such parameter') as caught:
        Settings.from_values({name: 1})
    assert str(caught.value).startswith(f'{name}: ')
    assert hint in str(caught.value)


def test_other_values_stay_as_in_the_base():
    base = Settings.from_values({'tracker.max_age': 30, 'reid.device': 'CPU'})
    values = Settings.from_values({'tracker.max_age': 40}, base=base).values()
    assert (values['tracker.max_age'], values['reid.device']) == (40, 'CPU')
    assert base.values()['tracker.max_age'] == 30


def yaml_file(tmp_path, text):
    path = tmp_path / 'parameters.yaml'
    path.write_text(text)
    return path


def test_a_parameter_file_of_ros(tmp_path):
    path = yaml_file(
        tmp_path,
        """
/**:
  ros__parameters:
    autostart: false
    use_sim_time: true
    qos_overrides: {/image_raw: {subscription: {depth: 5}}}
    tracker:
      max_age: 12
    detector: {score_threshold: 0.25, device: CPU}
person_tracker:
  ros__parameters:
    tracker.max_age: 13
""",
    )
    values = Settings.from_yaml(path).values()
    expected = {
        **Settings().values(),
        'tracker.max_age': 13,
        'detector.score_threshold': 0.25,
        'detector.device': 'CPU',
    }
    assert values == expected


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('', 'no ROS parameter file'),
        ('just words', 'no ROS parameter file'),
        ('[1, 2]', 'no ROS parameter file'),
        ('tracker: {max_age: 3}', 'no ROS parameter file'),
        ('/**: {ros__parameters: 3}', 'no ROS parameter file'),
        ('/**: {ros__parameters: null}', 'no ROS parameter file'),
        ('/**: {ros__parameters: {tracker: {max_age: 3}', 'cannot read the parameter file'),
        ('a: b: c', 'cannot read the parameter file'),
        ('\t/**: x', 'cannot read the parameter file'),
        ('/**: {ros__parameters: {tracker: {max_age: old}}}', "tracker.max_age: 'old' is not"),
        ('/**: {ros__parameters: {tracker: {max_age: null}}}', 'tracker.max_age: None is not'),
        ('/**: {ros__parameters: {tracker: {max_age: .nan}}}', 'tracker.max_age: nan is not'),
        ('/**: {ros__parameters: {detector: {score_threshold: .nan}}}', 'not a finite number'),
        ('/**: {ros__parameters: {tracker: {max_aeg: 3}}}', 'did you mean tracker.max_age?'),
        ('/**: {ros__parameters: {tracker: 3}}', 'tracker: '),
    ],
)
def test_wrong_parameter_files(tmp_path, text, problem):
    with pytest.raises(SettingsError) as caught:
        Settings.from_yaml(yaml_file(tmp_path, text))
    assert problem in str(caught.value)
    assert '\n' not in str(caught.value)


def test_unreadable_parameter_files(tmp_path):
    binary = tmp_path / 'binary.yaml'
    binary.write_bytes(b'\xff\xfe\x00\x81')
    for path in (tmp_path / 'missing.yaml', tmp_path, binary):
        with pytest.raises(SettingsError, match='cannot read the parameter file') as caught:
            Settings.from_yaml(path)
        assert str(path) in str(caught.value)
        assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('parameter', 'allowed'),
    [
        (Parameter('a', 1, '', minimum=1, maximum=100000), '1 to 100000'),
        (Parameter('a', 0, '', minimum=0, maximum=2**31 - 1), '0 to 2147483647'),
        (Parameter('a', 0.5, '', minimum=0.25, maximum=2.0), '0.25 to 2'),
        (Parameter('a', 'b', '', choices=('b', 'c')), 'b, c'),
        (Parameter('a', 'b', ''), ''),
    ],
)
def test_allowed_values_in_words(parameter, allowed):
    assert parameter.allowed == allowed
