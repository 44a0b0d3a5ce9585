"""The line of each frame in the log at the level debug."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from persontrack_ros.core.base.detections import Detections

LoggingSeverity = pytest.importorskip('rclpy.logging').LoggingSeverity
Header = pytest.importorskip('std_msgs.msg').Header
ImageLog = pytest.importorskip('persontrack_ros.ros.tracker.image_log').ImageLog


class Logger:
    """Keeps the lines."""

    def __init__(self, level):
        self.level = level
        self.lines = []

    def is_enabled_for(self, severity):
        return severity >= self.level

    def debug(self, line):
        assert self.is_enabled_for(LoggingSeverity.DEBUG)
        self.lines.append(line)


@pytest.fixture
def write():
    """Return a function that logs a frame and returns its line."""
    logger = Logger(LoggingSeverity.DEBUG)
    log = ImageLog(SimpleNamespace(get_logger=lambda: logger))

    def write(tracks, detections=2, **missing):
        header = Header()
        header.stamp.sec, header.stamp.nanosec = 12, 579_000_000
        detected = None
        if detections is not None:
            detected = Detections.create([[0, 0, 9, 9]] * detections, [1.0] * detections)
        result = SimpleNamespace(
            detections=detected,
            embedded=1,
            tracks=[SimpleNamespace(id=id_, detection=at) for id_, at in tracks.items()],
        )
        frame = SimpleNamespace(header=header, received=time.monotonic())
        log.write(frame, result, missing)
        return logger.lines.pop()

    return write


def test_detected_embedded_and_matched(write):
    line = write({1: 0, 2: None})
    assert line.startswith(
        'frame 12.579: 2 detections, 1 embedded, 1 of visible tracks; tracks 1 2, new 1 2; '
    )
    assert line.endswith(' ms after it came')
    assert 'tracks 2 3, new 3, lost 1;' in write({3: 0, 2: 1})
    assert 'tracks none, lost 2 3;' in write({})
    assert 'skipped by detector.interval, tracks are predicted; tracks 2' in write({2: None}, None)


def test_missing_since_the_frame_before(write):
    assert 'since' not in write({}, dropped=0, unmatched=0)
    assert write({}, dropped=3, unmatched=0).endswith('; since the one before: 3 dropped')
    line = write({}, dropped=4, unmatched=2)
    assert line.endswith('; since the one before: 1 dropped, 2 unmatched')
    assert 'since' not in write({}, dropped=4, unmatched=2)
    # The counts begin anew with each activation.
    assert write({}, dropped=1, unmatched=0).endswith('; since the one before: 1 dropped')


def test_no_line_at_other_levels():
    logger = Logger(LoggingSeverity.INFO)
    ImageLog(SimpleNamespace(get_logger=lambda: logger)).write(None, None, {})
    assert logger.lines == []
