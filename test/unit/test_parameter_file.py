"""Parameter files: which nodes they are for, what is wrong with them, and who is told."""

import pytest

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.parameter_file import ParameterFile, read_settings
from persontrack_ros.core.config.settings import Settings


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a parameter file."""

    def write_file(text):
        path = tmp_path / 'parameters.yaml'
        path.write_text(text)
        return path

    return write_file


def read(path, node=None):
    """Return what a file changes, and what was told of it."""
    told = []
    values = read_settings(path, told.append, node).values()
    defaults = Settings().values()
    return {name: value for name, value in values.items() if value != defaults[name]}, told


def test_a_parameter_file_of_ros(write):
    path = write("""
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
""")
    expected = {
        'tracker.max_age': 13,
        'detector.score_threshold': 0.25,
        'detector.device': 'CPU',
    }
    assert read(path) == (expected, [])


AGE = '{ros__parameters: {tracker: {max_age: %d}}}'


@pytest.mark.parametrize(
    ('entries', 'node', 'age'),
    [
        ({'person_tracker': 1, 'face_detector': 2}, None, 1),
        ({'/**': 1, '/rear/person_tracker': 2}, None, 1),
        ({'/**': 1, '/rear/person_tracker': 2}, '/rear/person_tracker', 2),
        ({'/rear/person_tracker': 2, '/**': 1}, '/rear/person_tracker', 1),
        ({'/robot/front/person_tracker': 3}, None, 3),
        ({'/robot/front/person_tracker': 3, 'person_tracker': 4}, None, 4),
        ({'/*': 1, '/*/person_tracker': 2}, None, 1),
        ({'/*': 1, '/*/person_tracker': 2}, '/a/person_tracker', 2),
        ({'/*': 1, '/*/person_tracker': 2}, '/a/b/person_tracker', None),
        ({'/**/person_tracker': 5}, None, 5),
        ({'/**/person_tracker': 5}, '/a/b/person_tracker', 5),
        ({'/a/**': 5}, '/a/b/person_tracker', 5),
        ({'/a/**': 5}, '/b/person_tracker', None),
        ({'/front/person_tracker': 1, '/rear/person_tracker': 2}, '/rear/person_tracker', 2),
    ],
)
def test_the_node_that_is_meant(write, entries, node, age):
    path = write('\n'.join(f'{name}: {AGE % value}' for name, value in entries.items()))
    assert read(path, node)[0] == ({} if age is None else {'tracker.max_age': age})


def test_nested_namespaces(write):
    path = write(f'robot: {{front: {{person_tracker: {AGE % 3}, camera: {AGE % 4}}}}}')
    assert read(path) == ({'tracker.max_age': 3}, [])
    assert read(path, '/robot/front/person_tracker') == ({'tracker.max_age': 3}, [])


def test_a_choice_is_needed(write):
    path = write(f'/front/person_tracker: {AGE % 3}\nrear: {{person_tracker: {AGE % 4}}}')
    with pytest.raises(SettingsError, match='/front/.* and /rear/.* with --node'):
        read(path)


def test_what_is_left_out_is_told(write):
    (told,) = read(write(f'/**: {AGE % 3}\n/rear/person_tracker: {AGE % 4}'))[1]
    assert 'what it has for /rear/person_tracker is left out, see --node' in told
    (told,) = read(write(f'camera: {AGE % 3}'))[1]
    assert 'nothing for /person_tracker, only for /camera' in told


def test_unknown_names_are_told_of_with_the_nearest(write):
    path = write("""
/**: {ros__parameters: {depht: true, tracker: {max_aeg: 3, max_age: 4}}}
face_detector: {ros__parameters: {faces: 3}}
""")
    values, told = read(path)
    assert values == {'tracker.max_age': 4}
    assert len(told) == 2
    assert told[0].endswith('depht: no such parameter; did you mean depth?')
    assert told[1].endswith('tracker.max_aeg: no such parameter; did you mean tracker.max_age?')


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('', 'no ROS parameter file: /: ros__parameters is missing'),
        ('just words', 'no ROS parameter file'),
        ('[1, 2]', 'no ROS parameter file'),
        ('tracker: {max_age: 3}', '/tracker/max_age: ros__parameters is missing'),
        ('/**:\n', '/**: ros__parameters is missing'),
        ('ros__parameters: {tracker: {max_age: 3}}', "'/' above ros__parameters is no valid node"),
        ('/**: {ros__parameters: 3}', '/**: no parameters are in it'),
        ('person-tracker: {ros__parameters: {}}', "'/person-tracker' above ros__parameters is no"),
        ('/**:\n  ros__parameters:\n    depth:\n', 'depth: None is not true or false'),
        ('/**: {ros__parameters: {a: 1}}\n/**: {ros__parameters: {b: 1}}', 'occurs twice'),
        ('/**: {ros__parameters: {tracker: {max_age: 3}', 'cannot read the parameter file'),
        ('a: b: c', 'cannot read the parameter file'),
        ('\t/**: x', 'cannot read the parameter file'),
        ('/**: &a {ros__parameters: {}}\nb: *a', 'aliases (*) are not supported'),
        ('/**: {ros__parameters: {tracker: {max_age: old}}}', "tracker.max_age: 'old' is not"),
        ('/**: {ros__parameters: {tracker: {max_age: null}}}', 'tracker.max_age: None is not'),
        ('/**: {ros__parameters: {tracker: {max_age: .nan}}}', 'tracker.max_age: nan is not'),
        ('/**: {ros__parameters: {detector: {score_threshold: .nan}}}', 'nan is not in the range'),
        ('/**: {ros__parameters: {depth_tolerance: 11}}', 'depth_tolerance: 11.0 is not in the'),
        ('/**: {ros__parameters: {depth: true, input: detections}}', 'depth needs images'),
        ('/**: {ros__parameters: {target_frame: odom}}', 'set depth as well'),
        ('/**: {ros__parameters: {tracker: {camera_motion: tf}}}', 'set target_frame'),
    ],
)
def test_wrong_parameter_files(write, text, problem):
    with pytest.raises(SettingsError) as caught:
        read(write(text))
    assert problem in str(caught.value)
    assert '\n' not in str(caught.value)
    if 'ROS parameter file' in problem:
        assert 'write for example "/**: {ros__parameters: ' in str(caught.value)


def test_unreadable_parameter_files(tmp_path):
    binary = tmp_path / 'binary.yaml'
    binary.write_bytes(b'\xff\xfe\x00\x81')
    for path in (tmp_path / 'missing.yaml', tmp_path, binary):
        with pytest.raises(SettingsError, match='cannot read the parameter file') as caught:
            ParameterFile(path)
        assert str(path) in str(caught.value)
