"""Test scripts/env and what it has built."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = CHECKOUT / 'environment'
MESSAGES = [
    CHECKOUT / 'persontrack_ros' / 'bags' / 'vision_msgs',
    ENVIRONMENT / 'bond',
    ENVIRONMENT / 'hri_msgs',
]
DISTROS = ['jazzy', 'kilted']

inside = pytest.mark.skipif(
    'PERSONTRACK_ENVIRONMENT' not in os.environ,
    reason='outside, scripts/env might have to build an environment',
)


def run_env(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/env with some environment variables changed."""
    return subprocess.run(
        [str(CHECKOUT / 'scripts' / 'env'), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )


def requirements(name: str, **variables: str) -> list[Requirement]:
    """Read a file of requirements or constraints as pip does."""
    text = re.sub(
        r'\$\{(\w+)\}', lambda match: variables[match[1]], (ENVIRONMENT / name).read_text()
    )
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize('folder', MESSAGES, ids=lambda folder: folder.name)
def test_installed_messages_are_the_released_ones(folder: Path) -> None:
    """Nodes that use the released messages have to understand ours."""
    packages = pytest.importorskip('ament_index_python.packages')
    messages = pytest.importorskip(f'{folder.name}.msg')
    serialization = pytest.importorskip('rclpy.serialization')
    share = Path(packages.get_package_share_directory(folder.name))
    hashes = json.loads((folder / 'type_hashes.json').read_text())
    assert sorted(hashes) == sorted(file.stem for file in (folder / 'msg').glob('*.msg'))
    for name, expected in hashes.items():
        # That takes the libraries of every generator.
        kind = getattr(messages, name)
        data = serialization.serialize_message(kind())
        assert serialization.deserialize_message(data, kind) == kind()
        description = share / 'msg' / f'{name}.json'
        if description.exists():  # messages have no hashes before ROS 2 Iron
            (found, *_) = json.loads(description.read_text())['type_hashes']
            assert found['hash_string'] == expected


@pytest.mark.parametrize('distro', DISTROS)
def test_every_requirement_is_pinned_once_for_every_python(distro: str) -> None:
    """What is not pinned would be another version tomorrow."""
    pins = requirements(f'constraints-{distro}.txt')
    versions: dict[str, list[str]] = {}
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == '=='
        versions.setdefault(canonicalize_name(pin.name), []).append(specifier.version)
    for python in ('3.10', '3.11', '3.12', '3.13'):
        names = [
            canonicalize_name(pin.name)
            for pin in pins
            if pin.marker is None or pin.marker.evaluate({'python_version': python})
        ]
        assert sorted(names) == sorted(versions)
    wanted = [Requirement('opencv-python<5'), Requirement('opencv-python-headless<5')]
    for name in ('requirements.txt', 'requirements-ros.txt', 'requirements-baselines.txt'):
        wanted += requirements(name, ROS_DISTRO=distro)
    for requirement in wanted:
        found = versions[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in found)


def test_usage_and_wrong_distributions() -> None:
    """Usage is on stderr, with an error, where it was not requested."""
    wrong, help_ = run_env(), run_env('--help')
    assert (wrong.returncode, help_.returncode) == (2, 0)
    for text in (wrong.stderr, help_.stdout):
        assert text.startswith('Usage: scripts/env COMMAND')
    result = run_env('true', AMENT_PREFIX_PATH='', ROS_DISTRO='dashing')
    assert result.returncode == 125
    assert 'Jazzy and Kilted' in result.stderr
    assert 'Traceback' not in result.stderr


@inside
def test_arguments_and_exit_code_are_those_of_the_command() -> None:
    """With spaces, wildcards and empty ones; also where there is no such command."""
    assert run_env('sh', '-c', 'exit 7').returncode == 7
    assert run_env('no-such-command').returncode == 127
    arguments = ['two words', '*', '', '$HOME', '--help']
    result = run_env('printf', '%s\\n', *arguments)
    assert result.stdout.splitlines() == arguments


def test_every_executable_can_be_started() -> None:
    """The environment has a launcher for each entry of setup.py, and for nothing else."""
    entry = re.compile(r"'(\w+)(?: = |': ')(persontrack_ros[\w.]+:\w+)'")
    assert entry.findall((ENVIRONMENT / 'build.py').read_text()) == entry.findall(
        (CHECKOUT / 'setup.py').read_text()
    )
