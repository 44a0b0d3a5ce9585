"""The video publisher: images, stamps and errors; in the test's process but for signals."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from node_runs import pixels, ros_arguments
from numbered_pictures import picture, write_video
from rclpy.context import Context
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.media.encodings import decode_image
from persontrack_ros.ros.nodes.video_publisher import VideoPublisher
from persontrack_ros.ros.process import NodeExecutor, spinning

FRAMES = 6
RATE = 20.0


@pytest.fixture
def video(tmp_path: Path):
    return write_video(tmp_path / 'a video.mp4', FRAMES, RATE)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    directory = tmp_path / '42'
    directory.mkdir()
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(directory / f'{number}.png'), picture(number))
    return str(directory)


@contextmanager
def publisher(**parameters):
    """Yield a node that an executor spins, as `run_publisher` does."""
    context = Context()
    arguments = ['--ros-args', *ros_arguments(parameters)]
    rclpy.init(context=context, args=arguments, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    executor = NodeExecutor(context=context)
    try:
        node = VideoPublisher(context=context)
        executor.add_node(node)
        with spinning(executor):
            yield node
        node.destroy_node()
    finally:
        executor.shutdown()
        rclpy.try_shutdown(context=context)


class Camera:
    """Collects what a publisher publishes: answering each image, so that none gets lost."""

    def __init__(self, peer):
        self._peer = peer
        self.messages = []
        peer.node.create_subscription(Image, 'image_raw', self.messages.append, 50)
        self._answers = peer.node.create_publisher(Detection2DArray, 'tracks', 10)

    def play(self, *, until=None, **parameters):
        """Answer each image until the end, or a number of images; return how many there were."""
        answered = 0
        with publisher(wait_for_tracker=True, **parameters) as node, ThreadPoolExecutor(1) as pool:
            published = pool.submit(node.publish_all)
            while not published.done() and (until is None or len(self.messages) < until):
                self._peer.spin_once()
                for message in self.messages[answered:]:
                    self._answers.publish(Detection2DArray(header=message.header))
                answered = len(self.messages)
            if until is not None:
                node.context.try_shutdown()
            return published.result()

    @property
    def numbers(self):
        return [
            round(float(pixels(message)[:, : message.width // 3].mean()) / 20)
            for message in self.messages
        ]

    @property
    def stamps(self):
        return [stamp_to_nanoseconds(message.header) for message in self.messages]


@pytest.fixture
def camera(peer):
    return Camera(peer)


def test_every_image_of_a_video(camera, video):
    before = time.time_ns()
    assert camera.play(source=video) == FRAMES
    assert camera.numbers == list(range(1, FRAMES + 1))
    for message in camera.messages:
        assert (message.encoding, message.is_bigendian) == ('bgr8', 0)
        assert (message.height, message.width, message.step) == (48, 64, 192)
        assert len(message.data) == 48 * 192
        assert message.header.frame_id == 'camera'
    assert before < camera.stamps[0]
    assert camera.stamps[-1] < time.time_ns()
    assert (np.diff(camera.stamps) > 0).all()


def test_compressed_images_if_subscribed(camera, peer, video):
    """Each has the stamp and the contents of the raw one, which is published as well."""
    compressed = []
    peer.node.create_subscription(CompressedImage, 'image_raw/compressed', compressed.append, 50)
    camera.play(source=video, until=4, loop=True)
    raw = {stamp: pixels(each) for stamp, each in zip(camera.stamps, camera.messages)}
    both = [each for each in compressed if stamp_to_nanoseconds(each.header) in raw]
    assert len(both) >= 2
    for message in both:
        assert message.header.frame_id == 'camera'
        expected = raw[stamp_to_nanoseconds(message.header)].astype(float)
        np.testing.assert_allclose(decode_image(message.data, 1.0), expected, atol=20)
        assert message.format == 'bgr8; jpeg compressed bgr8'


def test_options(camera, folder, monkeypatch):
    """Of a folder named by a number: a path distinguishes it from a camera."""
    monkeypatch.chdir(Path(folder).parent)
    camera.play(
        source='./42',
        flip=True,
        skip_frames=1,
        max_frames=3,
        width=32,
        frame_id='lens',
        stamps='source',
    )
    assert len(camera.messages) == 3
    for number, message in enumerate(camera.messages, start=2):
        assert message.header.frame_id == 'lens'
        assert (message.height, message.width) == (24, 32)
        image = pixels(message)
        assert image[:, :10].mean() > 240
        assert round(image[:, 20:].mean() / 20) == number
    np.testing.assert_allclose(camera.stamps, [1e8, 2e8, 3e8])


def test_loop_until_interrupted(camera, video):
    """By the stamps of the source."""
    camera.play(source=video, loop=True, stamps='source', until=2 * FRAMES + 2)
    played = camera.numbers[: 2 * FRAMES + 2]
    assert played == [*range(1, FRAMES + 1), *range(1, FRAMES + 1), 1, 2]
    assert (np.diff(camera.stamps) > 0).all()
    np.testing.assert_allclose(camera.stamps[:FRAMES], np.arange(FRAMES) * 1e9 / RATE, atol=2e6)


def test_rate_is_a_lower_limit_of_the_time_between_images(own_graph, video):
    """A slow machine can only be slower: the whole takes at least so long."""
    before = time.monotonic()
    with publisher(source=video, rate=10.0) as node:
        assert node.publish_all() == FRAMES
    assert time.monotonic() - before >= (FRAMES - 1) / 10.0


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'source': '97'}, 'camera 97 is not there'),
        ({'source': 97}, 'camera 97 is not there'),
        ({'source': __file__}, 'cannot decode the video'),
        ({'rate': -1.0}, 'rate'),
        ({'rate': float('nan')}, 'rate'),
        ({'width': -3}, 'width'),
        ({'skip_frames': 1.5}, 'skip_frames'),
        ({'stamps': 'sundial'}, 'stamps'),
        ({'skip_frames': 1000}, 'no image can be read .* after the first 1000'),
    ],
)
def test_wrong_sources_and_parameters(own_graph, video, parameters, message):
    with (
        pytest.raises(PersontrackError, match=message),
        publisher(**{'source': video, **parameters}) as node,
    ):
        node.publish_all()


@pytest.mark.parametrize('moment', ['_rclpy_pybind11', 'cv2', 'waiting for the tracker'])
@pytest.mark.slow
def test_interrupted(spawn, video, moment):
    process = spawn('video_publisher', source=video, wait_for_tracker=True)
    if ' ' in moment:
        process.wait_for(moment)
    else:
        process.wait_until_mapped(moment)
    process.interrupt()
    assert process.wait() == 0
