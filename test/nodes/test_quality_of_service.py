"""The node subscribes as its publishers allow, and tells of images that get lost all the same."""

from __future__ import annotations

import os

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection3DArray

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SMALL = np.zeros((48, 64, 3), np.uint8)


def subscriptions(peer, topic='/image_raw'):
    """Return the quality of service of the tracker's subscriptions of a topic."""
    return [
        each.qos_profile
        for each in peer.node.get_subscriptions_info_by_topic(topic)
        if each.node_name == 'person_tracker'
    ]


def test_reliability_follows_the_publishers(models, start, peer, to_message):
    process = start('tracker_node', reid__model='none')
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()

    def asks_for(reliability):
        peer.track(to_message(SMALL))
        return [each.reliability for each in subscriptions(peer)] == [reliability]

    peer.until(lambda: asks_for(RELIABLE), 'reliable subscription')
    sensor = QoSProfile(depth=1, reliability=BEST_EFFORT)
    other = peer.node.create_publisher(Image, 'image_raw', sensor)
    peer.until(lambda: asks_for(BEST_EFFORT), 'subscription of best effort')
    # Both are heard.
    message = to_message(SMALL)
    peer.ask(lambda: other.publish(message), message.header)
    peer.node.destroy_publisher(other)
    # It changes back only where no image can be lost by that.
    for _ in range(3):
        assert asks_for(BEST_EFFORT)
    peer.node.destroy_publisher(peer.images)
    peer.until(
        lambda: [each.reliability for each in subscriptions(peer)] == [RELIABLE],
        'reliable subscription',
    )
    assert 'WARN' not in process.output.replace('LOCALHOST', '')


def test_reliable_from_the_start(models, start, peer):
    """So that nothing is lost of a driver that comes later."""
    process = start('tracker_node', '-r', 'image_raw:=/late', reid__model='none')
    process.wait_for('tracking the persons')

    def asks_for(reliability):
        return [each.reliability for each in subscriptions(peer, '/late')] == [reliability]

    peer.until(lambda: asks_for(RELIABLE), 'reliable subscription')
    sensor = QoSProfile(depth=1, reliability=BEST_EFFORT)
    driver = peer.node.create_publisher(Image, '/late', sensor)
    peer.until(lambda: asks_for(BEST_EFFORT), 'subscription of best effort')
    peer.until(driver.get_subscription_count, 'connection')


@pytest.mark.parametrize('value', ['best_effort', 'reliable'])
def test_an_override_is_kept(models, start, peer, to_message, value):
    path = 'qos_overrides./image_raw.subscription.reliability'
    if value == 'reliable':
        other = QoSProfile(depth=1, reliability=BEST_EFFORT)
        peer.node.create_publisher(Image, 'image_raw', other)
    process = start('tracker_node', '-p', f'{path}:={value}', reid__model='none')
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    for _ in range(30):
        peer.track(to_message(SMALL))
    (qos,) = subscriptions(peer)
    assert qos.reliability.name.lower() == peer.get(path) == value


def test_an_override_that_is_none(models, start):
    path = 'qos_overrides./image_raw.subscription.reliability'
    process = start('tracker_node', '-p', f'{path}:=fast', reid__model='none')
    process.wait_for(rf"ERROR.*{path} is 'fast'; it can be best_available, reliable, best_effort")


def test_latched_camera_info_arrives_and_so_does_any_other(
    models, start, peer, pictures, to_message
):
    def info(header, focal):
        made = CameraInfo(header=header, width=768, height=576, distortion_model='plumb_bob')
        made.k = [focal, 0.0, 383.5, 0.0, focal, 287.5, 0.0, 0.0, 1.0]
        made.d = [0.0] * 5
        return made

    latched = peer.node.create_publisher(CameraInfo, 'camera_info', LATCHED)
    latched.publish(info(to_message(SMALL).header, 600.0))
    depths = peer.node.create_publisher(Image, 'depth_image', 10)
    process = start(
        'tracker_node',
        depth=True,
        reid__model='none',
        tracker__n_init=1,
        diagnostics__silence_warn=2.0,
    )
    process.wait_for('tracking the persons')
    places = peer.collect(Detection3DArray, 'tracks_3d')
    peer.until_tracker_listens()

    def place():
        """Return the place of the first person."""
        message = to_message(pictures[0])
        depth = to_message(np.full((576, 768), 3.0, np.float32).view(np.uint8))
        depth.width, depth.encoding, depth.header = 768, '32FC1', message.header

        def publish():
            depths.publish(depth)
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
        volatile.publish(info(to_message(SMALL).header, 1200.0))
        return abs(place().x) < 0.6 * abs(first.x)

    peer.until(is_nearer_to_the_middle, 'calibration of the second publisher')


@pytest.mark.skipif(
    'cyclone' in os.environ.get('RMW_IMPLEMENTATION', ''),
    reason='what Cyclone DDS loses depends on the buffers of the kernel',
)
@pytest.mark.slow
def test_lost_images_are_told_of_once(models, data, spawn, peer, monkeypatch):
    """As many are for which the shared memory of their publisher has no room."""
    process = spawn('tracker_node', reid__model='none')
    process.wait_for('tracking the persons')
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
    told = (
        r'WARN.*\d+ of \d+ messages of /image_raw were missed in transport.*'
        r'with the DDS configuration of this package.*docs/middleware\.md'
    )
    process.wait_for(told)
    lines = len(process.lines)
    for _ in range(50):
        peer.spin_once()
    assert not [line for line in process.lines[lines:] if 'missed in transport' in line]
