"""What is written is a bag for others: rosbags, mcap, SQLite and the rules of rosbag2."""

import json
import sqlite3
from contextlib import closing, suppress
from importlib.resources import files

import cv2
import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from test_mcap import copy

from persontrack_ros.bags.images import ImageRecorder, message_to_bgr
from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import TracksRecorder, decode_images
from persontrack_ros.bags.types import TRACKS, TYPES, deserialise
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.messages import message_to_tracks, stamp_to_nanoseconds
from persontrack_ros.core.media.source import Frame
from persontrack_ros.core.tracking.track import Track, TrackState

HASHES = json.loads((files('persontrack_ros.bags') / 'vision_msgs/type_hashes.json').read_text())


def track(id_, box):
    return Track(id_, np.array(box), np.zeros(2), 0.75, TrackState.CONFIRMED, 3, 3, 0, 0)


def track_bag(path, out, storage, annotated=''):
    """Write tracks of nobody in particular beside the images of a bag."""
    written = {}
    with BagReader(path, pytest.fail) as bag, BagWriter(out, storage) as new:
        topic = bag.choose_image_topic()
        recorder = TracksRecorder(bag, new, '/tracks', annotated)
        for connection, time, data in bag.messages():
            recorder.copy(connection, time, data)
            if connection.id == topic.id:
                (image,) = decode_images(topic, [(time, data)])
                number = 1 + len(written)
                box = [1.25 * number, 2.5, 10.125, 20.75]
                recorder.write(image, [track(number, box), track(900, box)])
                written[time] = (stamp_to_nanoseconds(image.header), number, box)
    return written


def test_type_hashes():
    assert len(HASHES) == 13
    for name, type_hash in HASHES.items():
        assert TYPES.hash_rihs01(f'vision_msgs/msg/{name}') == type_hash


def test_tracks_beside_what_was_there(make_bag, storage, tmp_path):
    """Foreign messages keep their bytes and times; tracks and drawings have those of images."""
    path, messages = make_bag(storage)
    out = tmp_path / 'out'
    written = track_bag(path, out, storage, '/annotated_image')
    with AnyReader([out]) as reader:
        found = [(one.topic, time, bytes(data)) for one, time, data in reader.messages()]
        kinds = {one.topic: one for one in reader.connections}
        tracks, drawn = (
            {
                time: reader.deserialize(data, one.msgtype)
                for one, time, data in reader.messages([kinds[topic]])
            }
            for topic in ('/tracks', '/annotated_image')
        )
    assert [one for one in found if one[0] in ('/image', '/text', '/battery')] == messages
    assert kinds['/tracks'].msgtype == TRACKS
    assert kinds['/tracks'].digest == HASHES['Detection2DArray']
    assert list(tracks) == list(drawn) == list(written)
    for time, message in tracks.items():
        stamp, number, box = written[time]
        assert stamp_to_nanoseconds(message.header) == stamp
        assert message.header.frame_id == 'camera'
        assert all(one.header == message.header for one in message.detections)
        assert drawn[time].header == message.header
        assert message_to_bgr(drawn[time]).shape[0] == 24
        (first, second) = message_to_tracks(message)
        assert (first[0], second[0]) == (number, 900)
        assert first[1].tolist() == pytest.approx(box, abs=1e-9)
        assert first[2] == 0.75
        assert message.detections[0].results[0].hypothesis.class_id == 'person'


