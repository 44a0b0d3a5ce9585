"""The node subscribes as its publishers allow, and reports frames that are lost all the same."""

from __future__ import annotations

import os

import numpy as np
import pytest
from node_runs import found
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from test_space import camera_info, depth_image
from vision_msgs.msg import Detection2DArray, Detection3DArray

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
SENSOR = QoSProfile(depth=1, reliability=BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OVERRIDE = 'qos_overrides./detections.subscription.reliability'


@pytest.fixture
def run(start, peer):
    """Return a function that starts a tracker of detections, which does not warn of silence."""

    def run(*arguments):
        parameters = {'input': 'detections', 'diagnostics__silence_warn': 0.0}
        process = start('tracker_node', *arguments, **parameters)
        return process.wait_for('tracking the persons')

    return run


def reliabilities(peer, topic='/detections'):
    """Return what the tracker's subscriptions request."""
    return [
        each.qos_profile.reliability
        for each in peer.node.get_subscriptions_info_by_topic(topic)
        if each.node_name == 'person_tracker'
    ]


def test_reliability_follows_the_publishers(run, peer):
    """Reliable from the start, so that nothing is lost of a driver that comes later."""
    process = run()
    peer.until(lambda: reliabilities(peer) == [RELIABLE], 'reliable subscription')
    reliable = peer.publisher(Detection2DArray, 'detections')
    assert reliabilities(peer) == [RELIABLE]
    sensor = peer.node.create_publisher(Detection2DArray, 'detections', SENSOR)
    peer.until(lambda: reliabilities(peer) == [BEST_EFFORT], 'subscription of best effort')
    header = Header()

    def is_tracked(publisher):
        header.stamp.sec += 1
        peer.ask(lambda: publisher.publish(found(header)), header)

    for publisher in (sensor, reliable):
        is_tracked(publisher)
    peer.node.destroy_publisher(sensor)
    # It changes back only where no image can be lost by that.
    for _ in range(3):
        is_tracked(reliable)
        assert reliabilities(peer) == [BEST_EFFORT]
    peer.node.destroy_publisher(reliable)
    peer.until(lambda: reliabilities(peer) == [RELIABLE], 'reliable subscription')
    assert 'WARN' not in process.output.replace('LOCALHOST', '')


@pytest.mark.parametrize('value', ['best_effort', 'reliable'])
def test_an_override_is_kept(run, peer, value):
    quality = SENSOR if value == 'reliable' else QoSProfile(depth=1)
    peer.node.create_publisher(Detection2DArray, 'detections', quality)
    run('-p', f'{OVERRIDE}:={value}')
    wanted = ReliabilityPolicy[value.upper()]
    peer.until(lambda: reliabilities(peer) == [wanted], value)
    for _ in range(10):
        peer.spin_once()
        assert reliabilities(peer) == [wanted]
    assert peer.get(OVERRIDE) == value


def test_an_override_of_a_publisher(start, peer):
    """All are made in the same way."""
    override = 'qos_overrides./tracks.publisher.reliability:=best_effort'
    start('tracker_node', '-p', override, input='detections').wait_for('tracking the persons')
    peer.until_there(published='/tracks')
    (tracks,) = peer.node.get_publishers_info_by_topic('/tracks')
    assert tracks.qos_profile.reliability == BEST_EFFORT


def test_an_override_that_is_none(start):
    process = start('tracker_node', '-p', f'{OVERRIDE}:=fast', input='detections')
    process.wait_for(
        rf"ERROR.*{OVERRIDE} is 'fast'; it can be best_available, reliable, best_effort"
    )


def test_latched_camera_info_arrives_and_so_does_any_other(
    models, start, peer, pictures, to_message
):
    latched = peer.node.create_publisher(CameraInfo, 'camera_info', LATCHED)
    latched.publish(camera_info(to_message(pictures[0]).header))
    depths = peer.node.create_publisher(Image, 'depth_image', 10)
    parameters = {'depth': True, 'reid__model': 'none', 'diagnostics__silence_warn': 2.0}
    process = start('tracker_node', tracker__n_init=1, **parameters)
    places = peer.collect(Detection3DArray, 'tracks_3d')
    peer.until_tracker_listens()

    def place():
        """Return the place of the first person."""
        message = to_message(pictures[0])

        def publish():
            depths.publish(depth_image(message.header, np.full((576, 768), 3.0, np.float32)))
            peer.images.publish(message)

        return peer.ask(publish, message.header, places).detections[0].bbox.center.position

    first = place()
    # What is latched need not come again.
    begin = len(process.lines)

    def silent():
        lines = process.lines[begin:]
        return {one.split()[6] for one in lines if 'nothing came over' in one}

    peer.until(lambda: {'/image_raw', '/depth_image'} <= silent(), 'silence')
    assert '/camera_info' not in silent()
    volatile = peer.node.create_publisher(CameraInfo, 'camera_info', 10)

    def is_nearer_to_the_middle():
        volatile.publish(camera_info(to_message(pictures[0]).header, 1200.0))
        return abs(place().x) < 0.6 * abs(first.x)

    peer.until(is_nearer_to_the_middle, 'calibration of the second publisher')


@pytest.mark.skipif(
    'cyclone' in os.environ.get('RMW_IMPLEMENTATION', ''),
    reason='what Cyclone DDS loses depends on the buffers of the kernel',
)
@pytest.mark.slow
def test_lost_images_are_reported_once(models, data, spawn, peer, monkeypatch):
    """As many are for which the shared memory of their publisher has no room."""
    process = spawn('tracker_node', reid__model='none').wait_for('tracking the persons')
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    spawn(
        'video_publisher',
        '-p',
        'qos_overrides./image_raw.publisher.reliability:=best_effort',
        source=str(data('videos/vtest.avi')),
        rate=10.0,
        width=1920,
        loop=True,
    )
    process.wait_for(
        r'WARN.*\d+ of \d+ messages of /image_raw were missed in transport.*'
        r'with the DDS configuration of this package.*docs/middleware\.md'
    )
    lines = len(process.lines)
    for _ in range(50):
        peer.spin_once()
    assert not [line for line in process.lines[lines:] if 'missed in transport' in line]
