"""Time that goes back is noticed once, whoever notices first."""

from __future__ import annotations

from persontrack_ros.ros.timeline import Timeline

SECOND = 10**9


def run(*events, threshold=1.0):
    """Return what each stamp in seconds, or jump of the clock (delta, now), leads to."""
    timeline = Timeline()
    results = []
    for event in events:
        if isinstance(event, tuple):
            delta, now = event
            before = round((now - delta) * SECOND)
            results.append(timeline.clock_jumped(before, now * SECOND, threshold))
        else:
            results.append(timeline.advance(round(event * SECOND), threshold))
    return results


NOTHING = (False, 0.0)
SILENT = (True, 0.0)


def test_stamps_alone():
    assert run(5, 6, 5.5, 5.5, 4.5, 8, 2) == [*[NOTHING] * 6, (True, 6.0)]


def test_the_threshold():
    assert run(5, 0, threshold=5.0) == [NOTHING, NOTHING]
    assert run(5, 4, threshold=0.0) == [NOTHING, (True, 1.0)]


def test_the_clock_first():
    assert run(100, (-90, 10), 10, 11) == [NOTHING, True, SILENT, NOTHING]


def test_the_clock_first_and_a_late_image():
    assert run(100, (-90, 10), 100.1, 10, 11) == [NOTHING, True, SILENT, SILENT, NOTHING]
    # Only once: the next time is news.
    assert run(100, (-90, 10), 100.1, 10, 5)[-1] == (True, 5.0)


def test_the_images_first():
    assert run(100, 10, (-90, 10), 11) == [NOTHING, (True, 90.0), False, NOTHING]


def test_every_loop_of_a_bag_is_news():
    loop = [(-90, 10), 10, 100]
    assert run(10, 100, *loop, *loop).count(True) == 2
    assert run(10, 100, 10, 100, 10)[2::2] == [(True, 90.0), (True, 90.0)]


def test_small_jumps_of_the_clock_mean_nothing():
    assert run(100, (-0.5, 99), (30, 130), 101) == [NOTHING, False, False, NOTHING]


def test_a_leap_ahead():
    assert run(100, (1000, 1100), 1100, 50) == [NOTHING, True, SILENT, (True, 1050.0)]


def test_before_the_first_image():
    assert run((-90, 10), (1000, 1010), 5) == [False, False, NOTHING]


def test_a_clock_that_starts_after_the_first_image():
    assert run(100, (100, 100), 101, (-90, 10)) == [NOTHING, False, NOTHING, True]
