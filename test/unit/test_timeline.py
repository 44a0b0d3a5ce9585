"""The time of a stream: jumps are told of once, and stamps that do not tell it are found out."""

import random

import pytest

from persontrack_ros.core.base.timeline import Timeline

SECOND = 10**9


def moments_of(stamps, arrivals, threshold=1.0):
    """Return what is known of images by their stamps and arrivals, in seconds."""
    timeline = Timeline()
    return [
        timeline.advance(round(stamp * SECOND), round(arrival * SECOND), threshold)
        for stamp, arrival in zip(stamps, arrivals)
    ]


@pytest.mark.parametrize(
    ('stamps', 'threshold', 'expected'),
    [
        ((5, 6, 5.5, 5.6, 4.7, 8, 2), 1.0, [''] * 6 + ['went back by 6.000 s']),
        ((6, 1), 5.0, ['', '']),
        ((5, 4), 0.0, ['', 'went back by 1.000 s']),
        ((100, 1000, 10), 1.0, ['', 'leapt ahead by 900.000 s', 'went back by 990.000 s']),
        ((10, 40, 70, 100, 10, 40), 1.0, [''] * 4 + ['went back by 90.000 s', '']),
    ],
)
def test_jumps(stamps, threshold, expected):
    moments = moments_of(stamps, range(len(stamps)), threshold)
    assert [moment.jump for moment in moments] == expected
    assert not any(moment.faults for moment in moments)


def play(stamps, arrivals):
    """Return when each image was taken (seconds since the first), jumps and faults."""
    moments = moments_of(stamps, arrivals)
    times = [(one.time - moments[0].time) / SECOND for one in moments]
    told = [one.jump for one in moments if one.jump]
    return times, told, [fault for one in moments for fault in one.faults]


# 20 s at 25 images per second, of 2023.
LIVE = [0.04 * number for number in range(500)]
STAMPS = [1_700_000_000.3 + time for time in LIVE]


def bursts(times):
    """Five images come at once, when the last one does."""
    return [times[min(number // 5 * 5 + 4, len(times) - 1)] for number in range(len(times))]


def stalls(times):
    """Nothing comes for 3 s, then all that waited at once."""
    return [time if not 5 < time < 8 else 7.99 + time / 1000 for time in times]


def jitter(times):
    generator = random.Random(1)
    return sorted(time + generator.uniform(0, 0.3) for time in times)


WAYS = {
    'live': list,
    'bursts': bursts,
    'stalls': stalls,
    'jitter': jitter,
    'slow': lambda times: [10 * time for time in times],
    'very slow': lambda times: [1000 * time for time in times],
    'fast': lambda times: [time / 10 for time in times],
    'very fast': lambda times: [time / 1000 for time in times],
    'all at once': lambda times: [0.0 for _ in times],
    'paused': lambda times: [time + 900 * (time > 4) + 900 * (time > 4.1) for time in times],
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize(
    'stamps',
    [
        STAMPS,
        # Whole seconds of a camera with one image in two seconds.
        [1_700_000_000.0 + 2 * number for number in range(100)],
        # An hour is left out, while nothing was recorded.
        [time + 50 * (time > 1_700_000_005) for time in STAMPS],
        # Images are lost.
        [time for number, time in enumerate(STAMPS) if number % 7 not in (0, 3)],
        # Some are there twice.
        sorted(STAMPS + STAMPS[::6]),
    ],
    ids=['good', 'whole', 'gap', 'lost', 'twice'],
)
def test_stamps_that_are_right_count_however_they_come(way, stamps):
    own = [stamp - stamps[0] for stamp in stamps]
    arrivals = WAYS[way](own)
    times, told, faults = play(stamps, arrivals)
    assert times == pytest.approx(own, abs=1e-6)
    assert not told
    assert not faults


@pytest.mark.parametrize('way', ['live', 'bursts', 'stalls', 'jitter'])
@pytest.mark.parametrize(
    ('stamps', 'fault'),
    [
        ([0.0] * 500, 'are 0, as of a driver that never sets header.stamp'),
        ([7.25] * 500, 'do not advance, or only once a second'),
        ([float(int(time)) for time in STAMPS], 'do not advance, or only once a second'),
    ],
)
def test_stamps_that_do_not_tell_the_time(way, stamps, fault):
    arrivals = WAYS[way](LIVE)
    times, jumps, faults = play(stamps, arrivals)
    assert faults == [f'{fault}: going by the time of arrival']
    assert not jumps
    slow = 1.0 if len(set(stamps)) > 1 else 0.1
    assert times[-1] - times[20] == pytest.approx(arrivals[-1] - arrivals[20], abs=slow)


def test_milliseconds_for_nanoseconds():
    times, _, faults = play([7.25 + time / 1e6 for time in LIVE], LIVE)
    assert times[-1] - times[5] == pytest.approx(LIVE[-1] - LIVE[5], abs=1e-6)
    assert faults == ['do not advance, or only once a second: going by the time of arrival']


def test_a_stop_of_the_stream_is_no_leap():
    """The newest image comes right after one that waited, as where a slow node drops images."""
    stamps = [*STAMPS[:100], *(time + 4 for time in STAMPS[100:])]
    arrivals = [*LIVE[:99], 8.0, *(time + 4.001 for time in LIVE[100:])]
    times, _, faults = play(stamps, arrivals)
    assert times[-1] == pytest.approx(LIVE[-1] + 4)
    assert not faults


def test_a_leap_far_ahead_is_told_of_as_one_back():
    stamps = [time + 3600 * (number > 300) for number, time in enumerate(STAMPS)]
    times, told, faults = play(stamps, LIVE)
    assert told == ['leapt ahead by 3600.040 s']
    assert not faults
    assert times[-1] == pytest.approx(LIVE[-1] + 3600)
    # With the images, a time without any is none.
    late = [time + 3600 * (number > 300) for number, time in enumerate(LIVE)]
    assert play(stamps, late)[1:] == ([], [])


def test_stamps_that_stood_still():
    """Where they go on from there, time goes back to them."""
    stamps = [*STAMPS[:100], *[STAMPS[99]] * 100, *STAMPS[100:400]]
    _, told, faults = play(stamps, LIVE)
    assert told == ['went back by 3.920 s']
    assert len(faults) == 1


def test_stamps_are_trusted_again():
    """The second publisher is gone, or the driver has got the time."""
    stamps = [0.0] * 500 + [time + 20 for time in STAMPS]
    # Slower than it should be, to tell by what the time goes.
    arrivals = [*LIVE, *(20 + 3 * time for time in LIVE)]
    times, told, faults = play(stamps, arrivals)
    assert len(faults) == 1
    assert told == ['leapt ahead by 1700000000.340 s']
    assert times[-1] - times[501] == pytest.approx(STAMPS[-1] - STAMPS[1])


def test_stamps_for_others_than_the_tracker():
    """Nobody may look up by a stamp what arrival counts for."""

    def stamped(*stamps):
        arrivals = [number / 10 for number in range(len(stamps))]
        return [moment.stamped for moment in moments_of(stamps, arrivals)]

    tenths = [100 + number / 10 for number in range(20)]
    assert all(stamped(*tenths))
    assert stamped(0, 0, 0) == [True, False, False]
    assert stamped(*map(int, tenths))[2:] == [False] * 18
    assert stamped(*map(int, tenths), 102.1, 102.2)[-1]
