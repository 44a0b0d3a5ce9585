"""Bags whose stamps do not tell the time, by the writer of the MCAP project."""

from types import SimpleNamespace

import numpy as np
import pytest
from test_mcap import write

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import track_images
from persontrack_ros.core.base.messages import stamp_to_nanoseconds

SECOND = 10**9


class Pipeline:
    """Notes what it is asked for."""

    def __init__(self):
        self.times = []
        self.restarts = []

    def process(self, image, stamp):
        self.times.append(stamp)
        return SimpleNamespace(tracks=[])

    def restart(self):
        self.restarts.append(len(self.times))


def track(path, capsys, stamps):
    write(path, count=60, stamps=stamps)
    pipeline = Pipeline()
    with BagReader(path, pytest.fail) as bag:
        images = [image for image, *_ in track_images(bag, bag.choose_image_topic(), pipeline)]
    lines = capsys.readouterr().err.splitlines()
    # What is published has the stamps of the images.
    own = [stamp_to_nanoseconds(one.header) for one in images]
    assert own == [sec * SECOND + nanosec for sec, nanosec in stamps]
    return np.diff(pipeline.times) / 1e9, pipeline.restarts, lines


@pytest.mark.parametrize(
    ('stamps', 'fault'),
    [
        ([(0, 0)] * 60, 'are 0, as of a driver that never sets header.stamp'),
        (
            [(1_700_000_000 + number // 25, 0) for number in range(60)],
            'do not advance, or only once a second',
        ),
    ],
)
def test_the_time_of_recording_counts(tmp_path, capsys, stamps, fault):
    steps, restarts, lines = track(tmp_path / 'bag.mcap', capsys, stamps)
    # The first steps are known only afterwards.
    assert steps[25:] == pytest.approx([0.04] * 34)
    assert steps.sum() == pytest.approx(0.04 * 59)
    assert restarts == []
    topic = '/camera/image_raw/compressed'
    (line,) = lines
    assert line.endswith(f'stamps of {topic} {fault}: going by the time of recording')


def test_a_recorded_loop_ends_the_tracks_as_in_the_node(tmp_path, capsys):
    stamps = [(5 + number % 40, 0) for number in range(60)]
    steps, restarts, lines = track(tmp_path / 'bag.mcap', capsys, stamps)
    assert restarts == [40]
    (line,) = lines
    assert line.endswith('compressed went back by 39.000 s: the tracks end here')
    assert sorted(set(steps.round(6))) == [-39.0, 1.0]
