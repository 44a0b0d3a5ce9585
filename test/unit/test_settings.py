"""Parameters: ranges, types, unknown names and parameter files."""

import dataclasses

import pytest

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.settings import PARAMETERS, Settings

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}
RANGED = [p.name for p in PARAMETERS if p.type in (int, float)]


@pytest.mark.parametrize('parameter', PARAMETERS, ids=lambda parameter: parameter.name)
def test_declarations_are_complete(parameter):
    """Everybody needs a description; every number a range that its default lies in."""
    assert parameter.description.endswith('.')
    assert parameter.check(parameter.default) == parameter.default
    if parameter.type in (int, float):
        assert parameter.limits[0] < parameter.limits[1]


@pytest.mark.parametrize('name', RANGED)
def test_limits_of_a_range_are_included(name):
    parameter = BY_NAME[name]
    kind, (low, high) = parameter.type, parameter.limits
    step = 1 if kind is int else 1e-6
    for value in (low, high):
        assert Settings.from_values({name: kind(value)}).values()[name] == value
    wrong = [kind(low - step), kind(high + step)]
    if kind is float:
        wrong += [float('nan'), float('inf'), -float('inf')]
    for value in wrong:
        with pytest.raises(SettingsError, match=rf'^{name}: .* not in the range'):
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
        ('detector.score_threshold', 10**400, 'is not a number'),
        ('drawing.speed', 1, ': 1 is not true or false'),
        ('detector.score_threshold', -0.1, '-0.1 is not in the range 0 to 1'),
        ('detector.model', 2.5, '2.5 is not a text'),
        ('detector.model', True, 'True is not a text'),
        ('detector.model', '', 'must not be empty'),
        ('detector.precision', 'FP8', "'FP8' is not one of FP32, FP16, FP16-INT8"),
        ('tracker.camera_motion', 'flow', "'flow' is not one of"),
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


def test_whole_numbers_will_do_for_a_float_or_text():
    """ROS and YAML take the name 0 for an integer."""
    values = {'detector.score_threshold': 1, 'detector.model': 202}
    detector = Settings.from_values(values).detector
    assert (detector.score_threshold, type(detector.score_threshold)) == (1.0, float)
    assert detector.model == '202'


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('tracker.max_cosine_distanse', 'did you mean tracker.max_cosine_distance?'),
        ('detector.score_treshold', 'did you mean detector.score_threshold?'),
        ('tracker.budget', 'did you mean tracker.nn_budget?'),
        ('device', 'did you mean detector.device or reid.device?'),
        ('detector', 'did you mean detector.model?'),
        ('something_else', ''),
        ('', ''),
    ],
)
def test_unknown_names_are_refused_with_a_hint(name, hint):
    with pytest.raises(SettingsError, match='no such parameter') as caught:
        Settings.from_values({name: 1})
    assert str(caught.value) == f'{name}: no such parameter' + (f'; {hint}' if hint else '')


def test_other_values_stay_as_in_the_base():
    base = Settings.from_values({'tracker.max_age': 30, 'reid.device': 'CPU'})
    values = Settings.from_values({'tracker.max_age': 40}, base=base).values()
    assert (values['tracker.max_age'], values['reid.device']) == (40, 'CPU')
    assert base.values()['tracker.max_age'] == 30


@pytest.mark.parametrize(
    ('pattern', 'light_model', 'turns'),
    [
        ('auto', 'none', ('large',)),
        ('auto', 'mine', ('large', 'light')),
        ('large none  light', 'mine', ('large', 'none', 'light')),
        ('large', 'mine', ('large',)),
    ],
)
def test_a_pattern_has_the_turns_of_the_detectors(pattern, light_model, turns):
    values = {'detector.pattern': pattern, 'detector.light_model': light_model}
    assert Settings.from_values(values).detector.turns == turns


@pytest.mark.parametrize('pattern', ['', ' ', 'light large', 'large lite', 'none', '2', 'Large'])
def test_unknown_patterns_are_refused(pattern):
    with pytest.raises(SettingsError, match=r'^detector\.pattern: '):
        Settings.from_values({'detector.pattern': pattern, 'detector.light_model': 'mine'})


def test_a_pattern_needs_its_light_model():
    with pytest.raises(SettingsError, match=r'has "light": set detector\.light_model'):
        Settings.from_values({'detector.pattern': 'large light'})
