"""Messages of several topics, joined by their stamps; and what is taken from detections."""

import math
import struct

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.messages import message_to_detections, stamp_to_nanoseconds
from persontrack_ros.ros.tracker import matching
from persontrack_ros.ros.tracker.input_topic import Message
from persontrack_ros.ros.tracker.matching import StampMatcher

IMAGE, FOUND = 'image', 'detections'
TOPICS = {IMAGE: '/image', FOUND: '/detections'}


class Stream:
    """Messages of two topics that come at given times."""

    def __init__(self):
        self.time = 0.0
        self.complete = []
        self.matcher = StampMatcher(TOPICS, self._take)

    def _take(self, messages):
        assert messages.keys() == TOPICS.keys()
        (stamp,) = {message.stamp for message in messages.values()}
        self.complete.append(round(stamp / 1e9, 3))

    def add(self, name, stamp, size=100):
        seconds, rest = divmod(round(stamp * 1e9), 10**9)
        self.matcher.add(
            name, Message(Header, struct.pack('<4sii', b'\0\1', seconds, rest) + bytes(size))
        )

    def play(self, rate, count, delay, size=100):
        """Let images come at a rate, and the detections of each after a delay."""
        events = [(number / rate, IMAGE, number / rate) for number in range(count)]
        events += [(moment + delay, FOUND, stamp) for moment, _, stamp in events]
        for self.time, name, stamp in sorted(events):
            self.add(name, stamp, size)


@pytest.fixture
def stream(monkeypatch):
    stream = Stream()
    monkeypatch.setattr(matching.time, 'monotonic', lambda: stream.time)
    return stream


@pytest.mark.parametrize(
    ('messages', 'complete', 'left'),
    [
        ([(IMAGE, 1), (FOUND, 1), (FOUND, 2), (IMAGE, 2)], [1, 2], 0),
        ([(IMAGE, 1), (IMAGE, 2), (FOUND, 1), (FOUND, 2)], [1, 2], 0),
        # Those older than a pair are dropped.
        ([(IMAGE, 1), (IMAGE, 2), (FOUND, 2), (FOUND, 1)], [2], 1),
        # Where time goes back, the order of arrival counts.
        ([(IMAGE, 9), (IMAGE, 1), (FOUND, 1), (IMAGE, 2), (FOUND, 2)], [1, 2], 1),
        ([(IMAGE, 0), (IMAGE, 0), (FOUND, 0), (IMAGE, 0)], [0], 1),
    ],
)
def test_in_any_order(stream, messages, complete, left):
    for name, second in messages:
        stream.add(name, second)
    assert (stream.complete, stream.matcher.unmatched.total()) == (complete, left)


@pytest.mark.parametrize(('rate', 'delay'), [(30, 1.5), (60, 0.7), (60, 1.9), (5, 0.01)])
def test_a_slow_detector_is_waited_for(stream, rate, delay):
    stream.play(rate, 100, delay)
    assert (len(stream.complete), stream.matcher.unmatched.total()) == (100, 0)
    assert stream.matcher.fault == ''


def test_a_detector_that_is_too_slow(stream):
    stream.play(30, 200, 3.1)
    assert stream.complete == []
    for name in TOPICS:
        assert stream.matcher.unmatched[name] + stream.matcher.waiting(name) == 200
    assert 'no messages of /image and /detections with the same stamps' in stream.matcher.fault
    assert 'within 2 s' in stream.matcher.fault
    stream.time += 10.0
    stream.add(IMAGE, 1000.0)
    stream.add(FOUND, 1000.0)
    assert stream.matcher.fault == ''


def test_memory_is_bounded(stream, monkeypatch):
    monkeypatch.setattr(matching, 'MEMORY', 10 * 2**20)
    stream.play(30, 60, 1.5, size=2**20)
    assert len(stream.complete) < 10
    assert 'or 10 MiB of them' in stream.matcher.fault


def test_a_detector_that_leaves_images_out_is_no_fault(stream):
    for step in range(90):
        stream.time = step / 30
        stream.add(IMAGE, stream.time)
        if step % 10 == 0:
            stream.add(FOUND, stream.time)
            assert stream.matcher.fault == ''
    assert len(stream.complete) == 9


def test_messages_as_they_come():
    image = Image(width=7, encoding='mono8', data=[1, 2, 3])
    image.header.stamp.sec, image.header.stamp.nanosec = -3, 999_999_999
    message = Message(Image, serialize_message(image))
    assert message.stamp == stamp_to_nanoseconds(image.header)
    assert message.content == image


@pytest.mark.parametrize('data', [b'', b'\0\1\0\0', b'\0\1\0\0' + bytes(8), bytes(range(200))])
def test_bytes_that_are_no_message(data):
    message = Message(Image, data)
    assert isinstance(message.stamp, int)
    with pytest.raises(SourceError, match='no Image'):
        _ = message.content


def detection(x=10.0, width=4.0, *classes):
    message = Detection2D()
    message.bbox.center.position.x, message.bbox.center.position.y = x, 20.0
    message.bbox.size_x, message.bbox.size_y = width, 8.0
    for class_id, score in classes:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, score
        message.results.append(result)
    return message


def test_which_detections_are_taken():
    message = Detection2DArray(
        detections=[
            detection(10.0, 4.0, ('car', 0.9)),
            detection(11.0, 4.0, ('car', 0.9), ('person', 0.6)),
            detection(12.0, 4.0),
            detection(math.nan, 4.0, ('person', 0.9)),
            detection(13.0, 0.0, ('person', 0.9)),
            detection(14.0, 4.0, ('person', math.nan)),
            detection(15.0, 4.0, ('person', 1.5)),
        ]
    )
    found, sources, refused = message_to_detections(message, 'person')
    assert (sources, refused) == ([1, 6], 3)
    assert np.array_equal(found.boxes, [[9, 16, 4, 8], [13, 16, 4, 8]])
    assert found.scores.tolist() == [0.6, 1.0]
    assert message_to_detections(message, 'person', 0.7)[1] == [6]
    found, sources, _ = message_to_detections(message, None, image_size=(64, 48))
    assert sources == [0, 1, 2, 6]
    assert found.scores.tolist() == [0.9, 0.9, 1.0, 1.0]
    assert found.image_size == (64, 48)
    assert len(message_to_detections(Detection2DArray(), 'person')[0]) == 0


@pytest.mark.parametrize('place', ['x', 'y', 'size_x', 'size_y'])
@pytest.mark.parametrize('value', [math.nan, math.inf, -5.0, 0.0, 5e-324, 1e-308, 1e-30, 1e300])
def test_what_no_person_can_have_is_refused(place, value):
    message = Detection2DArray(detections=[detection(20.0, 4.0, ('person', 0.9))] * 2)
    wrong = detection(20.0, 4.0, ('person', 0.9))
    target = wrong.bbox if place.startswith('size') else wrong.bbox.center.position
    setattr(target, place, value)
    message.detections.append(wrong)
    found, sources, refused = message_to_detections(message, 'person')
    fine = place in 'xy' and abs(value) < 1e3
    assert (refused, len(found), len(sources)) == ((0, 3, 3) if fine else (1, 2, 2))
