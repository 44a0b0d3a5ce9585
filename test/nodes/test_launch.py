"""
The launch files, with real processes, wherever launch is installed.

There are no wheels of launch; a ROS 2 that is sourced has it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from node_runs import Process
from sensor_msgs.msg import Image
from stand_ins import INCLUDING, LAUNCH

pytestmark = pytest.mark.slow

# Not importorskip: a launch that is there and cannot be imported is no reason to skip.
if find_spec('launch_ros') is None:
    pytest.skip('launch is not installed: no launch file was tried', allow_module_level=True)

CHECKOUT = Path(__file__).resolve().parents[2]

EXECUTABLE = '#!/bin/sh\nexec "{python}" -m persontrack_ros.ros "${{0##*/}}" "$@"\n'

# The commands for ROS under each question of a page, continued lines joined.
QUESTIONS = [
    commands
    for part in (CHECKOUT / 'docs/how_do_i.md').read_text().split('\n## ')
    if (commands := re.findall('^ros2 (.*)', re.sub(r' *\\\n +', ' ', part), re.MULTILINE))
]

# Says what it was started with, for what is not installed here.
STAND_IN = '#!/bin/sh\necho "${0##*/} was started with $*"\nexec sleep 1000\n'


def install(prefix, name, text):
    script = prefix / 'lib' / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(text)
    script.chmod(0o755)
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True, exist_ok=True)
    (index / script.parent.name).touch()


@pytest.fixture(scope='module')
def prefix(isolation, tmp_path_factory):
    """Install the package, as far as launch needs it."""
    prefix = tmp_path_factory.mktemp('prefix')
    for name in ('tracker_node', 'cameras_node', 'video_publisher'):
        install(prefix, f'persontrack_ros/{name}', EXECUTABLE.format(python=sys.executable))
    share = prefix / 'share/persontrack_ros'
    share.mkdir()
    for folder in ('launch', 'config'):
        (share / folder).symlink_to(CHECKOUT / folder)
    return prefix


@pytest.fixture
def launch(own_graph, prefix, monkeypatch):
    """Return a function that launches a file; everything is ended with the test."""
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix), prepend=':')
    launched = []

    def start(name, *arguments):
        file = prefix / 'share/persontrack_ros/launch' / f'{name}.launch.py'
        file = file if file.exists() else name
        launched.append(Process([sys.executable, '-c', LAUNCH, str(file), *arguments]))
        return launched[-1]

    yield start
    for process in launched:
        process.end()
        # Shown where the test failed.
        print(process.output)
        assert 'Traceback' not in process.output


@pytest.fixture
def params_file(tmp_path):
    path = tmp_path / 'params.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    autostart: false\n    reid: {model: none}\n'
        '    tracker: {n_init: 1}\n'
    )
    return f'params_file:={path}'


@pytest.fixture
def rviz(tmp_path, monkeypatch, launch):
    """Install an rviz2."""
    install(tmp_path / 'rviz', 'rviz2/rviz2', STAND_IN)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'rviz'), prepend=':')


def pid_of(process, name):
    process.wait_for(rf'{name}-\d+\]: process started with pid')
    return int(re.search(rf'{name}-\d+\]: process started with pid \[(\d+)\]', process.output)[1])


def end(process):
    """Interrupt as Ctrl-C does; every process has to end well."""
    process.interrupt()
    process.wait()
    for name in re.findall(r'\[([\w-]+)\]: process started', process.output):
        assert f'[{name}]: process has finished cleanly' in process.output, process.output


def test_the_parameter_file_decides_what_no_argument_does(launch, peer_of, params_file):
    # The last two are launch's own.
    own = ('sigterm_timeout:=60', 'emulate_tty:=true')
    process = launch('persontrack', 'namespace:=robot', 'image:=/lens/picture', params_file, *own)
    peer = peer_of('/robot')
    assert peer.state() == 'unconfigured'
    assert peer.get('tracker.n_init') == 1
    assert peer.get('use_sim_time') is False
    assert peer.change_state('configure', 'activate')
    peer.until_there('/lens/picture')
    assert peer.node.count_publishers('/robot/tracks') == 1
    assert peer.node.count_publishers('/robot/markers') == 0
    end(process)


def test_all_arguments_of_the_tracker(models, launch, rviz, peer_of, params_file):
    topics = ('image:=/lens/picture', 'image_transport:=compressed', 'depth:=/lens/depth')
    others = ('autostart:=True', 'use_sim_time:=true', 'rviz:=true', 'fixed_frame:=base_link')
    process = launch('persontrack', 'namespace:=robot', params_file, *topics, *others)
    peer = peer_of('/robot')
    inputs = '/lens/picture/compressed /lens/depth /lens/camera_info'
    peer.until_there(inputs, published='tracks tracks_3d markers annotated_image')
    assert peer.get('use_sim_time') is True
    process.wait_for(
        r'rviz2 was started with -d \S+/config/persontrack\.rviz -t {NAMESPACE} - persontrack -f '
        'base_link.*--ros-args.*__ns:=/robot'
    )
    assert '/markers:=markers' in process.output


def test_a_video(models, launch, peer_of, params_file, data):
    source = (f'source:={data("videos/vtest.avi")}', 'max_frames:=70', 'width:=384', 'frame_id:=0')
    others = ('namespace:=robot', 'wait_for_tracker:=true', 'log_level:=debug')
    process = launch('video', *source, *others, params_file)
    peer = peer_of('/robot')
    assert peer.change_state('configure')
    peer.until_there(published='/robot/tracks')
    peer.until_known_by()
    assert peer.change_state('activate')
    peer.until(lambda: len(peer.tracks) == 70, 'tracks')
    process.wait_for('70 images published')
    assert {each.header.frame_id for each in peer.tracks} == {'0'}
    centres = [one.bbox.center.position.x for each in peer.tracks for one in each.detections]
    assert max(centres) < 384
    # The nodes say what they do, and the libraries below them do not.
    process.wait_for(r'\[DEBUG\] .*\[robot.person_tracker\]: frame .* detections', count=70)
    process.wait_for(r'\[DEBUG\] .*\[robot.video_publisher\]: image', count=70)
    loggers = set(re.findall(r'\[DEBUG\] \[[\d.]+\] \[(\S+)\]:', process.output))
    assert loggers == {'robot.person_tracker', 'robot.video_publisher'}
    end(process)


def test_several_cameras(models, launch, rviz, peer_of, params_file, pictures, to_message):
    """Each has its own window, where these are wanted."""
    cameras = ('cameras:=front rear', 'namespace:=robot', 'image:=color/picture')
    process = launch('cameras', *cameras, 'autostart:=true', 'rviz:=true', params_file)
    for camera in ('front', 'rear'):
        process.wait_for(rf'rviz2 was started with .*-t {{NAMESPACE}} .*__ns:=/robot/{camera}')
        peer = peer_of(f'/robot/{camera}')
        topic = f'/robot/{camera}/color/picture'
        peer.images = peer.node.create_publisher(Image, topic, 1)
        peer.until_tracker_listens()
        for picture in pictures[:6]:
            tracks = peer.track(to_message(picture))
        assert tracks.detections
        assert peer.get('tracker.n_init') == 1


# A launch file of a driver, which logs what it gets: params_file is not the one of the tracker.
DRIVER = """\
from launch import LaunchDescription
from launch.actions import LogInfo
from launch.substitutions import LaunchConfiguration as Value


