"""Parameter files and arguments mean the same to a node and to the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from rcl_interfaces.msg import ParameterType
from rclpy.context import Context
from rclpy.node import Node

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.parameter_file import ParameterFile, read_settings
from persontrack_ros.ros import compat

NAMESPACES = ['', '/robot', '/a/b']


def in_order(values):
    return dict(sorted(values.items()))


def taken_by_rcl(path):
    """Return what real nodes take from a file, by namespace; None where ROS refuses the file."""
    context = Context()
    try:
        context.init(['--ros-args', '--params-file', str(path)])
    except RuntimeError:
        return None
    taken = {}
    for namespace in NAMESPACES:
        node = Node('person_tracker', namespace=namespace, context=context)
        taken[namespace] = in_order(
            {key: one.value for key, one in compat.overrides(node).items()}
        )
        node.destroy_node()
    context.shutdown()
    return taken


def taken_by_us(path):
    try:
        file = ParameterFile(path)
    except SettingsError:
        return None
    return {each: in_order(file.values(f'{each}/person_tracker')) for each in NAMESPACES}


def same(one, other):
    return repr(one) == repr(other)  # nan, and 1 is not 1.0 nor true


# One of every kind.
SCALARS = """
0x10 off No .inf -.inf .NaN "5" '1' 5x .5 5. +5 -0x10 1.0e-5 0.0 tRue yes 2.5 word 1.5e 0 -7
"""
# Names of namespaces, and those in them.
OUTER = ('/**', '/*', '*', '**', '/', '/a', 'robot', '/a/*', '/a/**')
INNER = ('*', '**', 'person_tracker', 'b')


@pytest.mark.parametrize(
    'text',
    [
        '/**: {ros__parameters: {a: 1}}\n/person_tracker: {ros__parameters: {a: 2}}',
        '/person_tracker: {ros__parameters: {a: 2}}\n/**: {ros__parameters: {a: 1}}',
        'robot: {person_tracker: {ros__parameters: {a: 1}}, x: {ros__parameters: {a: 2}}}',
        '/a: {b: {person_tracker: {ros__parameters: {a.b: 1, a: {b: 2, c: 3}}}}}',
        '{/*: {ros__parameters: {a: 1}}, /**/person_tracker: {ros__parameters: {b: 1}}, '
        '/*/person_tracker: {ros__parameters: {c: 1}}, "**": {ros__parameters: {d: 1}}, '
        '"*": {ros__parameters: {e: 1}}, /: {person_tracker: {ros__parameters: {f: 1}}}}',
        '/**:\n  ros__parameters:\n'
        + ''.join(f'    p{index}: {one}\n' for index, one in enumerate(SCALARS.split())),
        '/**: {ros__parameters: {a: [1, 2], b: [x, y1], d: [1.0, 2.0]}}',
    ],
)
def test_read_as_rcl_reads(tmp_path, text):
    path = tmp_path / 'p.yaml'
    path.write_text(text)
    assert taken_by_us(path) is not None
    assert same(taken_by_us(path), taken_by_rcl(path))


@pytest.mark.parametrize('outer', OUTER)
def test_nested_names_are_those_of_rcl(tmp_path, outer):
    path = tmp_path / 'nested.yaml'
    inner = ', '.join(
        f'"{name}": {{ros__parameters: {{a{number}: 1}}}}' for number, name in enumerate(INNER)
    )
    path.write_text(f'{{"{outer}": {{{inner}}}}}')
    assert taken_by_us(path) is not None
    assert same(taken_by_us(path), taken_by_rcl(path))


BRING_UP = """
/**:
  ros__parameters:
    tracker: {remember: 3, refresh_time: 10}
    depth_tolerance: 1
face_detector:
  ros__parameters:
    detector: {score_threshold: 0.99}
robot:
  front:
    person_tracker:
      ros__parameters:
        detector: {score_threshold: 1}
        detections: {class_id: 0}
/*/person_tracker:
  ros__parameters:
    tracker: {n_init: 7}
"""


@pytest.mark.parametrize('namespace', ['', '/robot/front', '/rear'])
def test_a_file_for_several_nodes(start, peer_of, own_graph, tmp_path, namespace):
    path = tmp_path / 'bring_up.yaml'
    path.write_text(BRING_UP)
    peer = peer_of(namespace)
    namespaced = ['-r', f'__ns:={namespace}'] if namespace else []
    process = start('tracker_node', *namespaced, '--params-file', str(path), autostart=False)
    expected = read_settings(path, lambda line: None, f'{namespace}/person_tracker').values()
    for name, value in expected.items():
        taken = peer.get(name)
        assert (taken, type(taken)) == (value, type(value)), name
    assert peer.get('depth_tolerance') == 1.0
    assert peer.get('detections.class_id') == ('0' if 'robot' in namespace else 'person')
    assert 'no such parameter' not in process.output


def test_numbers_set_at_run_time(start, peer):
    start('tracker_node', '-p', 'detections.class_id:=0', input='detections').wait_for('tracking')
    assert peer.get('detections.class_id') == '0'
    assert peer.set(tracker__refresh_time=3, detections__class_id=7).successful
    for name, value in {'tracker.refresh_time': 3.0, 'detections.class_id': '7'}.items():
        assert (peer.get(name), type(peer.get(name))) == (value, type(value))
    answer = peer.set(tracker__n_init=2.5)
    assert not answer.successful
    assert 'Wrong parameter type' in answer.reason
    (described,) = peer.describe(['detections.class_id'])
    assert described.type == ParameterType.PARAMETER_STRING


@pytest.mark.parametrize(
    ('node', 'name', 'near'),
    [
        ('tracker_node', 'detector.treshold', 'detector.score_threshold'),
        ('cameras_node', 'camera', 'cameras'),
        ('video_publisher', 'frame_rate', 'frame_id'),
    ],
)
@pytest.mark.slow
def test_unknown_names_are_told_of_with_the_nearest(start, node, name, near):
    process = start(node, '-p', f'{name}:=x', '-p', 'use_sim_time:=false')
    process.wait_for(rf'WARN.*: {name}: no such parameter; did you mean {near}\?')


@pytest.mark.slow
def test_names_for_all_nodes_of_a_process(start, peer_of, own_graph):
    process = start('cameras_node', cameras='front', input='detections', jpeg_quality=7)
    assert peer_of('front').get('jpeg_quality') == 7
    assert 'no such parameter' not in process.output


@pytest.mark.parametrize('node', ['tracker_node', 'cameras_node', 'video_publisher'])
@pytest.mark.slow
def test_wrong_files_end_with_one_line(tmp_path, node):
    path = tmp_path / 'p.yaml'
    path.write_text('tracker: {max_age: 3}')
    command = [sys.executable, '-m', 'persontrack_ros.ros', node, '--ros-args']
    ended = subprocess.run(
        [*command, '--params-file', path], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    (line,) = (ended.stdout + ended.stderr).splitlines()
    with pytest.raises(SettingsError) as caught:
        read_settings(path, pytest.fail)
    assert line.endswith(str(caught.value))


@pytest.mark.slow
def test_wrong_arguments_end_without_a_traceback():
    command = [sys.executable, '-m', 'persontrack_ros.ros', 'tracker_node', '--ros-args']
    for arguments, problem in ((['-p', 'foo'], "'-p foo'"), (['--foo'], '--foo')):
        ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert problem in ended.stderr.splitlines()[-1]
        assert 'Traceback' not in ended.stderr
