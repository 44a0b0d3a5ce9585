"""What the log says of each image at the level debug."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')

from rclpy.logging import LoggingSeverity
from std_msgs.msg import Header

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.ros.tracker.image_log import ImageLog


class Logger:
    """Keeps what is said."""

    def __init__(self, level):
        self.level = level
        self.lines = []

    def is_enabled_for(self, severity):
        return severity >= self.level

    def debug(self, line):
        assert self.is_enabled_for(LoggingSeverity.DEBUG)
        self.lines.append(line)


@pytest.fixture
def tell():
    """Return a function that tells of an image and returns what is said of it."""
    logger = Logger(LoggingSeverity.DEBUG)
    log = ImageLog(SimpleNamespace(get_logger=lambda: logger))

    def tell(tracks, detections=2, **losses):
        header = Header()
        header.stamp.sec, header.stamp.nanosec = 12, 579_000_000
        found = None
        if detections is not None:
            found = Detections.create([[0, 0, 9, 9]] * detections, [1.0] * detections)
        outcome = SimpleNamespace(
            detections=found,
            embedded=1,
            tracks=[SimpleNamespace(id=id, detection=at) for id, at in tracks.items()],
        )
        frame = SimpleNamespace(header=header, received=time.monotonic())
        log.tell(frame, outcome, losses)
        return logger.lines.pop()

    return tell


def test_found_looked_at_and_matched(tell):
    line = tell({1: 0, 2: None})
    assert line.startswith(
        'image 12.579: 2 detections, 1 looked at, 1 of visible tracks; tracks 1 2, new 1 2; '
    )
    assert line.endswith(' ms after it came')
    assert 'tracks 2 3, new 3, gone 1;' in tell({3: 0, 2: 1})
    assert 'tracks none, gone 2 3;' in tell({})
    assert 'left out by detector.interval, tracks are predicted; tracks 2' in tell({2: None}, None)


def test_what_got_lost_since_the_image_before(tell):
    assert 'since' not in tell({}, lost=0, unmatched=0)
    assert tell({}, lost=3, unmatched=0).endswith('; since the one before: 3 lost')
    assert tell({}, lost=4, unmatched=2).endswith('; since the one before: 1 lost, 2 unmatched')
    assert 'since' not in tell({}, lost=4, unmatched=2)
    # The counts begin anew with each activation.
    assert tell({}, lost=1, unmatched=0).endswith('; since the one before: 1 lost')


def test_nothing_is_said_at_other_levels():
    logger = Logger(LoggingSeverity.INFO)
    ImageLog(SimpleNamespace(get_logger=lambda: logger)).tell(None, None, {})
    assert logger.lines == []
