"""Compressed images as input and output, and what the annotated image shows."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from node_runs import pixels
from sensor_msgs.msg import CompressedImage, Image

from persontrack_ros.core.drawing import track_color


@pytest.fixture(scope='module')
def tracker(models, start_once):
    arguments = ['-r', 'image_raw:=/lens/picture', '-p', 'image_transport:=compressed']
    process = start_once('tracker_node', *arguments, reid__model='none', tracker__n_init=1)
    return process.wait_for('tracking the persons in /lens/picture/compressed')


@pytest.fixture(scope='module')
def publish(tracker, module_peer):
    return module_peer.publisher(CompressedImage, '/lens/picture/compressed', 1).publish


@pytest.fixture
def compress(to_message):
    def pack(picture, extension='.jpg'):
        message = CompressedImage(header=to_message(picture).header)
        message.format = f'bgr8; {extension[1:]} compressed bgr8'
        message.data = array('B', cv2.imencode(extension, picture)[1].tobytes())
        return message

    return pack


@pytest.fixture
def show(module_peer, publish, compress, pictures):
    """Return a function that shows the node a picture in a file format."""

    def show_as(extension='.jpg', picture=0):
        message = compress(pictures[picture], extension)
        return module_peer.ask(lambda: publish(message), message.header)

    return show_as


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
def test_compressed_images_are_tracked(module_peer, show, extension):
    for picture in range(3):
        answer = show(extension, picture)
    assert answer.header.frame_id == 'lens'
    assert len(answer.detections) >= 2
    for detection in answer.detections:  # in pixels of the picture
        assert 0 < detection.bbox.center.position.x < 768
    assert module_peer.images.get_subscription_count() == 0


def test_damaged_and_large_ones_are_skipped(
    module_peer, tracker, publish, compress, pictures, show
):
    """The pictures have 0.44 megapixels; those at twice the size 1.77."""
    assert module_peer.set(max_megapixels=0.5).successful
    large = compress(cv2.resize(pictures[0], None, fx=2, fy=2))

    def is_reported():
        # The log names one in some seconds.
        publish(large)
        return 'is larger than 0.5 megapixels' in tracker.output

    module_peer.until(is_reported)
    bad = [large]
    for content in (b'', b'no picture', b'\xff\xd8\xff'):
        bad.append(compress(pictures[0]))
        bad[-1].data = array('B', content)
        publish(bad[-1])
        assert show().detections
    stamps = [answer.header.stamp for answer in module_peer.tracks]
    assert not any(each.header.stamp in stamps for each in bad)


def annotated_by(peer, show, messages):
    """Show the picture; return its tracks and the annotated one."""
    answer = show()
    return answer, peer.received(messages, answer.header)


def test_annotated_image_as_jpeg(module_peer, show):
    messages = module_peer.collect(CompressedImage, 'annotated_image/compressed')
    sizes = {}
    for quality in (80, 10):
        assert module_peer.set(jpeg_quality=quality).successful
        answer, message = annotated_by(module_peer, show, messages)
        sizes[quality] = len(message.data)
        assert message.format == 'bgr8; jpeg compressed bgr8'
        assert message.header.frame_id == 'lens'
    assert sizes[10] < 0.5 * sizes[80]
    assert module_peer.set(jpeg_quality=95).successful
    answer, message = annotated_by(module_peer, show, messages)
    picture = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (576, 768, 3)
    for detection in answer.detections:
        color = np.array(track_color(int(detection.id)))
        assert (np.abs(picture.astype(int) - color).max(axis=2) < 60).sum() > 20


def test_drawing_changes_at_run_time(module_peer, show):
    messages = module_peer.collect(Image, 'annotated_image')

    def drawn(**parameters):
        assert not parameters or module_peer.set(**parameters).successful
        _, message = annotated_by(module_peer, show, messages)
        return pixels(message)

    corner = (slice(0, 12), slice(0, 100))
    assert (drawn()[corner] == 255).all(axis=2).any()
    without = drawn(drawing__speed=False)
    assert not (without[corner] == 255).all(axis=2).any()
    large = drawn(drawing__scale=3.0)
    assert (large != without).any(axis=2).sum() > 1000
    assert not module_peer.set(drawing__scale=10.0, drawing__speed=True).successful
    assert module_peer.get('drawing.speed') is False
