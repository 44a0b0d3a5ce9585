"""Messages of several topics, joined by their stamps; and what is taken from detections."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from persontrack_ros.core.messages import message_to_detections
from persontrack_ros.ros.tracker.inputs import WAITING, StampMatcher, WhileIdle
from persontrack_ros.ros.tracker.losses import UNNUMBERED, LossCounter


class Message:
    def __init__(self, second):
        self.header = Header()
        self.header.stamp.sec = second


def matched(*messages):
    """Return the seconds that are complete after (name, second), and the number left over."""
    complete = []
    matcher = StampMatcher(
        ('image', 'detections'), lambda image, detections: complete.append(image)
    )
    for name, second in messages:
        matcher.add(name, Message(second))
    return [message.header.stamp.sec for message in complete], matcher.unmatched


def test_in_any_order():
    image, found = 'image', 'detections'
    assert matched((image, 1), (found, 1), (found, 2), (image, 2)) == ([1, 2], 0)
    assert matched((image, 1), (image, 2), (found, 1), (found, 2)) == ([1, 2], 0)


def test_what_is_older_than_a_pair_is_dropped():
    image, found = 'image', 'detections'
    assert matched((image, 1), (image, 2), (found, 2), (found, 1)) == ([2], 1)
    # Also where time goes back: the order of arrival counts.
    assert matched((image, 9), (image, 1), (found, 1), (image, 2), (found, 2)) == ([1, 2], 1)


def test_waiting_ends():
    lonely = [('image', second) for second in range(WAITING + 5)]
    assert matched(*lonely) == ([], 5)
    assert matched(*lonely, ('detections', 0), ('detections', 10)) == ([10], 5 + 1 + 4)


def test_one_topic():
    complete = []
    matcher = StampMatcher(('image',), lambda image: complete.append(image))
    for second in (1, 1, 0):
        matcher.add('image', Message(second))
    assert len(complete) == 3


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


@pytest.mark.parametrize(
    ('messages', 'lost', 'counts'),
    [
        # Each message is what publishers there are, and its number.
        ('A7 A8 A9', 0, True),
        ('A7 A10 A11 A13', 3, True),
        # Started again, when it is another publisher; or somebody has come and gone unseen.
        ('A7 B1 B2 B4', 1, True),
        ('A7 A1 A8 A9 A11', 1, True),
        ('A100 B500 B502', 1, True),
        # Each counts for itself, and goes on where it was when the other one has left.
        ('AB7 AB100 AB8 AB101', 0, False),
        ('A100 AB1 A101 A102 A104', 1, True),
        ('A100 AB1 AB101 A102 A104', 1, True),
        # Nobody else would be at the number that was due.
        ('A100 AB101 A103', 1, True),
    ],
)
def test_what_never_came_is_counted_by_the_numbers_of_one_publisher(messages, lost, counts):
    publishers = set()
    counter = LossCounter(lambda: set(publishers))
    for message in messages.split():
        number = message.lstrip('AB')
        publishers = {each.encode() for each in message.removesuffix(number)}
        counter.add(int(number))
    assert (counter.lost, counter.counts) == (lost, counts)


@pytest.mark.parametrize('number', [None, UNNUMBERED])
def test_without_numbers_nothing_is_known(number):
    counter = LossCounter(lambda: {b'A'})
    for _ in range(3):
        counter.add(number)
    assert (counter.lost, counter.counts) == (0, False)


def test_what_nobody_will_take_is_lost():
    counter = LossCounter(lambda: {b'A'})
    counter.add(7)
    counter.drop([10])
    assert counter.lost == 3


@pytest.mark.parametrize(
    ('closes', 'numbers', 'busy', 'taken'),
    [
        (True, [1, 2], True, False),
        (True, [1, 2], False, True),
        # A longer queue would be worked off from its old end.
        (False, [1, 2], True, True),
        # Nobody else would count what is dropped.
        (True, [None], True, True),
    ],
)
def test_images_are_left_in_the_middleware_while_nobody_has_time(closes, numbers, busy, taken):
    loss = LossCounter(lambda: {b'A'})
    for number in numbers:
        loss.add(number)
    group = WhileIdle(SimpleNamespace(busy=busy))
    group.losses = loss if closes else None
    assert group.can_execute(None) == group.beginning_execution(None) == taken
