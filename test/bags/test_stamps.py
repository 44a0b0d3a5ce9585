"""Bags whose stamps do not tell the time, by the writer of the MCAP project."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mcap.writer import Writer
from rosbags.typesys import Stores, get_typestore

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import track_images

TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE = 'sensor_msgs/msg/CompressedImage'
SECOND = 10**9
RECORDED = [1_700_000_000 * SECOND + 40_000_000 * number for number in range(60)]


def write(path, stamps):
    """Write a bag of images with these stamps, in seconds and nanoseconds."""
    header = TYPES.types['std_msgs/msg/Header']
    time = TYPES.types['builtin_interfaces/msg/Time']
    jpeg = cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1].reshape(-1)
    with path.open('wb') as file:
        writer = Writer(file)
        writer.start('ros2')
        definition, _ = TYPES.generate_msgdef(IMAGE, ros_version=2)
        schema = writer.register_schema(IMAGE, 'ros2msg', definition.encode())
        channel = writer.register_channel('/camera/image', 'cdr', schema)
        for recorded, stamp in zip(RECORDED, stamps):
            message = TYPES.types[IMAGE](header(time(*stamp), 'camera'), 'jpeg', jpeg)
            data = TYPES.serialize_cdr(message, IMAGE)
            writer.add_message(channel, recorded, bytes(data), recorded)
        writer.finish()
    return path


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


def track(path, capsys):
    pipeline = Pipeline()
    with BagReader(path, pytest.fail) as bag:
        images = [image for image, _ in track_images(bag, bag.choose_image_topic(), pipeline)]
    # What is published has the stamps of the images.
    assert len(images) == len(RECORDED)
    lines = capsys.readouterr().err.splitlines()
    return np.diff(pipeline.times) / 1e9, pipeline.restarts, lines, [one.stamp for one in images]


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
    path = write(tmp_path / 'bag.mcap', stamps)
    steps, restarts, lines, own = track(path, capsys)
    # The first steps are known only afterwards.
    assert steps[25:] == pytest.approx([0.04] * 34)
    assert steps.sum() == pytest.approx(0.04 * 59)
    assert restarts == []
    assert lines == [
        f'persontrack: warning: the stamps of /camera/image {fault}: '
        'going by the time of recording'
    ]
    assert own == [sec * SECOND + nanosec for sec, nanosec in stamps]


def test_a_recorded_loop_ends_the_tracks_as_in_the_node(tmp_path, capsys):
    stamps = [(5 + number % 40, 0) for number in range(60)]
    steps, restarts, lines, _ = track(write(tmp_path / 'bag.mcap', stamps), capsys)
    assert restarts == [40]
    (line,) = lines
    assert line.endswith('/camera/image went back by 39.000 s: the tracks end here')
    assert sorted(set(steps.round(6))) == [-39.0, 1.0]
