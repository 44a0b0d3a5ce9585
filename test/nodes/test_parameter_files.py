"""Parameter files and arguments mean the same to a node and to the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from rclpy.context import Context
from rclpy.node import Node

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.parameter_file import ParameterFile, read_settings
from persontrack_ros.ros import compat


def taken_by_rcl(path, namespace):
    """Return what a real node takes from a file."""
    context = Context()
    context.init(['--ros-args', '--params-file', str(path)])
    node = Node('person_tracker', namespace=namespace, context=context)
    taken = {key: one.value for key, one in compat.overrides(node).items()}
    node.destroy_node()
    context.shutdown()
    return taken


# One of every kind.
SCALARS = """
0x10 off No .inf -.inf .NaN "5" '1' 5x .5 5. +5 -0x10 1.0e-5 0.0 tRue yes 2.5 word 1.5e 0 -7
"""
INNER = ', '.join(
    f'"{name}": {{ros__parameters: {{a{number}: 1}}}}'
    for number, name in enumerate(('*', '**', 'person_tracker', 'b'))
)
NESTED = [
    f'{{"{outer}": {{{INNER}}}}}'
    for outer in ('/**', '/*', '*', '**', '/', '/a', 'robot', '/a/*', '/a/**')
]


@pytest.mark.parametrize(
    'text',
    [
        '/**: {ros__parameters: {a: 1}}\n/person_tracker: {ros__parameters: {a: 2}}',
        '/person_tracker: {ros__parameters: {a: 2}}\n/**: {ros__parameters: {a: 1}}',
        'robot: {person_tracker: {ros__parameters: {a: 1}}, x: {ros__parameters: {a: 2}}}',
        '/a: {b: {person_tracker: {ros__parameters: {a.b: 1, a: {b: 2, c: 3}}}}}',
        '/**:\n  ros__parameters:\n'
        + ''.join(f'    p{index}: {one}\n' for index, one in enumerate(SCALARS.split())),
        '/**: {ros__parameters: {a: [1, 2], b: [x, y1], d: [1.0, 2.0]}}',
        *NESTED,
    ],
)
def test_read_as_rcl_reads(tmp_path, text):
    path = tmp_path / 'p.yaml'
    path.write_text(text)
    for namespace in ('', '/robot', '/a/b'):
        ours = ParameterFile(path).values(f'{namespace}/person_tracker')
        # As texts: nan, and 1 is not 1.0 nor true.
        assert repr(sorted(ours.items())) == repr(sorted(taken_by_rcl(path, namespace).items()))


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
    answer = peer.set(tracker__n_init=2.5)
    assert not answer.successful
    assert 'is not an integer' in answer.reason


def test_unknown_names_are_reported_with_the_nearest(start):
    process = start('tracker_node', '-p', 'detector.thresholds:=x', '-p', 'use_sim_time:=false')
    process.wait_for(
        r'WARN.*: detector.thresholds: no such parameter; did you mean detector.score_threshold\?'
    )


@pytest.mark.slow
def test_names_for_all_nodes_of_a_process(start, peer_of, own_graph):
    arguments = {'cameras': 'front', 'input': 'detections', 'jpeg_quality': 7, 'camera': 'x'}
    process = start('cameras_node', **arguments)
    assert peer_of('front').get('jpeg_quality') == 7
    process.wait_for(r'WARN.*: camera: no such parameter; did you mean cameras\?')
    assert 'jpeg_quality: no such parameter' not in process.output


@pytest.mark.slow
def test_wrong_files_and_arguments_end_with_one_line(tmp_path):
    path = tmp_path / 'p.yaml'
    path.write_text('tracker: {max_age: 3}')
    with pytest.raises(SettingsError) as caught:
        read_settings(path, pytest.fail)
    for node, arguments, problem in (
        *(
            (each, ['--params-file', path], str(caught.value))
            for each in ('tracker_node', 'cameras_node', 'video_publisher')
        ),
        ('tracker_node', ['-p', 'foo'], "'-p foo'"),
        ('tracker_node', ['--foo'], '--foo'),
    ):
        command = [sys.executable, '-m', 'persontrack_ros.ros', node, '--ros-args', *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert 'Traceback' not in ended.stderr
        assert problem in (ended.stdout + ended.stderr).splitlines()[-1]
