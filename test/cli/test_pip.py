"""The package from pip, in an environment without ROS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]
CONSTRAINTS = CHECKOUT / 'environment' / 'constraints-jazzy.txt'


def run(*command, folder=None, **variables):
    """Run a command that knows nothing of this environment."""
    kept = {name: os.environ[name] for name in ('HOME', 'PATH') if name in os.environ}
    return subprocess.run(
        [str(each) for each in command],
        cwd=folder,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Return a copy of the checkout, without what is not committed."""
    copy = tmp_path_factory.mktemp('source')
    listed = run('git', 'ls-files', '-z', folder=CHECKOUT)
    assert listed.returncode == 0, listed.stderr
    for name in filter(None, listed.stdout.split('\0')):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / name).exists():
            shutil.copy(CHECKOUT / name, target)
    return copy


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory):
    """Return the wheel that is made of the source distribution."""
    folder = tmp_path_factory.mktemp('dist')
    build = f'from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})'
    done = run(sys.executable, '-c', build, folder=source)
    assert done.returncode == 0, done.stderr
    (sdist,) = folder.glob('*.tar.gz')
    options = ('--no-deps', '--no-build-isolation', '-w', folder)
    done = run(sys.executable, '-m', 'pip', 'wheel', *options, sdist)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob('*.whl')
    return wheel


def test_all_that_is_in_the_package_is_in_the_wheel(source, wheel):
    files = {
        str(path.relative_to(source))
        for path in (source / 'persontrack_ros').rglob('*')
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        assert files - set(archive.namelist()) == set()
    version = ElementTree.parse(CHECKOUT / 'package.xml').getroot().findtext('version')
    assert wheel.name.startswith(f'persontrack_ros-{version}-')


def test_without_ros(campus, models, wheel, tmp_path):
    venv = tmp_path / 'venv'
    assert run(sys.executable, '-m', 'venv', venv).returncode == 0
    python, persontrack = venv / 'bin' / 'python', venv / 'bin' / 'persontrack'
    install = (python, '-m', 'pip', 'install', '-q', '-c', CONSTRAINTS)
    done = run(*install, wheel)
    assert done.returncode == 0, done.stderr
    done = run(persontrack, '--help')
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert 'module cv2 is missing' in done.stderr
    assert '-m pip install opencv-python"' in done.stderr

    done = run(*install, f'{wheel}[opencv]')
    assert done.returncode == 0, done.stderr
    assert 'usage: persontrack' in run(persontrack, '--help').stdout
    variables = {'PERSONTRACK_MODEL_PATH': str(models), 'XDG_CACHE_HOME': str(tmp_path)}
    page = tmp_path / 'page.html'
    done = run(
        persontrack,
        'run',
        campus,
        '--max-frames',
        20,
        '--report',
        page,
        folder=tmp_path,
        **variables,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r'20 frames, [1-9]', done.stdout)
    assert page.exists()
    code = (
        'from persontrack_ros import PersonTracker\n'
        f'print(len(next(PersonTracker().watch({str(campus)!r})).image))'
    )
    done = run(python, '-c', code, folder=tmp_path, **variables)
    assert (done.returncode, done.stdout) == (0, '480\n'), done.stderr
