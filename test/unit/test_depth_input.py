"""Depth images are found for images by their stamps, in whatever order things come."""

from __future__ import annotations

import pytest
from sensor_msgs.msg import CameraInfo, Image

from persontrack_ros.ros.tracker.depth_input import WAITING, DepthInput

MILLISECOND = 1_000_000


def depth(milliseconds):
    message = Image()
    message.header.stamp.sec, rest = divmod(milliseconds, 1000)
    message.header.stamp.nanosec = rest * MILLISECOND
    return message


@pytest.fixture
def found():
    """An input that has a calibration, and a tolerance of 50 ms."""
    found = DepthInput(0.05)
    found.add_info(CameraInfo())
    return found


def expect(found, milliseconds):
    return found.expect(milliseconds * MILLISECOND)


@pytest.mark.parametrize('depth_first', [True, False])
def test_the_same_stamp(found, depth_first):
    message = depth(2000)
    if depth_first:
        found.add_depth(message)
    future = expect(found, 2000)
    if not depth_first:
        assert not future.done()
        found.add_depth(message)
    assert future.result() == (message, CameraInfo())
    assert found.unmatched == 0


def test_the_nearest_one_even_if_it_comes_later(found):
    before, after = depth(1970), depth(2010)
    found.add_depth(before)
    future = expect(found, 2000)
    assert not future.done()
    found.add_depth(after)
    assert future.result()[0] is after


def test_too_far_away(found):
    found.add_depth(depth(1940))
    future = expect(found, 2000)
    found.add_depth(depth(2060))
    assert future.cancelled()
    assert found.unmatched == 1


def test_nothing_without_calibration():
    found = DepthInput(0.05)
    found.add_depth(depth(2000))
    future = expect(found, 2000)
    assert not future.done()
    found.add_info(CameraInfo(width=7))
    assert future.result()[1].width == 7


def test_images_do_not_wait_for_ever(found):
    futures = [expect(found, 100 * i) for i in range(WAITING + 3)]
    assert [future.cancelled() for future in futures] == [True] * 3 + [False] * WAITING


def test_time_that_goes_back(found):
    for stamp in (9000, 9100):
        found.add_depth(depth(stamp))
    again = depth(1000)
    found.add_depth(again)
    assert expect(found, 1000).result()[0] is again
    assert not expect(found, 1100).done()