def generate_launch_description():
    names = ('params_file', 'align_depth.enable', 'parent_frame')
    return LaunchDescription([LogInfo(msg=[Value(name, default='/') for name in names])])
"""


@pytest.fixture
def drivers(launch, tmp_path, monkeypatch):
    """Install what stands for drivers and robot_state_publisher."""
    for name in ('robot_state_publisher', 'usb_cam_node_exe'):
        install(tmp_path, f'{name.removesuffix("_node_exe")}/{name}', STAND_IN)
    for file in (
        'realsense2_camera/launch/rs_launch.py',
        'depthai_ros_driver/launch/camera.launch.py',
    ):
        path = tmp_path / 'share' / file
        path.parent.mkdir(parents=True)
        path.write_text(DRIVER)
        install(tmp_path, f'{path.parts[-3]}/node', STAND_IN)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path), prepend=':')


@pytest.mark.parametrize(
    ('driver', 'log', 'camera', 'topics'),
    [
        (
            'realsense',
            '/true/',
            '/camera/camera',
            'color/image_raw color/camera_info aligned_depth_to_color/image_raw',
        ),
        ('oak', '//camera_link', '/oak', 'rgb/image_raw rgb/camera_info stereo/image_raw'),
        ('usb', 'usb_cam_node_exe was .*__ns:=/camera', '/camera', 'image_raw'),
    ],
)
def test_the_robot_of_the_examples(
    models, launch, drivers, peer, params_file, driver, log, camera, topics
):
    file = CHECKOUT / 'examples/robot.launch.py'
    process = launch(str(file), f'driver:={driver}', params_file, 'autostart:=true')
    peer.until_there(' '.join(f'{camera}/{topic}' for topic in topics.split()))
    assert peer.get('depth') is (driver != 'usb')
    assert peer.get('tracker.n_init') == 1
    process.wait_for('robot_state_publisher was .*--params-file')
    process.wait_for(log)


@pytest.mark.skipif(find_spec('tf2_ros') is None, reason='this ROS 2 has no tf2_ros')
@pytest.mark.parametrize('commands', QUESTIONS)
def test_the_answers_of_a_page(models, launch, drivers, peer, tmp_path, monkeypatch, commands):
    """One node for each question; values are set, and topics published, as the page has it."""
    monkeypatch.chdir(tmp_path)
    zones = (CHECKOUT / 'docs/zones.md').read_text().split('```yaml')[1].split('```')[0]
    Path('zones.yaml').write_text(zones)
    starts = [each for each in commands if each.startswith('launch ')]
    _, file, *arguments = (
        (starts or ['launch persontrack.launch.py'])[0].replace('persontrack_ros ', '').split()
    )
    path = CHECKOUT / file
    path = path if path.exists() else CHECKOUT / 'launch' / file
    launch(str(path), *arguments).wait_for('tracking the persons in /')
    for command in set(commands) - set(starts):
        kind, what, *words = command.split()
        if kind == 'param':
            _, name, value = words
            assert peer.set(**{name: yaml.safe_load(value)}).successful
        else:
            assert (kind, what) == ('topic', 'echo')
            peer.until_there(published=words[0])


@pytest.mark.skipif(find_spec('tf2_ros') is None, reason='this ROS 2 has no tf2_ros')
def test_a_camera_to_follow_persons_with(models, launch, peer_of, params_file):
    names = ('namespace:=robot', 'camera:=lens', 'image:=color', 'depth:=/sonar/depth')
    others = ('target_frame:=odom', 'follow:=nearest', 'autostart:=true')
    process = launch('persontrack', *names, *others, params_file)
    peer = peer_of('/robot')
    # As Nav2 has it in the same namespace (GoalUpdater of nav2_behavior_tree).
    inputs = '/robot/lens/color /robot/lens/camera_info /sonar/depth'
    peer.until_there(inputs, published='/robot/goal_update')
    assert peer.get('target') == 'nearest'
    assert peer.get('tracker.camera_motion') == 'tf'
    end(process)


def test_a_node_that_is_killed_is_started_again(models, launch, params_file):
    more = ('respawn:=true', 'autostart:=true', 'zones_file:=of_nobody.yaml')
    process = launch('persontrack', params_file, *more)
    process.wait_for('not started')
    os.kill(pid_of(process, 'tracker_node'), signal.SIGKILL)
    process.wait_for('not started', count=2)
    assert 'of_nobody.yaml' in process.output
    end(process)


@pytest.mark.parametrize('has_file', [False, True])
def test_what_an_including_file_sets(launch, peer_of, prefix, tmp_path, params_file, has_file):
    """Its parameters hold where no file says otherwise; its own arguments do no harm."""
    path = Path(params_file.partition(':=')[2])
    path.write_text(path.read_text().replace('n_init: 1', 'n_init: 2'))
    arguments = {'autostart': 'false', **({'params_file': str(path)} if has_file else {})}
    file = prefix / 'share/persontrack_ros/launch/persontrack.launch.py'
    (tmp_path / 'robot.launch.py').write_text(INCLUDING.format(file=file, arguments=arguments))
    process = launch(str(tmp_path / 'robot.launch.py'), 'robot:=r3')
    peer = peer_of('/fleet/robot')
    assert peer.get('tracker.n_init') == (2 if has_file else 3)
    assert peer.get('tracker.max_age') == 70
    end(process)


@pytest.mark.parametrize('has_own', [False, True])
def test_large_images_get_through_unless_the_user_has_a_profile(
    launch, peer, params_file, monkeypatch, tmp_path, has_own
):
    profiles = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    fast = CHECKOUT / 'config/fastdds_large_images.xml'
    expected = dict.fromkeys(profiles, str(fast))
    expected['CYCLONEDDS_URI'] = f'file://{CHECKOUT}/config/cyclonedds_large_images.xml'
    variables = tuple(expected)
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    if has_own:
        shutil.copy(fast, tmp_path)
        expected = {profiles[0]: str(tmp_path / fast.name), 'CYCLONEDDS_URI': '<CycloneDDS/>'}
        for variable in expected.items():
            monkeypatch.setenv(*variable)
    process = launch('persontrack', params_file)
    # Until then the process may just be becoming another program, and then has no environment.
    assert peer.state() == 'unconfigured'
    environment = Path(f'/proc/{pid_of(process, "tracker_node")}/environ').read_text().split('\0')
    found = dict(each.split('=', 1) for each in environment if each.startswith(variables))
    assert found == expected
    end(process)


@pytest.mark.parametrize(
    ('name', 'argument', 'reason'),
    [
        ('persontrack', 'image_transport:=theora', 'image_transport.*theora.*valid'),
        ('persontrack', 'params_file:=nowhere.yaml', "there is no file 'nowhere.yaml'"),
        ('persontrack', 'source:=0', 'source: persontrack.launch.py has no such argument'),
        ('video', 'sorce:=0', 'sorce: video.launch.py has no such argument; it has source, '),
        ('video', 'rate:=fast', "rate: 'fast' is not a number"),
        ('video', 'width:=-1', 'width: -1 is not in the range 0 to 16384'),
        ('cameras', 'camra:=front', 'camra: .*it has cameras, '),
        ('cameras', 'cameras:=front a/b', "cameras: 'a/b' is no valid namespace"),
        ('cameras', 'cameras:= ', 'cameras is empty'),
        ('video', 'rviz:=true', "'rviz2' not found"),
    ],
)
def test_wrong_arguments(launch, prefix, monkeypatch, name, argument, reason):
    """Nothing is started, and one reads why; no rviz2 is found, whether there is one or not."""
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix))
    process = launch(name, argument, *['cameras:=rear'] * argument.startswith('camra'))
    assert process.wait() != 0
    assert re.search(reason, process.output), process.output
    assert 'process started' not in process.output


@pytest.mark.parametrize('victim', ['tracker_node', 'video_publisher'])
def test_all_end_with_a_node_that_is_killed(launch, peer, params_file, data, victim):
    process = launch('video', f'source:={data("videos/vtest.avi")}', 'loop:=true', params_file)
    pids = {name: pid_of(process, name) for name in ('tracker_node', 'video_publisher')}
    # Python itself says much when it is interrupted while it starts.
    assert peer.state() == 'unconfigured'
    peer.until(lambda: peer.node.count_publishers('/image_raw') > 1, 'publisher')
    os.kill(pids[victim], signal.SIGKILL)
    assert process.wait() == 1
    assert re.search(rf'{victim}-\d+ ended with exit code -9', process.output)
    assert not any(Path(f'/proc/{pid}').exists() for pid in pids.values())


def test_the_instructions_for_a_robot(models, own_graph, tmp_path, peer):
    """
    The commands of the README, in a workspace of their own.

    Left out is what needs a network or a package manager: test_package.py checks what these are
    asked for. What ros2 launch does is done by LAUNCH.
    """
    (block,) = re.findall(
        r'## On a robot\n\n```bash\n(.*?)```', (CHECKOUT / 'README.md').read_text(), re.DOTALL
    )
    for command, instead in {
        'git clone <this repository>': f'mkdir a_clone && cp -r "{CHECKOUT}"/* a_clone',
        'rosdep install --from-paths src --ignore-src\n': '',
        'python3 -m venv --system-site-packages .venv && . .venv/bin/activate\n': '',
        re.search('pip install .*\n', block)[0]: '',
        'persontrack models download': 'persontrack models list',
        'ros2 launch persontrack_ros persontrack.launch.py': 'exec python ros2_launch.py install/'
        'persontrack_ros/share/persontrack_ros/launch/persontrack.launch.py',
    }.items():
        assert command in block
        block = block.replace(command, instead)
    (tmp_path / 'ros2_ws/src').mkdir(parents=True)
    (tmp_path / 'ros2_ws/ros2_launch.py').write_text(LAUNCH)
    # Not the checkout, but what is installed.
    path = [each for each in os.environ['PYTHONPATH'].split(':') if Path(each) != CHECKOUT]
    variables = [f'HOME={tmp_path}', f'PYTHONPATH={":".join(path)}']
    process = Process(['env', *variables, 'bash', '-exc', block])
    try:
        process.wait_for('person-detection-0202 +.default')
        process.wait_for('tracking the persons in /camera/image_raw')
        command = Path(f'/proc/{pid_of(process, "tracker_node")}/cmdline').read_text().split('\0')
        installed = tmp_path / 'ros2_ws/install/persontrack_ros/lib/persontrack_ros'
        assert command[1] == str(installed / 'tracker_node')
        assert peer.state() == 'active'
        end(process)
    finally:
        process.end()
