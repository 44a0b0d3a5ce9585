"""Depth images are found for images by their stamps, in any order and however late."""

from concurrent.futures import Future

import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.ros.tracker import matching
from persontrack_ros.ros.tracker.input_topic import Message
from persontrack_ros.ros.tracker.matching import DepthInput


class Camera:
    """An image stream and its depth, with a tolerance of 50 ms; times are in milliseconds."""

    def __init__(self) -> None:
        self.time = 0
        self.input = DepthInput(0.05)
        self.input.add_info(CameraInfo(width=7))
        self.futures: list[Future] = []

    def depth(self, stamp: int, size: int = 1) -> Message:
        message = Image(data=bytes(size))
        message.header.stamp.sec, rest = divmod(stamp, 1000)
        message.header.stamp.nanosec = rest * 1_000_000
        made = Message(Image, serialize_message(message))
        self.input.add_depth(made)
        return made

    def image(self, stamp: int) -> Future:
        self.futures.append(self.input.expect(stamp * 1_000_000))
        return self.futures[-1]

    def play(self, count: int, image_delay: int, depth_delay: int, size: int = 1) -> int:
        """Let 30 images and depth images per second come; return for how many depth was found."""
        stamps = [number * 1000 // 30 for number in range(count)]
        events = [(stamp + image_delay, self.image, (stamp,)) for stamp in stamps]
        events += [(stamp + depth_delay, self.depth, (stamp, size)) for stamp in stamps]
        for self.time, take, arguments in sorted(events, key=lambda each: each[0]):
            take(*arguments)
        return sum(each.done() and each.exception() is None for each in self.futures)


@pytest.fixture
def camera(monkeypatch):
    camera = Camera()
    monkeypatch.setattr(matching.time, 'monotonic', lambda: camera.time / 1000)
    return camera


@pytest.mark.parametrize('depth_first', [True, False])
def test_the_same_stamp(camera, depth_first):
    if depth_first:
        message = camera.depth(2000)
    future = camera.image(2000)
    if not depth_first:
        assert not future.done()
        message = camera.depth(2000)
    assert future.result() == (message.content, CameraInfo(width=7))
    assert (camera.input.unmatched, camera.input.fault) == (0, '')


def test_stamps_that_do_not_advance(camera):
    """The oldest of equal stamps is up to a second old."""
    for camera.time in range(0, 900, 100):
        newest = camera.depth(0)
    assert camera.image(0).result()[0] is newest.content


def test_the_nearest_one_even_if_it_comes_later(camera):
    camera.depth(1970)
    future = camera.image(2000)
    assert not future.done()
    after = camera.depth(2010)
    assert future.result()[0] == after.content


def test_an_older_one_that_is_near_enough_if_no_newer_one_comes(camera):
    before = camera.depth(1970)
    future = camera.image(2000)
    camera.time = 990
    camera.image(2980)
    assert not future.done()
    camera.time = 1001
    camera.depth(1971)
    camera.image(3000)
    assert (
        future.result()[0].header.stamp.nanosec - before.content.header.stamp.nanosec == 1_000_000
    )


@pytest.mark.parametrize(
    ('image_delay', 'depth_delay'), [(0, 0), (300, 0), (0, 400), (900, 0), (0, 900), (500, 400)]
)
def test_what_is_late_up_to_a_second_is_found(camera, image_delay, depth_delay):
    # Of the last images, the depth is still on its way.
    assert camera.play(90, image_delay, depth_delay) == 90


@pytest.mark.parametrize(
    ('image_delay', 'depth_delay', 'reason'),
    [
        (1500, 0, r'0\.\d+ s newer than the image, .* comes more than 1 s late'),
        (0, 1500, r'no depth image has come for 1 s|older .* comes more than 1 s late'),
    ],
)
def test_what_is_later(camera, image_delay, depth_delay, reason):
    assert camera.play(90, image_delay, depth_delay) == 0
    failed = [each for each in camera.futures if each.done()]
    assert camera.input.unmatched == len(failed) > 40
    with pytest.raises(SourceError, match=reason):
        failed[-1].result()
    assert camera.input.fault == str(failed[-1].exception())


def test_memory_is_bounded(camera, monkeypatch):
    monkeypatch.setattr(matching, 'MEMORY', 5 * 2**20)
    assert camera.play(30, 100, 0, size=2**20) == 30
    camera.futures.clear()
    assert camera.play(30, 300, 0, size=2**20) < 6


def test_too_far_away(camera):
    camera.depth(1900)
    camera.depth(1940)
    future = camera.image(2000)
    camera.depth(2065)
    camera.depth(2100)
    with pytest.raises(SourceError, match=r'0\.060 s older than the image.* is 0\.05 s:'):
        future.result()


def test_without_calibration_or_depth(camera):
    camera.input = DepthInput(0.05)
    future = camera.image(2000)
    camera.time = 1100
    second = camera.image(3100)
    with pytest.raises(SourceError, match='no camera_info has come'):
        future.result()
    camera.input.add_info(CameraInfo(width=7))
    camera.time = 2200
    third = camera.image(4200)
    with pytest.raises(SourceError, match='no depth image has come'):
        second.result()
    message = camera.depth(4200)
    assert third.result() == (message.content, CameraInfo(width=7))
    assert camera.input.fault == ''


def test_time_that_goes_back(camera):
    for stamp in (9000, 9100):
        camera.depth(stamp)
    again = camera.depth(1000)
    assert camera.image(1000).result()[0] == again.content
    assert not camera.image(1100).done()


def test_a_damaged_depth_image(camera):
    camera.input.add_depth(Message(Image, b'\0\1\0\0' + bytes(8)))
    with pytest.raises(SourceError, match='no Image'):
        camera.image(0).result()
