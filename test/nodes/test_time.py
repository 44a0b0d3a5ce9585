"""Bag loops, and stamps that do not tell the time."""

from __future__ import annotations

import time

import pytest
from builtin_interfaces.msg import Time
from node_runs import found, stamp
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

NEWS = 'the tracks end here'
PERSON = (270, 125, 60, 150, 0.9)


@pytest.fixture
def run(start, peer):
    """Return a function that starts a tracker and returns it, and one that shows a person."""

    def run(**parameters):
        process = start('tracker_node', input='detections', tracker__n_init=1, **parameters)
        publisher = peer.publisher(Detection2DArray, 'detections')

        def show_at(seconds, x=0):
            """Show the person at a time; return the ids."""
            message = found(Header(stamp=stamp(seconds)), (x, *PERSON[1:]))
            answer = peer.ask(lambda: publisher.publish(message), message.header)
            return {int(detection.id) for detection in answer.detections}

        return process, show_at

    return run


def news(process):
    return [line for line in process.lines if NEWS in line]


def test_stamps_that_go_back(run, peer):
    process, show = run()
    first = show(100.0) | show(100.1, 1)
    assert show(99.5, 2) == first  # less than the threshold: images out of order
    again = show(50.0)
    assert min(again) > max(first)  # other persons, whose ids go on
    show(50.1, 1)
    process.wait_for(rf'WARN.*stamps went back by 49\.500 s: {NEWS}, ids go on')
    assert len(news(process)) == 1
    assert peer.set(time__jump_threshold=5.0).successful
    assert show(46.0) == again
    assert len(news(process)) == 1


@pytest.mark.parametrize(
    ('stamp_of', 'fault'),
    [
        (Time, 'are 0, as of a driver that never sets header.stamp'),
        (lambda: Time(sec=int(time.time())), '(have whole seconds|do not advance)'),
    ],
)
def test_stamps_that_do_not_tell_the_time(start, peer, stamp_of, fault):
    """A person who stays keeps the id."""
    process = start('tracker_node', input='detections')
    publisher = peer.publisher(Detection2DArray, 'detections')

    def publish():
        publisher.publish(found(Header(stamp=stamp_of()), PERSON))

    timer = peer.node.create_timer(0.1, publish)
    peer.until(lambda: len(peer.tracks) > 35, 'tracks')
    peer.node.destroy_timer(timer)
    process.wait_for(f'WARN.*/detections, published by /peer: the stamps {fault}')
    ids = {each.id for message in peer.tracks[20:] for each in message.detections}
    assert len(ids) == 1
    assert process.output.count('WARN') == 1
