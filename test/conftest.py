"""Fixtures of all tests: where the data and the models are, and what several tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import pytest

from persontrack_ros.core.evaluation.mot import read_mot

pytest_plugins = ['persontrack_ros.testing']

# On a machine that is busy with other things; whoever waits this long has failed.
TIMEOUT = 1200

Locate = Callable[[str], Path]


def _directories(variable: str, wanted: str) -> list[Path]:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f'{wanted} needed: set {variable}')
    return [Path(entry) for entry in value.split(os.pathsep) if entry]


def _locate(variable: str, wanted: str) -> Locate:
    def locate(name: str) -> Path:
        paths = [directory / name for directory in _directories(variable, wanted)]
        for path in paths:
            if path.exists():
                return path
        # Set but wrong is no reason to skip: a whole suite would pass without having run.
        return pytest.fail(f'{variable} is set, but there is no {" or ".join(map(str, paths))}')

    return locate


@pytest.fixture(scope='session')
def data() -> Locate:
    """Return the path of a file of the test data; skip where PERSONTRACK_TEST_DATA is not set."""
    return _locate('PERSONTRACK_TEST_DATA', 'test data')


@pytest.fixture(scope='session')
def models() -> Path:
    """Return the directory of the models; skip where PERSONTRACK_MODEL_PATH is not set."""
    return _locate('PERSONTRACK_MODEL_PATH', 'models')('intel').parent


def run_command(
    *arguments: object, module: str = 'persontrack_ros.cli', **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line, or another module, as a user does."""
    return subprocess.run(
        [sys.executable, '-m', module, *map(str, arguments)],
        capture_output=True,
        encoding='utf-8',
        timeout=TIMEOUT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope='session')
def persontrack() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs ``persontrack`` with arguments."""
    return run_command


@pytest.fixture(scope='session')
def vtest_tracks(data: Locate, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Track all of vtest.avi with the defaults, once for the tests that need the result."""
    path = tmp_path_factory.mktemp('vtest') / 'tracks.txt'
    done = run_command('run', data('videos/vtest.avi'), '--mot-output', path)
    assert done.returncode == 0, done.stderr
    assert '795 frames' in done.stdout
    return path


@pytest.fixture(scope='session')
def ffmpeg() -> Callable[..., None]:
    """
    Return a function that runs ffmpeg, a program that is not ours, to make a video.

    It takes the command line, in which ``{0}`` is the first of the paths behind it, and so on.
    """
    program = pytest.importorskip('imageio_ffmpeg').get_ffmpeg_exe()

    def run(command: str, *paths: Path) -> None:
        words = [
            word if '{' not in word else str(paths[int(word[1:-1])]) for word in command.split()
        ]
        subprocess.run(
            [program, '-y', '-v', 'error', *words], check=True, stdin=subprocess.DEVNULL
        )

    return run


def rows_until(path: Path, last_frame: int) -> Sequence[Sequence[float]]:
    """Read the lines of a MOTChallenge file up to a frame."""
    return [row for row in read_mot(path).tolist() if row[0] <= last_frame]
