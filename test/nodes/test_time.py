"""Bag loops and jumps of the clock."""

from __future__ import annotations

import itertools
import time

import pytest
from builtin_interfaces.msg import Time
from node_runs import found, stamp
from rosgraph_msgs.msg import Clock
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

    assert peer.set(time__restart_ids=True, time__jump_threshold=5.0).successful
    assert show(46.0) == again
    assert 1 in show(40.0) | show(40.1, 1) | show(40.2, 2)
    process.wait_for(f'WARN.*{NEWS}, ids start at 1')
    assert len(news(process)) == 2


def test_a_clock_that_jumps(run, peer):
    process, show = run(use_sim_time=True)
    publisher, status, clock = peer.publisher(Clock, '/clock', 1), peer.diagnostics(), Clock()
    # Again and again, as simulators do.
    peer.node.create_timer(0.05, lambda: clock.clock.sec and publisher.publish(clock))

    def set_clock(seconds):
        clock.clock.sec = seconds
        peer.until(lambda: status.stamp == clock.clock, f'time {seconds}')

    # The clock starts when images have already come.
    first = show(100.0)
    set_clock(100)
    assert show(100.1, 1) == first

    # The clock goes back first, with an image from before still on its way.
    set_clock(10)
    process.wait_for(rf'WARN.*clock jumped by -90\.000 s: {NEWS}')
    late = show(100.2, 2)
    again = show(10.0)
    assert not again & (first | late)
    assert show(10.1, 1) == again
    # The image that was late is followed by stamps that go back.
    assert len(news(process)) == 2

    # The images go back first.
    set_clock(100)
    process.wait_for(r'WARN.*clock jumped by 90\.000 s')  # or leaps ahead
    second = show(100.0)
    assert not second & again
    third = show(20.0)
    assert not third & second
    process.wait_for('WARN.*stamps went back by 80')
    set_clock(20)
    assert show(20.1, 1) == third
    assert len(news(process)) == 4


def alternate(*stamps):
    """Return a function that gives the stamps of clocks in turn."""
    turns = itertools.cycle(stamps)
    return lambda: next(turns)()


@pytest.mark.parametrize(
    ('stamp_of', 'fault', 'most'),
    [
        (Time, 'are 0, as of a driver that never sets header.stamp', 1),
        (lambda: Time(sec=int(time.time())), 'have whole seconds only', 1),
        (
            alternate(lambda: stamp(time.time()), lambda: stamp(time.monotonic() + 10**6)),
            'go back and forth, as of',
            10,
        ),
        (
            lambda: Time(sec=int(time.time()), nanosec=1_500_000_000),
            'have a nanosec above 999999999',
            2,
        ),
    ],
)
def test_stamps_that_do_not_tell_the_time(start, peer, stamp_of, fault, most):
    """A person who stays keeps the id."""
    process = start('tracker_node', input='detections')
    publisher = peer.publisher(Detection2DArray, 'detections')

    def publish():
        publisher.publish(found(Header(stamp=stamp_of()), PERSON))

    timer = peer.node.create_timer(0.1, publish)
    warning = f'WARN.*/detections, published by /peer: the stamps {fault}'
    peer.until(lambda: len(peer.tracks) > 35, 'tracks')
    peer.node.destroy_timer(timer)
    process.wait_for(warning)
    ids = {each.id for message in peer.tracks[20:] for each in message.detections}
    assert len(ids) == 1
    # Two clocks are jumps first; with one nanosec only, the seconds advance.
    warnings = [line for line in process.lines if 'WARN' in line]
    assert sum(fault in line for line in warnings) == 1
    assert len(warnings) <= most, warnings
