"""The package from pip, in an environment without ROS."""

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
        (name,) = (each for each in archive.namelist() if each.endswith('/METADATA'))
        metadata = archive.read(name).decode()
    version = ElementTree.parse(CHECKOUT / 'package.xml').getroot().findtext('version')
    assert wheel.name.startswith(f'persontrack_ros-{version}-')
    assert 'Classifier: Operating System :: POSIX :: Linux' in metadata
    assert (CHECKOUT / 'README.md').read_text() in metadata


def laptop():
    """Return the commands of the first screen and of "On a laptop", and the program there."""
    first, _, rest = (CHECKOUT / 'README.md').read_text().partition('## On a laptop')
    text = first + rest.partition('## On a robot')[0]
    commands = re.findall(r'^```bash\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    (program,) = re.findall(r'^```python\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    return ''.join(commands).splitlines(), program


def test_the_laptop_section_of_the_readme(source, campus, data, models, tmp_path):
    """Each line of it, in one shell, except for the checkout, which is there, and a webcam."""
    lines, program = laptop()
    kept = [each for each in lines if not re.match('git clone|persontrack run 0', each)]
    assert len(lines) - len(kept) == 2
    shutil.copy(campus, source / 'video.mp4')
    cache = tmp_path / 'persontrack_ros' / 'videos'
    cache.mkdir(parents=True)
    shutil.copy(data('videos/vtest.avi'), cache)
    (source / 'program.py').write_text(program)
    script = '\n'.join(['set -eu', *kept, 'python program.py', 'pip uninstall -qy opencv-python'])
    done = run(
        'bash',
        '-c',
        script,
        folder=source,
        PATH=f'{Path(sys.executable).resolve().parent}{os.pathsep}{os.environ["PATH"]}',
        PERSONTRACK_MODEL_PATH=str(models),
        PIP_CACHE_DIR=str(Path('~/.cache/pip').expanduser()),
        PIP_CONSTRAINT=str(CONSTRAINTS),
        XDG_CACHE_HOME=str(tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'^795 frames, [1-9]', done.stdout, re.MULTILINE)
    assert re.search(r'^\d\.\d\d s: person 1 at ', done.stdout, re.MULTILINE)
    for name in ('annotated.mp4', 'tracks.txt', 'page.html'):
        assert (source / name).stat().st_size > 1000
    done = run(source / '.venv' / 'bin' / 'persontrack', '--help')
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert 'module cv2 is missing' in done.stderr
    assert '-m pip install opencv-python"' in done.stderr


def test_other_systems_are_refused():
    code = "import sys; sys.platform = 'win32'; import persontrack_ros"
    done = run(sys.executable, '-c', code, folder=CHECKOUT)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('ImportError: persontrack_ros runs on Linux')