def test_metadata(make_bag, storage, tmp_path):
    path, messages = make_bag(storage)
    out = tmp_path / 'out'
    written = track_bag(path, out, storage)
    info = yaml.safe_load((out / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    # Humble reads no later version, and ros2 bag reindex finds no other names.
    assert info['version'] == 8
    assert info['relative_file_paths'] == [f'out_0.{"mcap" if storage == "mcap" else "db3"}']
    assert {one.name for one in out.iterdir()} == {'metadata.yaml', *info['relative_file_paths']}
    assert info['storage_identifier'] == storage
    assert info['message_count'] == len(messages) + len(written)
    topics = {one['topic_metadata']['name']: one for one in info['topics_with_message_count']}
    assert set(topics) == {'/image', '/text', '/battery', '/tracks'}
    assert all(one['message_count'] == 40 for one in topics.values())
    # A text, and empty: players then take the usual QoS.
    assert topics['/tracks']['topic_metadata']['offered_qos_profiles'] == ''


def test_unknown_types_are_copied_with_one_line_each(make_bag, storage, tmp_path):
    """As bags of Humble are: SQLite without any definition."""
    path, messages = make_bag('sqlite3')
    (path / 'metadata.yaml').unlink()
    with closing(sqlite3.connect(path / 'bag.db3')) as database:
        for change in (
            'DROP TABLE message_definitions',
            'DROP TABLE schema',
            'ALTER TABLE topics DROP COLUMN type_description_hash',
        ):
            database.execute(change)
        database.commit()
    out = tmp_path / 'out'
    (report,) = copy(path, out, storage)
    assert '/battery is copied without a definition of its type robot_msgs/msg/Battery' in report
    with AnyReader([out]) as reader:
        found = [(one.topic, time, bytes(data)) for one, time, data in reader.messages()]
    assert found == messages


@pytest.mark.parametrize('compression', ['', 'png', 'jpeg'])
def test_recorded_images(tmp_path, storage, compression):
    images = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(4)]
    stamps = [0, 33_366_667, 5_000_000_001, 1_700_000_000_123_456_789]
    with BagWriter(tmp_path / 'bag', storage) as bag:
        recorder = ImageRecorder(bag, '/cam/image_raw', 'lens', compression)
        for number, (stamp, image) in enumerate(zip(stamps, images), start=1):
            recorder.write(Frame(number, stamp, image))
    with BagReader(tmp_path / 'bag', pytest.fail) as bag:
        topic = bag.choose_image_topic()
        assert topic.topic == '/cam/image_raw' + ('/compressed' if compression else '')
        found = [(time, deserialise(data, topic.msgtype)) for _, time, data in bag.messages()]
    assert len(found) == 4
    for (time, message), stamp, image in zip(found, stamps, images):
        assert time == stamp == stamp_to_nanoseconds(message.header)
        assert message.header.frame_id == 'lens'
        if compression:
            assert message.format == f'bgr8; {compression} compressed bgr8'
        if compression == 'jpeg':
            image = cv2.imdecode(cv2.imencode('.jpeg', image)[1], cv2.IMREAD_COLOR)
        assert np.array_equal(message_to_bgr(message), image)


def test_damaged_images_are_left_out(make_bag, warnings):
    path, _ = make_bag(count=5)
    with BagReader(path) as bag:
        topic = bag.choose_image_topic()
        messages = [(time, data) for _, time, data in bag.messages([topic.topic])]
    messages[2] = (0, messages[2][1][:-100])
    found = decode_images(topic, messages, warnings.append)
    assert [one.number for one in found] == [1, 2, 4, 5]
    (warning,) = warnings
    assert 'image 3 of /image is left out' in warning


def test_nothing_is_overwritten_unasked(make_bag, tmp_path, storage):
    path, messages = make_bag(storage, count=3)
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / 'thesis.tex').touch()
    for output, force, message in (
        (path, False, 'exists already'),
        (tmp_path / 'home', True, 'no bag, and is not overwritten'),
        (tmp_path / 'home/thesis.tex/x', False, 'cannot write'),
    ):
        with pytest.raises(OutputError, match=message):
            BagWriter(output, storage, force)
    with BagReader(path, pytest.fail) as bag:
        assert len(list(bag.messages())) == len(messages)
    with BagWriter(path, storage, force=True):
        pass
    with BagReader(path, pytest.fail) as bag:
        assert bag.connections == []


def test_complete_or_absent(tmp_path, storage):
    """After an error there is no bag, or the one that there was."""
    path = tmp_path / 'bag'
    for stamp, divisor, left in ((7, 0, []), (8, 1, [path]), (9, 0, [path])):
        with suppress(ZeroDivisionError), BagWriter(path, storage, force=True) as bag:
            ImageRecorder(bag).write(Frame(1, stamp, np.zeros((4, 4, 3), np.uint8)))
            assert stamp // divisor
        assert list(tmp_path.iterdir()) == left
    with BagReader(path, pytest.fail) as bag:
        assert [time for _, time, _ in bag.messages()] == [8]


def test_damage_in_what_was_written_is_noticed(tmp_path):
    """Without a CRC of its chunk, an image with zeros in it is as good as any other."""
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    with BagWriter(tmp_path / 'out', 'mcap') as bag:
        recorder = ImageRecorder(bag)
        for number in range(1, 11):
            recorder.write(Frame(number, number * 10**8, noise))
    file = tmp_path / 'out' / 'out_0.mcap'
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    file.write_bytes(content)
    with BagReader(tmp_path / 'out', lambda text: None) as bag:
        assert 0 < len(list(bag.messages())) < 10
        assert any('out_0.mcap is damaged' in one for one in bag.damages)
