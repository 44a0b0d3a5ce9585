"""What is published to a node, and who reads what it publishes: it goes on with the next image."""

from __future__ import annotations

import os
import time
from array import array
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import rclpy
from node_runs import found
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from vision_msgs.msg import Detection2DArray

MOST = 2**32 - 1
PERSON = (100.0, 80.0, 60.0, 150.0, 0.9)


class Scene:
    """Images, the detections in them, and their depth."""

    def __init__(self, peer):
        self.peer = peer
        self.detections = peer.publisher(Detection2DArray, 'detections')
        self.depth = peer.publisher(Image, 'depth_image')
        self.info = peer.publisher(CameraInfo, 'camera_info')
        peer.until_tracker_listens()

    def track(self, image, detections=None):
        """Return the tracks of an image with one person in it."""
        detections = detections or found(image.header, PERSON)

        def publish():
            self.peer.images.publish(image)
            self.detections.publish(detections)

        return self.peer.ask(publish, image.header)


@pytest.fixture(scope='module')
def tracker(models, start_once):
    parameters = {'depth': True, 'input': 'image+detections', 'detector__model': 'none'}
    return start_once('tracker_node', **parameters).wait_for('tracking the persons')


@pytest.fixture(scope='module')
def quiet_scene(tracker, module_peer):
    return Scene(module_peer)


@pytest.fixture
def picture(to_message):
    """Return a function that makes an image that costs little."""
    return lambda: to_message(np.zeros((144, 192, 3), np.uint8))


@pytest.fixture
def scene(tracker, quiet_scene, picture):
    """After a fault, the next images are tracked, each with the person in it."""
    yield quiet_scene
    for _ in range(4):
        tracks = quiet_scene.track(picture())
    assert len(tracks.detections) >= 1
    assert tracker.is_alive


def pixels(encoding, kind):
    def change(image):
        made = np.ones((image.height, image.width), kind)
        image.encoding, image.step, image.data = encoding, made[0].nbytes, made.tobytes()

    return change


def cut(end):
    def change(image):
        image.data = image.data[:end]

    return change


def changed(image, change):
    """Change fields of a message, or call what changes it."""
    if callable(change):
        change(image)
    else:
        for name, value in change.items():
            setattr(image, name, value)
    return image


# More of them are in test/unit/test_images.py.
WRONG_IMAGES = [
    {'width': 0, 'height': 0, 'step': 0, 'data': array('B')},
    {'width': MOST, 'height': MOST},
    {'width': 193},
    {'step': MOST},
    {'data': array('B')},
    cut(-1),
    {'encoding': ''},
    {'encoding': 'x' * 1_000_000},
    {'encoding': 'a\n\'"\x1b[31m\u2713'},
    pixels('16UC1', np.uint16),
    {'encoding': 'bgr16'},
]


def test_images_that_cannot_be(scene, tracker, picture):
    """Each is skipped; the log has some of them, on one line each."""
    for change in WRONG_IMAGES:
        wrong = changed(picture(), change)
        scene.peer.images.publish(wrong)
        scene.detections.publish(found(wrong.header, PERSON))
        scene.track(picture())
        assert all(each.header.stamp != wrong.header.stamp for each in scene.peer.tracks), change
    reports = [line for line in tracker.lines if 'frame skipped' in line]
    assert 1 <= len(reports) < len(WRONG_IMAGES)
    assert all('ERROR' in line for line in reports)


def test_images_that_are_strange(scene, picture):
    for change in (
        lambda image: image.data.extend(bytes(1000)),
        *(
            lambda image, name=name: setattr(image.header, 'frame_id', name)
            for name in ('', 'x' * 1_000_000, 'a\nb')
        ),
        {'is_bigendian': 1},
        {'width': 1, 'height': 1},
        {'height': 1},
        {'width': 1},
    ):
        strange = changed(picture(), change)
        assert scene.track(strange).header == strange.header


NONE, ENDLESS = float('nan'), float('inf')
WRONG_BOXES = [
    *((100.0, 80.0, 0.0, 150.0, 0.9), (100.0, 80.0, 60.0, 0.0, 0.9)),
    *((100.0, 80.0, 60.0, 1e-308, 0.9), (100.0, 80.0, -60.0, 150.0, 0.9)),
    *((100.0, 80.0, 1e300, 150.0, 0.9), (100.0, 80.0, 60.0, ENDLESS, 0.9)),
    *((100.0, 80.0, NONE, 150.0, 0.9), (NONE, 80.0, 60.0, 150.0, 0.9)),
    *((-ENDLESS, 80.0, 60.0, 150.0, 0.9), (1e12, 80.0, 60.0, 150.0, 0.9)),
    *((*PERSON[:4], NONE), (*PERSON[:4], ENDLESS), (*PERSON[:4], -0.5)),
]


