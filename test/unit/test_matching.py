"""Messages of several topics, joined by their stamps; and what is taken from detections."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from persontrack_ros.core.messages import message_to_detections
from persontrack_ros.ros.inputs import WAITING
from persontrack_ros.ros.inputs import StampMatcher
from persontrack_ros.ros.inputs import WhileIdle
from persontrack_ros.ros.losses import UNNUMBERED
from persontrack_ros.ros.losses import LossCounter


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
    found, sources = message_to_detections(message, 'person')
    assert sources == [1, 6]
    assert np.array_equal(found.boxes, [[9, 16, 4, 8], [13, 16, 4, 8]])
    assert found.scores.tolist() == [0.6, 1.0]
    assert message_to_detections(message, 'person', 0.7)[1] == [6]
    found, sources = message_to_detections(message, None, image_size=(64, 48))
    assert sources == [0, 1, 2, 6]
    assert found.scores.tolist() == [0.9, 0.9, 1.0, 1.0]
    assert found.image_size == (64, 48)
    assert len(message_to_detections(Detection2DArray(), 'person')[0]) == 0


@pytest.mark.parametrize(
    ('publishers', 'numbers', 'lost', 'counts'),
    [
        (1, [7, 8, 9], 0, True),
        (1, [7, 10, 11, 13], 3, True),
        # Another publisher, or the same one started again.
        (1, [7, 1, 2, 4], 1, True),
        # Each counts for itself.
        (2, [7, 100, 8, 101], 0, False),
        (1, [None, None, 5, None, 9], 0, False),
        (1, [UNNUMBERED, UNNUMBERED], 0, False),
    ],
)
def test_what_never_came_is_counted_by_the_numbers_of_one_publisher(
    publishers, numbers, lost, counts
):
    counter = LossCounter(lambda: publishers)
    for number in numbers:
        counter.add(number)
    assert (counter.lost, counter.counts) == (lost, counts)


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
    loss = LossCounter(lambda: 1)
    for number in numbers:
        loss.add(number)
    group = WhileIdle(SimpleNamespace(busy=busy))
    group.losses = loss if closes else None
    assert group.can_execute(None) == group.beginning_execution(None) == taken
