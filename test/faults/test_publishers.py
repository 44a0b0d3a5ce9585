"""What is published to a node, and who reads what it publishes: it goes on with the next image."""

from __future__ import annotations

import os
import time
from array import array
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from vision_msgs.msg import BoundingBox2D, Detection2D, Detection2DArray, ObjectHypothesisWithPose

MOST = 2**32 - 1


@pytest.fixture(scope='module')
def tracker(models, spawn_once):
    process = spawn_once(
        'tracker_node', depth=True, input='image+detections', detector__model='none'
    )
    process.wait_for('tracking the persons')
    return process


class Scene:
    """Images, the detections in them, and their depth."""

    def __init__(self, peer):
        self.peer = peer
        self.detections = peer.node.create_publisher(Detection2DArray, 'detections', 10)
        self.depth = peer.node.create_publisher(Image, 'depth_image', 10)
        self.info = peer.node.create_publisher(CameraInfo, 'camera_info', 10)
        for publisher in (self.detections, self.depth, self.info):
            peer.until(publisher.get_subscription_count, publisher.topic_name)
        peer.until_tracker_listens()

    def track(self, image, detections=None):
        """Return the tracks of an image with one person in it."""
        if detections is None:
            detections = found(image.header)

        def publish():
            self.peer.images.publish(image)
            self.detections.publish(detections)

        return self.peer.ask(publish, image.header)


def found(header, box=(100.0, 80.0, 60.0, 150.0), score=0.9, class_id='person'):
    left, top, width, height = box
    bounds = BoundingBox2D(size_x=width, size_y=height)
    bounds.center.position.x, bounds.center.position.y = left + width / 2, top + height / 2
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = class_id, score
    detection = Detection2D(header=header, bbox=bounds, results=[result])
    return Detection2DArray(header=header, detections=[detection])


@pytest.fixture(scope='module')
def scene(tracker, module_peer):
    return Scene(module_peer)


@pytest.fixture(scope='module')
def small(pictures):
    """Return an image that costs little."""
    return np.ascontiguousarray(pictures[0][::4, ::4])


@pytest.fixture
def goes_on(tracker, scene, small, to_message):
    """See after a fault that the next images are tracked, each with the person in it."""
    yield
    for _ in range(4):
        tracks = scene.track(to_message(small))
    assert len(tracks.detections) >= 1
    assert tracker.is_alive


def changed(**fields):
    def change(image):
        for name, value in fields.items():
            setattr(image, name, value)

    return change


def without_bytes(image):
    image.data = array('B')