@pytest.mark.parametrize(
    'wrong', [*WRONG_BOXES, '', 'teapot', 'x' * 1_000_000], ids=lambda each: str(each)[:40]
)
def test_detections_that_cannot_be(scene, picture, wrong):
    """A wrong box, score or class starts no track, however often it comes."""
    for _ in range(5):
        image = picture()
        if isinstance(wrong, str):
            message = found(image.header, PERSON, class_id=wrong)
        else:
            message = found(image.header, wrong)
        message.detections += found(image.header, (20.0, 20.0, 30.0, 60.0, 0.9)).detections
        tracks = scene.track(image, message)
    feet = [each.bbox.center.position for each in tracks.detections]
    assert all(np.isfinite([place.x, place.y]).all() for place in feet)
    assert all(abs(place.x) < 1e4 and abs(place.y) < 1e4 for place in feet)
    assert any(place.x == pytest.approx(35, abs=15) for place in feet)


def test_calibrations_and_depths_that_cannot_be(scene, picture):
    depths = [pixels('32FC1', np.float32)] * 6
    calibrations = [
        *({'d': [0.1] * 3}, {'d': [NONE] * 5}, {'k': [ENDLESS] * 9}, {'k': [0.0] * 9}),
        *({'distortion_model': 'barrel\norgan'}, {'width': 10, 'height': 900}),
        *({}, {}, {}, {}),
    ]
    depths += [{}, {'data': array('B')}, {'height': MOST, 'encoding': '32FC1'}]
    depths.append(lambda image: pixels('16UC1', np.uint16)(changed(image, {'height': 40})))
    for calibration, change in zip(calibrations, depths):
        image, depth = picture(), changed(picture(), change)
        info = CameraInfo(header=image.header, width=192, height=144)
        info.k = [100.0, 0.0, 96.0, 0.0, 100.0, 72.0, 0.0, 0.0, 1.0]
        scene.info.publish(changed(info, calibration))
        depth.header = image.header
        scene.depth.publish(depth)
        assert scene.track(image).header == image.header


@contextmanager
def stranger():
    """Yield a node that is no neighbour of the peer: there, a topic has one type."""
    context = Context()
    rclpy.init(context=context, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    yield Node('stranger', context=context)
    rclpy.shutdown(context=context)


def another(peer, message, times=1, **quality):
    """Publish as another node does, that then leaves."""
    other = peer.node.create_publisher(Image, 'image_raw', QoSProfile(depth=1, **quality))
    for _ in range(times):
        other.publish(message)
        peer.images.publish(message)
    peer.node.destroy_publisher(other)


def come_and_go(peer, message):
    for _ in range(15):
        another(peer, message)


def of_another_type(peer, message):
    with stranger() as node:
        other = node.create_publisher(String, 'image_raw', 1)
        node.create_subscription(String, 'tracks', lambda message: None, 1)
        for _ in range(5):
            other.publish(String(data='an image'))
            peer.spin_once()


BEST_EFFORT = {'reliability': ReliabilityPolicy.BEST_EFFORT}
LATCHED = {'durability': DurabilityPolicy.TRANSIENT_LOCAL}
ENDLESS_QUEUE = {'history': HistoryPolicy.KEEP_ALL, 'reliability': ReliabilityPolicy.RELIABLE}


@pytest.mark.parametrize(
    'publish',
    [
        partial(another, times=300),
        come_and_go,
        partial(another, times=20, **BEST_EFFORT),
        partial(another, **LATCHED),
        of_another_type,
    ],
    ids=['burst', 'come and go', 'best effort', 'latched', 'another type'],
)
def test_strange_publishers(scene, picture, publish):
    publish(scene.peer, picture())


@pytest.mark.parametrize('quality', [{}, ENDLESS_QUEUE, LATCHED, BEST_EFFORT])
def test_strange_subscribers(scene, picture, quality):
    """Many subscribe to everything, take nothing, and leave, again and again."""
    node = scene.peer.node
    topics = {'tracks': Detection2DArray, 'track_info': String, 'annotated_image': Image}
    for _ in range(5):
        subscriptions = [
            node.create_subscription(
                kind, name, lambda message: None, QoSProfile(**{'depth': 1, **quality})
            )
            for name, kind in topics.items()
            for _ in range(4)
        ]
        time.sleep(0.1)
        for each in subscriptions:
            node.destroy_subscription(each)
    assert scene.track(picture()).header
