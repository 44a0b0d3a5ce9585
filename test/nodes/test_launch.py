"""
The launch files, with real processes, wherever launch is installed.

There are no wheels of launch; a ROS 2 that is sourced has it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from sensor_msgs.msg import Image

pytest.importorskip('launch_ros', reason='launch is not installed: no launch file was tried')

CHECKOUT = Path(__file__).resolve().parents[2]

# What `ros2 launch` does.
LAUNCH = """\
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [tuple(each.split(':=', 1)) for each in sys.argv[2:]]
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""

EXECUTABLE = """\
#!/bin/sh
exec "{python}" -m persontrack_ros.ros "${{0##*/}}" "$@"
"""

# Says what it was started with, as it is not installed here.
RVIZ = """\
#!/bin/sh
echo "rviz2 was started with $*"
exec sleep 1000
"""


@pytest.fixture(scope='module')
def prefix(isolation, tmp_path_factory):
    """Install the package and an rviz2, as far as launch needs them."""
    prefix = tmp_path_factory.mktemp('prefix')
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True)
    names = ('tracker_node', 'cameras_node', 'video_publisher')
    scripts = {f'persontrack_ros/{name}': EXECUTABLE for name in names}
    for name, text in {**scripts, 'rviz2/rviz2': RVIZ}.items():
        script = prefix / 'lib' / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(text.format(python=sys.executable) if text is EXECUTABLE else text)
        script.chmod(0o755)
        (index / script.parent.name).touch()
    share = prefix / 'share/persontrack_ros'
    share.mkdir()
    for folder in ('launch', 'config'):
        (share / folder).symlink_to(CHECKOUT / folder)
    return prefix


@pytest.fixture
def launch(models, own_graph, prefix, monkeypatch, start_process):
    """Return a function that launches a file; everything is ended with the test."""
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix), prepend=':')
    launched = []

    def start(name, *arguments):
        file = prefix / 'share/persontrack_ros/launch' / f'{name}.launch.py'
        launched.append(start_process([sys.executable, '-c', LAUNCH, str(file), *arguments]))
        return launched[-1]

    yield start
    for process in launched:
        process.end()
        assert 'Traceback' not in process.output, process.output


@pytest.fixture
def params_file(tmp_path):
    path = tmp_path / 'params.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    autostart: false\n    reid: {model: none}\n'
        '    tracker: {n_init: 1}\n'
    )
    return f'params_file:={path}'


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
    process = launch('persontrack', 'namespace:=robot', 'image:=/lens/picture', params_file)
    peer = peer_of('/robot')
    assert peer.state() == 'unconfigured'
    assert peer.get('tracker.n_init') == 1
    assert peer.get('use_sim_time') is False
    assert peer.change_state('configure')
    assert peer.change_state('activate')
    peer.until(lambda: peer.node.count_subscribers('/lens/picture'), 'subscription')
    assert peer.node.count_publishers('/robot/tracks') == 1
    assert peer.node.count_publishers('/robot/markers') == 0
    end(process)


def test_all_arguments_of_the_tracker(launch, peer_of, params_file):
    process = launch(
        'persontrack',
        'namespace:=robot',
        params_file,
        'image:=/lens/picture',
        'image_transport:=compressed',
        'depth:=/lens/depth',
        'autostart:=True',
        'use_sim_time:=true',
        'log_level:=debug',
        'rviz:=true',
    )
    peer = peer_of('/robot')
    for topic in ('/lens/picture/compressed', '/lens/depth', '/lens/camera_info'):
        peer.until(lambda topic=topic: peer.node.count_subscribers(topic), topic)
    for topic in ('tracks', 'tracks_3d', 'markers', 'annotated_image'):
        peer.until(lambda topic=topic: peer.node.count_publishers(topic), topic)
    assert peer.get('use_sim_time') is True
    process.wait_for(r'tracker_node-\d+\] \[DEBUG\]')
    process.wait_for(r'rviz2 was started with -d \S+/config/persontrack\.rviz --ros-args')
    (started,) = re.findall('rviz2 was started with .*', process.output)
    for part in ('__ns:=/robot', '/annotated_image:=annotated_image', '/markers:=markers'):
        assert part in started


def test_a_video(launch, peer_of, params_file, data):
    process = launch(
        'video',
        'namespace:=robot',
        f'source:={data("videos/vtest.avi")}',
        'wait_for_tracker:=true',
        'autostart:=true',
        params_file,
    )
    peer = peer_of('/robot')
    peer.until(lambda: sum(bool(each.detections) for each in peer.tracks) > 3, 'tracks')
    end(process)


def test_several_cameras(launch, peer_of, params_file, pictures, to_message):
    process = launch(
        'cameras',
        'cameras:=front rear',
        'namespace:=robot',
        'image:=color/picture',
        'autostart:=true',
        params_file,
    )
    for camera in ('front', 'rear'):
        peer = peer_of(f'/robot/{camera}')
        topic = f'/robot/{camera}/color/picture'
        peer.images = peer.node.create_publisher(Image, topic, 1)
        peer.until_tracker_listens()
        for picture in pictures[:6]:
            tracks = peer.track(to_message(picture))
        assert tracks.detections
        assert peer.get('tracker.n_init') == 1
    end(process)


@pytest.mark.parametrize('has_own', [False, True])
def test_large_images_get_through_unless_the_user_has_a_profile(
    launch, peer, params_file, monkeypatch, tmp_path, has_own
):
    ours = CHECKOUT / 'config/fastdds_large_images.xml'
    own = tmp_path / 'profile.xml'
    own.write_bytes(ours.read_bytes())
    profiles = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    variables = (*profiles, 'CYCLONEDDS_URI')
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    cyclone = f'file://{CHECKOUT}/config/cyclonedds_large_images.xml'
    if has_own:
        monkeypatch.setenv(profiles[0], str(own))
        cyclone = '<CycloneDDS/>'
        monkeypatch.setenv('CYCLONEDDS_URI', cyclone)
    process = launch('persontrack', params_file)
    environment = Path(f'/proc/{pid_of(process, "tracker_node")}/environ').read_text().split('\0')
    found = dict(each.split('=', 1) for each in environment if each.startswith(variables))
    expected = {profiles[0]: own} if has_own else dict.fromkeys(profiles, ours)
    expected['CYCLONEDDS_URI'] = cyclone
    assert found == {name: str(path) for name, path in expected.items()}
    assert peer.state() == 'unconfigured'
    end(process)


@pytest.mark.parametrize('argument', ['image_transport:=theora', 'autostart:=perhaps'])
def test_wrong_arguments(launch, argument):
    process = launch('persontrack', argument)
    assert process.wait() != 0
    assert argument.partition(':=')[0] in process.output
    assert 'not in provided list of choices' in process.output or 'valid' in process.output