def half(image):
    image.data = image.data[: len(image.data) // 2]


def short_by_one(image):
    image.data = image.data[:-1]


def depth_in(encoding, kind):
    def change(image):
        pixels = np.ones((image.height, image.width), kind)
        image.encoding, image.step = encoding, pixels[0].nbytes
        image.data = array('B', pixels.tobytes())

    return change


WRONG_IMAGES = {
    'without width': changed(width=0),
    'without height': changed(height=0),
    'without width and height': changed(width=0, height=0),
    'of 4 billion columns': changed(width=MOST),
    'of 4 billion rows': changed(height=MOST),
    'of 4 billion rows and columns': changed(width=MOST, height=MOST),
    'with one column more than it has': changed(width=193),
    'with one row more than it has': changed(height=145),
    'without a step': changed(step=0),
    'whose step is a byte too short': changed(step=575),
    'whose step is 4 billion': changed(step=MOST),
    'without bytes': without_bytes,
    'with half of its bytes': half,
    'with a byte too few': short_by_one,
    'without an encoding': changed(encoding=''),
    'of an encoding that there is not': changed(encoding='smell8'),
    'whose encoding is a megabyte long': changed(encoding='x' * 1_000_000),
    'whose encoding has line ends and quotes': changed(encoding='a\n\'"\x1b[31m'),
    'of an encoding of other letters': changed(encoding='bgr8\u2713'),
    'of depth in millimetres': depth_in('16UC1', np.uint16),
    'of depth in metres': depth_in('32FC1', np.float32),
    'of four channels, announced as three': changed(encoding='bgra8'),
    'of 16 bits that has 8': changed(encoding='bgr16'),
}


@pytest.mark.parametrize('change', WRONG_IMAGES.values(), ids=WRONG_IMAGES)
def test_images_that_cannot_be(scene, small, to_message, goes_on, change):
    wrong = to_message(small)
    change(wrong)
    scene.peer.images.publish(wrong)
    scene.detections.publish(found(wrong.header))
    scene.track(to_message(small))
    stamps = [each.header.stamp for each in scene.peer.tracks]
    assert wrong.header.stamp not in stamps


STRANGE_IMAGES = {
    'with more bytes than it needs': lambda image: image.data.extend(bytes(1000)),
    'without a frame': lambda image: setattr(image.header, 'frame_id', ''),
    'whose frame is a megabyte long': lambda image: setattr(
        image.header, 'frame_id', 'x' * 1_000_000
    ),
    'whose frame has line ends': lambda image: setattr(image.header, 'frame_id', 'a\nb'),
    'said to be big-endian, of 8 bits': changed(is_bigendian=1),
    'of one pixel': changed(width=1, height=1),
    'of one row': changed(height=1),
    'of one column': changed(width=1),
}


@pytest.mark.parametrize('change', STRANGE_IMAGES.values(), ids=STRANGE_IMAGES)
def test_images_that_are_strange(scene, small, to_message, goes_on, change):
    strange = to_message(small)
    change(strange)
    assert scene.track(strange).header == strange.header


NONE, ENDLESS = float('nan'), float('inf')
WRONG_DETECTIONS = {
    'without width': {'box': (100.0, 80.0, 0.0, 150.0)},
    'without height': {'box': (100.0, 80.0, 60.0, 0.0)},
    'of height 1e-308': {'box': (100.0, 80.0, 60.0, 1e-308)},
    'of negative width': {'box': (100.0, 80.0, -60.0, 150.0)},
    'of width 1e300': {'box': (100.0, 80.0, 1e300, 150.0)},
    'of infinite height': {'box': (100.0, 80.0, 60.0, ENDLESS)},
    'whose width is no number': {'box': (100.0, 80.0, NONE, 150.0)},
    'at a place that is no number': {'box': (NONE, 80.0, 60.0, 150.0)},
    'at an infinite place': {'box': (-ENDLESS, 80.0, 60.0, 150.0)},
    'at a place of 1e12 pixels': {'box': (1e12, 80.0, 60.0, 150.0)},
    'whose score is no number': {'score': NONE},
    'of infinite score': {'score': ENDLESS},
    'of negative score': {'score': -0.5},
    'without a class': {'class_id': ''},
    'of another class': {'class_id': 'teapot'},
    'whose class is a megabyte long': {'class_id': 'x' * 1_000_000},
}


@pytest.mark.parametrize('fields', WRONG_DETECTIONS.values(), ids=WRONG_DETECTIONS)
def test_detections_that_cannot_be(scene, small, to_message, goes_on, fields):
    """It starts no track, however often it comes."""
    for _ in range(5):
        image = to_message(small)
        wrong = found(image.header, **fields)
        far = found(image.header, box=(20.0, 20.0, 30.0, 60.0))
        wrong.detections += far.detections
        tracks = scene.track(image, wrong)
    feet = [each.bbox.center.position for each in tracks.detections]
    assert all(np.isfinite([place.x, place.y]).all() for place in feet)
    assert all(abs(place.x) < 1e4 and abs(place.y) < 1e4 for place in feet)
    assert any(place.x == pytest.approx(35, abs=15) for place in feet)


CALIBRATIONS = {
    'with a D of the wrong length': {'d': [0.1] * 3},
    'with numbers in D that are none': {'d': [NONE] * 5},
    'with an infinite K': {'k': [ENDLESS] * 9},
    'with a K of zeros': {'k': [0.0] * 9},
    'with an unknown model of distortion': {'distortion_model': 'barrel\norgan'},
    'of an image of another shape': {'width': 10, 'height': 900},
}


@pytest.mark.parametrize('fields', CALIBRATIONS.values(), ids=CALIBRATIONS)
def test_calibrations_that_cannot_be(scene, small, to_message, goes_on, fields):
    image = to_message(small)
    info = CameraInfo(header=image.header, width=192, height=144)
    info.k = [100.0, 0.0, 96.0, 0.0, 100.0, 72.0, 0.0, 0.0, 1.0]
    for name, value in fields.items():
        setattr(info, name, value)
    scene.info.publish(info)
    depth = to_message(small)
    depth_in('32FC1', np.float32)(depth)
    depth.header = image.header
    scene.depth.publish(depth)
    assert scene.track(image).header == image.header


WRONG_DEPTHS = {
    'in colour': changed(),
    'without bytes': without_bytes,
    'of 4 billion rows': changed(height=MOST, encoding='32FC1'),
    'of another shape': depth_in('16UC1', np.uint16),
}


@pytest.mark.parametrize('change', WRONG_DEPTHS.values(), ids=WRONG_DEPTHS)
def test_depths_that_cannot_be(scene, small, to_message, goes_on, change):
    image = to_message(small)
    depth = to_message(np.ascontiguousarray(small[:40]))
    change(depth)
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


def bursts(peer, message):
    for _ in range(300):
        peer.images.publish(message)


def come_and_go(peer, message):
    for _ in range(15):
        other = peer.node.create_publisher(Image, 'image_raw', 1)
        other.publish(message)
        peer.node.destroy_publisher(other)


def best_effort(peer, message):
    quality = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    other = peer.node.create_publisher(Image, 'image_raw', quality)
    for _ in range(20):
        other.publish(message)
        peer.images.publish(message)
    peer.node.destroy_publisher(other)


def latched(peer, message):
    quality = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    other = peer.node.create_publisher(Image, 'image_raw', quality)
    other.publish(message)
    peer.node.destroy_publisher(other)


def of_another_type(peer, message):
    with stranger() as node:
        other = node.create_publisher(String, 'image_raw', 1)
        for _ in range(5):
            other.publish(String(data='an image'))
            peer.spin_once()


PUBLISHERS = {
    'sends 300 images at once': bursts,
    'comes and goes 15 times': come_and_go,
    'sends with best effort beside a reliable one': best_effort,
    'sends what is kept for those who come later': latched,
    'sends another type on the topic of the images': of_another_type,
}


@pytest.mark.parametrize('publish', PUBLISHERS.values(), ids=PUBLISHERS)
def test_strange_publishers(scene, small, to_message, goes_on, publish):
    publish(scene.peer, to_message(small))


def spectator(peer, **quality):
    """Subscribe to everything, and take nothing of it."""
    names = {
        'tracks': Detection2DArray,
        'track_info': String,
        'annotated_image': Image,
    }
    profile = QoSProfile(**{'depth': 1, **quality})
    return [
        peer.node.create_subscription(kind, name, lambda message: None, profile)
        for name, kind in names.items()
    ]


def leave(peer, subscriptions):
    for each in subscriptions:
        peer.node.destroy_subscription(each)


def come_and_see(peer):
    for _ in range(10):
        subscriptions = spectator(peer)
        peer.spin_once()
        leave(peer, subscriptions)


def never_take(peer):
    """Reliable, and with a queue without end that nobody empties."""
    quality = {'history': HistoryPolicy.KEEP_ALL, 'reliability': ReliabilityPolicy.RELIABLE}
    subscriptions = spectator(peer, **quality)
    time.sleep(0.3)
    leave(peer, subscriptions)


def many(peer):
    subscriptions = [each for _ in range(8) for each in spectator(peer)]
    peer.spin_once()
    leave(peer, subscriptions)


def want_the_past(peer):
    subscriptions = spectator(peer, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    peer.spin_once()
    leave(peer, subscriptions)


def want_best_effort(peer):
    subscriptions = spectator(peer, reliability=ReliabilityPolicy.BEST_EFFORT)
    peer.spin_once()
    leave(peer, subscriptions)


def want_another_type(peer):
    with stranger() as node:
        node.create_subscription(String, 'tracks', lambda message: None, 1)
        peer.spin_once()


SPECTATORS = {
    'come and go': come_and_see,
    'take nothing, with a queue without end': never_take,
    'are many': many,
    'want what was published before they came': want_the_past,
    'want no more than best effort': want_best_effort,
    'want another type': want_another_type,
}


@pytest.mark.parametrize('look', SPECTATORS.values(), ids=SPECTATORS)
def test_strange_subscribers(scene, small, to_message, goes_on, look):
    look(scene.peer)
    assert scene.track(to_message(small)).header
