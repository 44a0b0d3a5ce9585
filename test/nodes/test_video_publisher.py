"""The video publisher: images, stamps and errors."""

from __future__ import annotations

import http.server
import logging
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.media.encodings import decode_image, image_to_bgr
from persontrack_ros.core.media.writer import VideoWriter
from persontrack_ros.ros.nodes.video_publisher import VideoPublisher

pytestmark = pytest.mark.slow

FRAMES = 6
# Longer than any test.
FOREVER = 3600
RATE = 20.0


def picture(number, height=48, width=64):
    """Return a picture whose left half says its number and whose right half is white."""
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    image[:, : width // 2] = 30 * number
    return image


def number_of(message):
    image = image_to_bgr(message)
    return round(float(image[:, : image.shape[1] // 3].mean()) / 30)


@pytest.fixture
def video(tmp_path: Path) -> str:
    path = tmp_path / 'a video.mp4'
    with VideoWriter(path, RATE) as writer:
        for number in range(1, FRAMES + 1):
            writer.write(picture(number), round(number * 1e9 / RATE))
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    directory = tmp_path / '42'
    directory.mkdir()
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(directory / f'{number}.png'), picture(number))
    return str(directory)


class Camera:
    """Collects what a publisher publishes: answering each image, so that none gets lost."""

    def __init__(self, peer, start):
        self._peer, self._start = peer, start
        self.messages = []
        peer.node.create_subscription(Image, 'image_raw', self.messages.append, 50)
        self._answers = peer.node.create_publisher(type(self)._answer_type(), 'tracks', 10)

    @staticmethod
    def _answer_type():
        from vision_msgs.msg import Detection2DArray

        return Detection2DArray

    def play(self, *, until=None, **parameters):
        """Start a publisher, answer every image, wait for its end or a number of images."""
        process = self._start('video_publisher', wait_for_tracker=True, **parameters)
        answered = 0
        while process.is_alive and (until is None or len(self.messages) < until):
            self._peer.spin_once()
            for message in self.messages[answered:]:
                self._answers.publish(self._answer_type()(header=message.header))
            answered = len(self.messages)
        if until is not None:
            process.interrupt()
        assert process.wait() == 0, process.output
        return process

    @property
    def numbers(self):
        return [number_of(message) for message in self.messages]

    @property
    def stamps(self):
        return [stamp_to_nanoseconds(message.header) for message in self.messages]


@pytest.fixture
def camera(peer, start):
    return Camera(peer, start)


def test_every_image_of_a_video(camera, video):
    process = camera.play(source=video)
    assert camera.numbers == list(range(1, FRAMES + 1))
    process.wait_for(f'{FRAMES} images published')
    for message in camera.messages:
        assert (message.encoding, message.is_bigendian) == ('bgr8', 0)
        assert (message.height, message.width, message.step) == (48, 64, 192)
        assert len(message.data) == 48 * 192
        assert message.header.frame_id == 'camera'


def test_compressed_images_for_those_who_want_them(camera, peer, video):
    """Each has the stamp and the contents of the raw one, which is published as well."""
    compressed = []
    peer.node.create_subscription(CompressedImage, 'image_raw/compressed', compressed.append, 50)
    camera.play(source=video, until=4, loop=True)
    raw = {stamp: image_to_bgr(each) for stamp, each in zip(camera.stamps, camera.messages)}
    both = [each for each in compressed if stamp_to_nanoseconds(each.header) in raw]
    assert len(both) >= 2
    for message in both:
        assert message.header.frame_id == 'camera'
        image = decode_image(message.data, 1.0)
        expected = raw[stamp_to_nanoseconds(message.header)]
        np.testing.assert_allclose(image, expected.astype(float), atol=20)
        assert message.format == 'bgr8; jpeg compressed bgr8'


def test_stamps_of_the_clock(camera, video):
    before = time.time_ns()
    camera.play(source=video)
    assert before < camera.stamps[0]
    assert camera.stamps[-1] < time.time_ns()
    assert (np.diff(camera.stamps) > 0).all()


def test_stamps_of_the_source(camera, video):
    camera.play(source=video, stamps='source')
    np.testing.assert_allclose(camera.stamps, np.arange(FRAMES) * 1e9 / RATE, atol=2e6)


def test_options(camera, folder):
    camera.play(
        source=folder,
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
        image = image_to_bgr(message)
        assert image[:, :10].mean() > 240
        assert round(image[:, 20:].mean() / 30) == number
    np.testing.assert_allclose(camera.stamps, [1e8, 2e8, 3e8])


def test_loop_until_interrupted(camera, video):
    camera.play(source=video, loop=True, stamps='source', until=2 * FRAMES + 2)
    played = camera.numbers[: 2 * FRAMES + 2]
    assert played == [*range(1, FRAMES + 1), *range(1, FRAMES + 1), 1, 2]
    assert (np.diff(camera.stamps) > 0).all()


def test_a_folder_named_by_a_number(camera, folder, monkeypatch):
    """ROS reads 42 as an integer; a path tells it from a camera."""
    monkeypatch.chdir(Path(folder).parent)
    camera.play(source='./42', max_frames=2)
    assert camera.numbers == [1, 2]


def test_rate_is_a_lower_limit_of_the_time_between_images(start, peer, video):
    """A slow machine can only be slower: the whole takes at least so long."""
    messages = []
    peer.node.create_subscription(Image, 'image_raw', messages.append, 50)
    process = start('video_publisher', source=video, rate=4.0, loop=True)
    peer.until(lambda: len(messages) >= 5, 'images')
    process.interrupt()
    assert process.wait() == 0
    stamps = [stamp_to_nanoseconds(message.header) for message in messages]
    assert (stamps[4] - stamps[0]) / 1e9 >= 4 / 4.0 - 0.5


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'source': 'missing.mp4'}, 'no such video, folder or camera: missing.mp4'),
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
def test_wrong_sources_and_parameters(start, video, parameters, message):
    """One line that says what is wrong, and exit code 2."""
    process = start('video_publisher', **{'source': video, **parameters})
    assert process.wait() == 2
    process.wait_for(message)
    # On Humble, Cyclone DDS says that it has no multicast on this machine alone.
    wrong = [line for line in process.lines if 'disabling multicast' not in line]
    # Shared memory of killed processes may have been removed before.
    assert len([line for line in wrong if '[INFO]' not in line]) == 1


@pytest.mark.parametrize('moment', ['_rclpy_pybind11', 'cv2', 'waiting for the tracker'])
def test_interrupted(start, video, moment):
    process = start('video_publisher', source=video, wait_for_tracker=True)
    if ' ' in moment:
        process.wait_for(moment)
    else:
        process.wait_until_mapped(moment)
    process.interrupt()
    assert process.wait() == 0
    assert 'Traceback' not in process.output


def test_a_stream_that_stalls(camera, ffmpeg, tmp_path):
    """Its images are published, the log says what is wrong, and Ctrl-C does not wait for it."""
    video = tmp_path / 'video.ts'
    ffmpeg('-f lavfi -i testsrc2=size=64x48:rate=25 -frames:v 200 -c:v mpeg2video {0}', video)
    content = video.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        broken = False

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)
            if type(self).broken:
                time.sleep(FOREVER)
            type(self).broken = True

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process = camera.play(source=f'http://127.0.0.1:{server.server_port}/live', until=250)
    server.shutdown()
    server.server_close()
    process.wait_for('trying again in 1 s')
    assert process.output.count('[WARN]') == 1


def test_a_video_that_was_cut_off(start, data, tmp_path):
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(data('videos/vtest.avi').read_bytes()[:200_000])
    process = start('video_publisher', source=str(cut), rate=1000.0)
    assert process.wait() == 2
    assert f'{cut} is damaged' in process.output


@pytest.mark.parametrize('damaged', [False, True])
def test_a_node_that_has_ended_gets_no_warnings(own_graph, video, folder, damaged):
    """A logger of the core must not keep its handler, also after an error."""
    logger = logging.getLogger('persontrack_ros')
    before = list(logger.handlers)
    context = Context()
    rclpy.init(context=context)
    (Path(folder) / '3.png').write_bytes(b'no image')
    source = Parameter('source', value=folder if damaged else video)
    node = VideoPublisher(
        context=context, parameter_overrides=[source, Parameter('rate', value=1000.0)]
    )
    try:
        if damaged:
            with pytest.raises(SourceError):
                node.publish_all()
        else:
            assert node.publish_all() == FRAMES
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert logger.handlers == before
