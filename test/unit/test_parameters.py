"""Parameters are the same in the declarations, the YAML file, the docs and the launch files."""

import re
from pathlib import Path

import pytest
import yaml

from persontrack_ros.core.config.node_options import NODE_PARAMETERS, PUBLISHER_PARAMETERS
from persontrack_ros.core.config.parameter_file import read_settings
from persontrack_ros.core.config.settings import PARAMETERS, Settings
from persontrack_ros.ros.nodes.cameras_node import PARAMETERS as CAMERAS_PARAMETERS

CHECKOUT = Path(__file__).resolve().parents[2]
DECLARED = {
    'tracker_node': (*NODE_PARAMETERS, *PARAMETERS),
    'video_publisher': PUBLISHER_PARAMETERS,
    'cameras_node': CAMERAS_PARAMETERS,
}


def flatten(tree, prefix=''):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flatten(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def test_yaml_has_all_parameters_with_their_defaults():
    path = CHECKOUT / 'config' / 'persontrack.yaml'
    (node,) = yaml.safe_load(path.read_text()).values()
    written = dict(flatten(node['ros__parameters']))
    assert written == {one.name: one.default for one in DECLARED['tracker_node']}
    # ROS takes 1 for an integer where a float is declared, and refuses it.
    types = {name: type(value) for name, value in written.items()}
    assert types == {one.name: one.type for one in DECLARED['tracker_node']}
    assert read_settings(path, pytest.fail) == Settings()


def literal(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown(default):
    return f'`{literal(default)}`' if default != '' else ''


def table(node):
    """Return the rows that belong into the page of the node."""
    fixed = 'in configure' if node == 'tracker_node' else 'at the start'
    return [
        f'| `{one.name}` | {one.type.__name__} | {shown(one.default)} | '
        f'{one.allowed or "any"} | {"at run time" if one.runtime else fixed} | {one.description} |'
        for one in DECLARED[node]
    ]


@pytest.mark.parametrize('node', DECLARED)
def test_pages_have_all_parameters(node):
    text = (CHECKOUT / 'docs' / 'nodes' / f'{node}.md').read_text()
    (block,) = re.findall(rf'<!-- parameters:{node} -->\n(.*?)<!-- /parameters -->', text, re.S)
    _, _, *rows = block.splitlines()
    expected = table(node)
    assert rows == expected, 'the page should say:\n' + '\n'.join(expected)
