"""Bag loops and jumps of the clock."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock

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


@pytest.fixture
def set_clock(peer):
    """Return a function that stops the clock at a time and waits until the node knows."""
    publisher = peer.node.create_publisher(Clock, '/clock', 1)
    clock, status = Clock(), []
    peer.node.create_subscription(DiagnosticArray, '/diagnostics', status.append, 10)

    def tick():
        if clock.clock.sec:
            publisher.publish(clock)

    # Again and again, as simulators do.
    peer.node.create_timer(0.05, tick)

    def set_to(seconds):
        clock.clock.sec = seconds
        peer.until(lambda: status and status[-1].header.stamp == clock.clock, f'time {seconds}')

    return set_to


def test_a_clock_that_jumps(models, start, peer, show, set_clock):
    process = start('tracker_node', use_sim_time=True, reid__model='color', tracker__n_init=1)
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    # The clock starts when images have already come.
    first = show(100.0)
    set_clock(100)
    assert len(show(100.1, 1) & first) >= 2

    # The clock goes back first, with an image from before still on its way.
    set_clock(10)
    process.wait_for(rf'WARN.*clock jumped by -90\.000 s: {NEWS}')
    late = show(100.2, 2)
    again = show(10.0)
    assert not again & (first | late)
    assert len(show(10.1, 1) & again) >= 2
    assert len(news(process)) == 1

    # The images go back first.
    set_clock(100)
    process.wait_for(r'WARN.*clock jumped by 90\.000 s')  # or leaps ahead
    second = show(100.0)
    assert not second & again
    third = show(20.0)
    assert not third & second
    process.wait_for('WARN.*stamps went back by 80')
    set_clock(20)
    assert len(show(20.1, 1) & third) >= 2
    assert len(news(process)) == 3
