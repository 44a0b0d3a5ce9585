"""Every command of the pages is run here, or named here with the reason why not."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.media.source import SourceOptions, VideoSource

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [
    CHECKOUT / 'README.md',
    CHECKOUT / 'CONTRIBUTING.md',
    *sorted(CHECKOUT.glob('docs/**/*.md')),
]
# Seconds; on a machine that is busy with other programs.
TIMEOUT = 1200
FRAMES = 12
SEQUENCES = (
    'ADL-Rundle-6',
    'ETH-Bahnhof',
    'ETH-Sunnyday',
    'KITTI-17',
    'PETS09-S2L1',
    'PETS09-S2L1-persons',
    'TUD-Campus',
)

# Commands that are not run here, by how they begin, with the tests that run them or the reason.
NOT_RUN = {
    'scripts/env pytest': 'this is one of its tests',
    'python -m pytest test': 'test/replay/test_stored_tracks.py',
    'scripts/env tools/soak.py': 'test/nodes/test_soak.py',
    'scripts/env tools/follow_simulation.py': 'test/nodes/test_follow.py',
    'python3 examples/follow_controller.py': 'test/nodes/test_follow.py',
    'sudo -E scripts/env tools/computers.py': 'test/nodes/test_computers.py',
    'persontrack run 0': 'needs a webcam and a window',
    'persontrack run "$(persontrack sample-video)"': 'test/cli/test_pip.py',
    'scripts/env persontrack models download': 'test/unit/models/test_download.py',
    'persontrack models download': 'test/unit/models/test_download.py',
    'persontrack models quantize': 'test/unit/models/test_quantize.py',
    'persontrack run video.mp4 --set detector.precision=INT8': 'test/unit/models/test_quantize.py',
    'yolo export': 'ultralytics, which is not ours',
    'persontrack run video.mp4 --set detector.model=./yolo11n': 'test/models/test_bad_models.py',
    'scripts/env tools/cameras.py': 'test/nodes/test_node_benchmark.py',
    'scripts/env tools/transport.py': 'test/nodes/test_node_benchmark.py',
    'persontrack benchmark': 'minutes; test/unit/test_benchmark.py runs a part',
    'scripts/env tools/': 'minutes to an hour each; below they are run on little',
    'pip install': 'test/cli/test_pip.py',
    'jupyter notebook': 'test/notebooks/test_notebook.py',
    'eval "$(register-python': 'test/cli/test_manners.py',
    'git clone': 'there is a checkout',
    'cd ~/ros2_ws/src': 'on a robot',
    'rosdep install': 'on a robot',
    'python3 -m venv': 'on a robot',
    'colcon build': 'on a robot; scripts/test calls it',
    'sudo apt install': 'on a robot',
    '. /opt/ros': 'on a robot',
    'ros2 launch': 'test/nodes/test_launch.py',
    'ros2 run': 'test/nodes/test_launch.py starts the nodes; wheels have no ros2',
    'ros2 param': 'wheels have no ros2',
    'ros2 topic': 'wheels have no ros2',
    'ros2 action': 'needs Nav2',
    'ros2 bag': 'wheels have no ros2; test/bags/test_reading.py has bags that it recorded',
    'ros2 security': 'wheels have no ros2',
    'docker': 'was never built or run',
    'rviz2': 'needs a screen; test/unit/test_launch_arguments.py reads its configuration',
    'share=$(ros2 pkg': 'wheels have no ros2',
    'export FASTRTPS': 'test/nodes/test_transports.py uses the file',
    'export FASTDDS': 'test/nodes/test_transports.py uses the file',
    'export CYCLONEDDS': 'test/nodes/test_transports.py uses the file',
    'export ROS_SECURITY': 'with ros2 security',
}
# Of these, the exit code 1 says that something differs.
DIFFERING = ('persontrack bag compare', 'persontrack models verify')


def commands(page: Path) -> list[str]:
    """Return the lines of all shell code of a page, continued ones joined, without comments."""
    code = re.findall(r'^```bash\n(.*?)^```', page.read_text(), re.DOTALL | re.MULTILINE)
    lines = re.sub(r' *\\\n +', ' ', ''.join(code)).splitlines()
    return [line for line in (re.sub(r'\s+#.*', '', line).rstrip() for line in lines) if line]


def not_run(line: str) -> list[str]:
    return [start for start in NOT_RUN if line.startswith(start)]


def test_what_is_named_here_is_on_a_page():
    lines = [line for page in PAGES for line in commands(page)]
    assert len(lines) > 90
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []
    tests = re.findall(r'test/\w+/test_\w+\.py', ' '.join(NOT_RUN.values()))
    assert [test for test in tests if not (CHECKOUT / test).exists()] == []


def make_sequences(persons: Path, folder: Path) -> None:
    """Write what happens first in vtest.avi as all the sequences that pages name."""
    rows = GroundTruth.load(persons).rows
    rows = rows[rows[:, 0] <= FRAMES]
    for name in SEQUENCES:
        for file in ('gt', 'det'):
            path = folder / name / file / f'{file}.txt'
            path.parent.mkdir(parents=True)
            np.savetxt(path, rows, delimiter=',', fmt='%g')


@pytest.fixture(scope='module')
def files(data, campus, models, persons, ffmpeg, persontrack, tmp_path_factory):
    """Return a directory with all that commands of the pages name."""
    folder = tmp_path_factory.mktemp('files')
    cut = f'-i {{0}} -frames:v {FRAMES} {{1}}'
    ffmpeg(cut, data('videos/vtest.avi'), folder / 'vtest.avi')
    ffmpeg(cut, campus, folder / 'TUD-Campus.mp4')
    (folder / 'video.mp4').symlink_to('TUD-Campus.mp4')
    make_sequences(persons, folder / 'mot')
    for name in ('scripts', 'examples'):
        (folder / name).symlink_to(CHECKOUT / name)
    (folder / 'strict.yaml').write_text(
        '/person_tracker:\n  ros__parameters:\n    detector.score_threshold: 0.8\n'
    )
    rows = GroundTruth.load(persons).rows
    first = rows[rows[:, 0] == rows[0, 0]]
    options = SourceOptions(max_frames=int(first[0, 0]))
    with VideoSource(str(data('videos/vtest.avi')), options) as video:
        *_, frame = video
    for name, (left, top, width, height) in zip('ab', first[:, 2:6].astype(int)):
        person = frame.image[top : top + height, left : left + width]
        cv2.imwrite(str(folder / f'person_{name}.png'), person)
    for arguments in (
        ('detect', folder / 'vtest.avi', folder / 'pets.npz'),
        ('detect', folder / 'TUD-Campus.mp4', folder / 'campus.npz'),
        ('track', folder / 'pets.npz', folder / 'tracks.txt'),
        ('bag', 'record', folder / 'video.mp4', '-o', folder / 'corridor'),
    ):
        done = persontrack(*arguments)
        assert done.returncode == 0, done.stderr
    (folder / 'detections.npz').symlink_to('campus.npz')
    assert persontrack('track', folder / 'campus.npz', folder / 'campus.txt').returncode == 0
    boxes = np.loadtxt(folder / 'campus.txt', delimiter=',')[:, :6]
    with (
        zipfile.ZipFile(folder / 'cvat.zip', 'w') as archive,
        archive.open('gt/gt.txt', 'w') as gt,
    ):
        # As CVAT writes it: not ignored, the first label, visible.
        np.savetxt(gt, np.insert(boxes, [6] * 3, 1, axis=1), delimiter=',', fmt='%g')
    zones = re.findall(
        r'```yaml\n(.*?)```', (CHECKOUT / 'docs' / 'zones.md').read_text(), re.DOTALL
    )
    (folder / 'zones.yaml').write_text(zones[0])
    return folder


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    return subprocess.run(
        ['bash', '-c', line],
        cwd=folder,
        env={**os.environ, 'PATH': path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


@pytest.mark.parametrize(
    'page',
    [page for page in PAGES if not all(map(not_run, commands(page)))],
    ids=lambda page: page.stem,
)
def test_the_commands_of_a_page(page, files, tmp_path):
    """One after the other, in a directory of their own."""
    lines = [line for line in commands(page) if not not_run(line)]
    made = {
        match
        for line in lines
        for match in re.findall(
            r'(?:-o|--\w*-?output|--report|(?: detect| track) \S+) (\S+)', line
        )
    }
    for file in files.iterdir():
        # What a command of the page makes is not there before.
        if file.name not in made:
            tmp_path.joinpath(file.name).symlink_to(
                os.readlink(file) if file.is_symlink() else file
            )
    script = [f'{line} || test $? = 1' if line.startswith(DIFFERING) else line for line in lines]
    done = run('\n'.join(['set -eux', *script]), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_how_near_the_inference(campus, models, tmp_path):
    bound = CHECKOUT / 'tools' / 'bound.py'
    done = run(shlex.join(map(str, [sys.executable, bound, campus, '--frames', '24'])), tmp_path)
    assert done.returncode == 0, done.stderr
    times = re.findall(r'^(wall|processor) +([\d.]+) ms, bound ([\d.]+) ms', done.stdout, re.M)
    assert [name for name, *_ in times] == ['wall', 'processor']
    assert all(float(each) > 0 for _, *both in times for each in both)


def test_a_study_of_the_tracker(persons, tmp_path):
    """On the first images; it replaces constants and functions of the tracker by their names."""
    make_sequences(persons, tmp_path / 'mot')
    study = CHECKOUT / 'tools' / 'study.py'
    command = [sys.executable, study, tmp_path / 'mot', '--rounds', '2']
    done = run(shlex.join(map(str, command)), tmp_path)
    assert done.returncode == 0, done.stderr
    assert '| exit rule |' in done.stdout
