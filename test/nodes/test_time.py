"""Bag loops, and stamps that do not tell the time."""

from __future__ import annotations

import time

import pytest
from builtin_interfaces.msg import Time
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

SECOND = 10**9
NEWS = 'the tracks end here'


def stamped(message, seconds):
    message.header.stamp = Time(sec=int(seconds), nanosec=round((seconds - int(seconds)) * SECOND))
    return message


@pytest.fixture
def show(peer, pictures, to_message):
    """Return a function that shows the node one image and returns the ids in it."""

    def show_at(seconds, picture=0):
        answer = peer.track(stamped(to_message(pictures[picture]), seconds))
        assert len(answer.detections) >= 2
        return {int(detection.id) for detection in answer.detections}

    return show_at


def news(process):
    return [line for line in process.lines if NEWS in line]


def test_stamps_that_go_back(models, start, peer, show):
    process = start('tracker_node', reid__model='color', tracker__n_init=1)
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    first = show(100.0) | show(100.1, 1)
    assert len(show(99.5, 2) & first) >= 2  # less than the threshold: images out of order
    again = show(50.0)
    assert min(again) > max(first)  # other persons, whose ids go on
    show(50.1, 1)
    process.wait_for(rf'WARN.*stamps went back by 49\.500 s: {NEWS}, ids go on')
    assert len(news(process)) == 1

    assert peer.set(time__restart_ids=True, time__jump_threshold=5.0).successful
    assert len(show(46.0) & again) >= 2
    assert 1 in show(40.0) | show(40.1, 1) | show(40.2, 2)
    process.wait_for(f'WARN.*{NEWS}, ids start at 1')
    assert len(news(process)) == 2


class Detector:
    """Publishes detections of one person, ten times a second."""

    def __init__(self, peer):
        self._peer = peer
        self._publisher = peer.node.create_publisher(Detection2DArray, 'detections', 5)
        peer.until(self._publisher.get_subscription_count, 'subscription of detections')
        peer.until_known_by()

    def show(self, seconds, stamp_of, present=True):
        """Show the person, or nobody, for some time; return the messages of tracks."""
        seen = len(self._peer.tracks)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            due = time.monotonic() + 0.1
            message = Detection2DArray()
            message.header.stamp = stamp_of()
            message.detections = [person()] * present
            self._publisher.publish(message)
            while time.monotonic() < due:
                self._peer.spin_once()
        return self._peer.tracks[seen:]


def ids(messages):
    return {each.id for message in messages for each in message.detections}


def person():
    detection = Detection2D()
    detection.bbox.center.position.x, detection.bbox.center.position.y = 300.0, 200.0
    detection.bbox.size_x, detection.bbox.size_y = 60.0, 150.0
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = 'person', 0.9
    detection.results = [result]
    return detection


@pytest.mark.parametrize(
    ('stamp_of', 'fault'),
    [
        (Time, 'are 0, as of a driver that never sets header.stamp'),
        (lambda: Time(sec=int(time.time())), 'do not advance, or only once a second'),
    ],
)
def test_stamps_that_do_not_tell_the_time(start, peer, stamp_of, fault):
    """Who stays keeps the id, and who was away for longer than the node waits gets another."""
    process = start('tracker_node', input='detections')
    process.wait_for('tracking the persons')
    detector = Detector(peer)
    first = ids(detector.show(4, stamp_of)[15:])
    assert len(first) == 1
    assert not ids(detector.show(3, stamp_of, present=False)[-1:])
    second = ids(detector.show(2, stamp_of))
    assert len(second) == 1
    assert not first & second
    process.wait_for(f'WARN.*/detections, published by /peer: the stamps {fault}.*: going by the')
    warnings = [line for line in process.lines if 'WARN' in line]
    assert len(warnings) == 1, warnings
