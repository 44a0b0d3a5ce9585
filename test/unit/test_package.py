"""What the package asks rosdep, pip and docker for: all that it imports, and only what exists."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = ['humble', 'jazzy', 'kilted', 'lyrical']
# Where the name of a Python package in apt is not that in the Python package index.
KEYS = {'pillow': 'python3-pil', 'pyyaml': 'python3-yaml'}
# Where the name of a package of ROS is not that of the module in it.
PACKAGES = {'tf2_ros': 'tf2_ros_py'}
# Of a parameter that is off by default.
OPTIONAL = {'hri_msgs'}

Locate = Callable[[str], Path]


def dependencies(*kinds: str) -> set[str]:
    root = ElementTree.parse(CHECKOUT / 'package.xml').getroot()
    return {str(each.text) for kind in kinds for each in root.iter(f'{kind}_depend')}


def required() -> list[str]:
    """Return the Python packages that setup.py requires."""
    (call,) = (
        node
        for node in ast.walk(ast.parse((CHECKOUT / 'setup.py').read_text()))
        if isinstance(node, ast.keyword) and node.arg == 'install_requires'
    )
    return list(ast.literal_eval(call.value))


def from_pip() -> list[str]:
    """Return the Python packages that the README installs on a robot with pip."""
    robot = (CHECKOUT / 'README.md').read_text().partition('## On a robot')[2]
    found = re.search(r'^pip install (.*)$', robot, re.MULTILINE)
    assert found
    return shlex.split(found[1])


def imported() -> Iterator[str]:
    for path in [*CHECKOUT.glob('persontrack_ros/**/*.py'), *CHECKOUT.glob('launch/*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (each.name.partition('.')[0] for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).partition('.')[0]


@pytest.fixture
def released(data: Locate) -> dict[str, set[str]]:
    """Return the packages that each distribution has released."""
    return {name: set(data(f'ros/keys/{name}.txt').read_text().split()) for name in DISTRIBUTIONS}


def test_dependencies_are_what_is_imported_and_found(
    data: Locate, released: dict[str, set[str]]
) -> None:
    """Among the packages that a distribution has released, and the keys that apt serves."""
    keys = data('ros/keys/rosdep_ubuntu.txt').read_text().split()
    wanted = dependencies('exec', 'test') - set(keys)
    names = {PACKAGES.get(name, name) for name in imported()}
    known = dependencies('exec') | {'persontrack_ros'}
    for packages in released.values():
        assert wanted - packages == set()
        assert {'rclpy', 'launch_ros', 'sensor_msgs'} <= names & packages
        assert (names & packages) - known == OPTIONAL & packages


def test_pip_brings_what_rosdep_does_not(data: Locate) -> None:
    names = {each: Requirement(each).name for each in required()}
    keys = {each: KEYS.get(name, f'python3-{name}') for each, name in names.items()}
    by_rosdep = {each for each, key in keys.items() if key in dependencies('exec')}
    assert by_rosdep | set(from_pip()) == set(required())
    served = data('ros/keys/rosdep_ubuntu.txt').read_text().split()
    assert [each for each in from_pip() if keys[each] in served] == []
