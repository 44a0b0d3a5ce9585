"""The launch files, as far as they can be read without launch; test/launch tries them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from persontrack_ros.core.config.node_options import NODE_PARAMETERS
from persontrack_ros.ros.launch_arguments import CAMERAS, TRACKER, VIDEO

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = {path.name: path.read_text() for path in CHECKOUT.glob('launch/*.launch.py')}


def test_what_there_is():
    assert set(FILES) == {'persontrack.launch.py', 'video.launch.py', 'cameras.launch.py'}
    names = {one.name for one in TRACKER}
    assert names == {
        *('namespace', 'params_file', 'use_sim_time', 'autostart', 'log_level', 'rviz'),
        *('image', 'image_transport', 'depth', 'camera_info', 'target_frame', 'fixed_frame'),
    }
    # Of one file, each has a meaning of its own.
    assert not names & {one.name for one in (*CAMERAS, *VIDEO)}


@pytest.mark.parametrize('argument', [*TRACKER, *CAMERAS, *VIDEO], ids=lambda one: one.name)
def test_arguments_are_described(argument):
    assert len(argument.description) > 20
    assert argument.description.endswith('.')
    if argument.choices:
        assert argument.default in argument.choices


def test_what_the_parameter_file_says_holds_by_default():
    """Arguments that are parameters too change nothing unless they are given."""
    parameters = {one.name for one in NODE_PARAMETERS} | {'use_sim_time'}
    both = [one for one in TRACKER if one.name in parameters]
    assert {one.name for one in both} == {
        *('autostart', 'image_transport', 'depth', 'target_frame', 'use_sim_time')
    }
    assert all(one.default == '' for one in both)


def test_choices_of_parameters_are_those_of_arguments():
    arguments = {one.name: one for one in TRACKER}
    parameters = {one.name: one for one in NODE_PARAMETERS}
    transports = arguments['image_transport'].choices
    assert set(transports) - {''} == set(parameters['image_transport'].choices)


def test_executables_are_installed():
    installed = re.findall(r"'(\w+) = persontrack_ros", (CHECKOUT / 'setup.py').read_text())
    for text in FILES.values():
        named = [
            node.value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and str(node.value).endswith(('_node', '_publisher'))
        ]
        assert named
        assert set(named) <= set(installed)


@pytest.mark.parametrize('name', ['persontrack', 'persontrack_fixed'])
def test_rviz_shows_what_is_published(name):
    from persontrack_ros.ros.tracker.markers import BOXES, IDS, TRAILS, VELOCITIES

    content = yaml.safe_load((CHECKOUT / 'config' / f'{name}.rviz').read_text())
    displays = {one['Class']: one for one in content['Visualization Manager']['Displays']}
    image = displays['rviz_default_plugins/Image']
    markers = displays['rviz_default_plugins/MarkerArray']
    assert image['Enabled']
    assert markers['Enabled']
    assert image['Topic']['Value'] == '/annotated_image'
    assert markers['Topic']['Value'] == '/markers'
    assert markers['Namespaces'] == dict.fromkeys((BOXES, IDS, TRAILS, VELOCITIES), True)


def test_rviz_shows_floor_and_robot_in_a_fixed_frame():
    content = yaml.safe_load((CHECKOUT / 'config' / 'persontrack_fixed.rviz').read_text())
    manager = content['Visualization Manager']
    displays = {one['Class']: one for one in manager['Displays']}
    for kind in ('Grid', 'RobotModel', 'TF'):
        assert displays[f'rviz_default_plugins/{kind}']['Enabled']
    assert displays['rviz_default_plugins/Grid']['Plane'] == 'XY'
    robot = displays['rviz_default_plugins/RobotModel']
    assert robot['Description Topic']['Value'] == '/robot_description'
    assert manager['Global Options']['Fixed Frame'] == 'odom'
    # From above: z points up.
    assert manager['Views']['Current']['Pitch'] > 0


def test_rviz_has_persons_in_view():
    """From 1 to 15 m away; the geometry is that of rviz's orbit view, with Ogre's 45 degrees."""
    content = yaml.safe_load((CHECKOUT / 'config' / 'persontrack.rviz').read_text())
    view = content['Visualization Manager']['Views']['Current']
    assert view['Class'] == 'rviz_default_plugins/Orbit'
    focus = np.array([view['Focal Point'][axis] for axis in 'XYZ'], dtype=float)
    yaw, pitch = view['Yaw'], view['Pitch']
    back = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.cross(-back, (0, 0, 1))
    right /= np.linalg.norm(right)
    up = np.cross(right, -back)
    for distance in (1, 2, 5, 10, 15):
        # Head and feet; the camera is 1 m above the ground.
        for y in (-0.8, 1.0):
            ray = np.array((0.0, y, distance)) - (focus + view['Distance'] * back)
            across, along = np.array((ray @ right, ray @ up)) / (ray @ -back) / np.tan(np.pi / 8)
            assert abs(across) < 0.02
            assert abs(along) < 0.85
    # Each further panel docks beside the view.
    assert [one['Class'] for one in content['Panels']] == ['rviz_common/Displays']


@pytest.mark.parametrize(('name', 'arguments'), [('TRACKER', TRACKER), ('CAMERAS', CAMERAS)])
def test_the_page_has_all_arguments(name, arguments):
    page = (CHECKOUT / 'docs' / 'launch.md').read_text()
    (block,) = re.findall(rf'<!-- arguments:{name} -->\n(.*?)<!-- /arguments -->', page, re.DOTALL)
    _, _, *rows = block.splitlines() or ['', '']
    expected = [
        f'| `{one.name}` | {"required" if one.default is None else one.default} '
        f'| {", ".join(filter(None, one.choices)) or "any"} | {one.description} |'
        for one in arguments
    ]
    assert rows == expected, 'the page should say:\n' + '\n'.join(expected)
