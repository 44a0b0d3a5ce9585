"""The launch files, as far as they can be read without launch; test_launch.py tries them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from persontrack_ros.core.config.node_options import NODE_PARAMETERS
from persontrack_ros.ros.launch_arguments import CAMERAS, TRACKER, VIDEO
from persontrack_ros.ros.tracker.messages import BOXES, IDS, TRAILS, VELOCITIES

CHECKOUT = Path(__file__).resolve().parents[2]


def test_arguments_that_are_parameters_change_nothing_by_default():
    parameters = {one.name: one for one in NODE_PARAMETERS}
    both = TRACKER.keys() & {*parameters, 'use_sim_time'}
    assert both == {
        *('autostart', 'image_transport', 'depth', 'target_frame', 'use_sim_time', 'zones_file')
    }
    assert all(TRACKER[name].default == '' for name in both)
    transports = TRACKER['image_transport'].choices
    assert set(transports) - {''} == set(parameters['image_transport'].choices)
    # Of one file, each has a meaning of its own.
    assert not TRACKER.keys() & (CAMERAS.keys() | VIDEO.keys())


def test_the_optical_frame_of_the_example():
    """REP 103: z points where x of the camera does, x to its right, y down."""
    robot = ElementTree.parse(CHECKOUT / 'examples' / 'robot.urdf').getroot()
    joints = {each.find('child').get('link'): each for each in robot.iter('joint')}
    assert {each.get('name') for each in robot.iter('link')} == {'base_link', *joints}
    assert joints['camera_optical_frame'].find('parent').get('link') == 'camera_link'
    angles = [
        float(each) for each in joints['camera_optical_frame'].find('origin').get('rpy').split()
    ]
    axes = Rotation.from_euler('xyz', angles).as_matrix()
    assert np.allclose(axes, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def displays(name):
    content = yaml.safe_load((CHECKOUT / 'config' / f'{name}.rviz').read_text())
    manager = content['Visualization Manager']
    return manager, {one['Class'].split('/')[1]: one for one in manager['Displays']}


@pytest.mark.parametrize('name', ['persontrack', 'persontrack_fixed'])
def test_rviz_shows_what_is_published(name):
    manager, shown = displays(name)
    assert manager['Tools'][-1]['Topic'] == '/target_point'
    image, markers = shown['Image'], shown['MarkerArray']
    assert image['Enabled']
    assert markers['Enabled']
    assert image['Topic']['Value'] == '/annotated_image'
    assert markers['Topic']['Value'] == '/markers'
    assert markers['Namespaces'] == dict.fromkeys((BOXES, IDS, TRAILS, VELOCITIES), True)


@pytest.mark.parametrize(('name', 'arguments'), [('TRACKER', TRACKER), ('CAMERAS', CAMERAS)])
def test_the_page_has_all_arguments(name, arguments):
    page = (CHECKOUT / 'docs' / 'launch.md').read_text()
    (block,) = re.findall(rf'<!-- arguments:{name} -->\n(.*?)<!-- /arguments -->', page, re.DOTALL)
    _, _, *rows = block.splitlines() or ['', '']
    expected = [
        f'| `{name}` | {"required" if one.default is None else one.default} '
        f'| {", ".join(filter(None, one.choices)) or "any"} | {one.description} |'
        for name, one in arguments.items()
    ]
    assert rows == expected, 'the page should say:\n' + '\n'.join(expected)
