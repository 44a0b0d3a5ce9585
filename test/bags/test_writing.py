"""What is written is a bag for others: rosbags, mcap, SQLite and the rules of rosbag2."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import suppress
from importlib.resources import files

import cv2
import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from persontrack_ros.bags.images import message_to_bgr
from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.record import ImageRecorder
from persontrack_ros.bags.track import BagImage, ImageTopic, TracksRecorder
from persontrack_ros.bags.types import TRACKS, TYPES, deserialise
from persontrack_ros.bags.writer import BagWriter, check_output
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
        images = ImageTopic(topic)
        for connection, time, data in bag.messages():
            recorder.copy(connection, time, data)
            if connection.id == topic.id:
                for image in images.decode(time, data):
                    box = [1.25 * image.number, 2.5, 10.125, 20.75]
                    recorder.write(image, [track(image.number, box), track(900, box)])
                    written[time] = (image.stamp, image.number, box)
    return written


def test_type_hashes():
    assert len(HASHES) == 13
    for name, type_hash in HASHES.items():
        assert TYPES.hash_rihs01(f'vision_msgs/msg/{name}') == type_hash


def test_tracks_beside_what_was_there(make_bag, storage, tmp_path):
    """Foreign messages keep their bytes and times; the tracks have those of the images."""
    path, messages = make_bag(storage)
    out = tmp_path / 'out'
    written = track_bag(path, out, storage)
    with AnyReader([out]) as reader:
        found = [(one.topic, time, bytes(data)) for one, time, data in reader.messages()]
        assert [one for one in found if one[0] != '/tracks'] == messages
        tracks = [
            (time, reader.deserialize(data, TRACKS))
            for one, time, data in reader.messages()
            if one.topic == '/tracks'
        ]
        (connection,) = (one for one in reader.connections if one.topic == '/tracks')
        assert connection.msgtype == TRACKS
        assert connection.digest == HASHES['Detection2DArray']
    assert [time for time, _ in tracks] == list(written)
    for time, message in tracks:
        stamp, number, box = written[time]
        assert stamp_to_nanoseconds(message.header) == stamp
        assert message.header.frame_id == 'camera'
        assert all(one.header == message.header for one in message.detections)
        found = message_to_tracks(message)
        assert [one[0] for one in found] == [number, 900]
        assert found[0][1].tolist() == pytest.approx(box, abs=1e-9)
        assert found[0][2] == 0.75
        assert message.detections[0].results[0].hypothesis.class_id == 'person'


def test_metadata_by_the_rules(make_bag, storage, tmp_path):
    path, messages = make_bag(storage)
    out = tmp_path / 'out'
    written = track_bag(path, out, storage)
    info = yaml.safe_load((out / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    count = len(messages) + len(written)
    times = [time for _, time, _ in messages]
    assert info['version'] == 8
    assert info['storage_identifier'] == storage
    (file,) = info['relative_file_paths']
    # Others are not found by ros2 bag reindex.
    assert re.fullmatch(rf'{out.name}_0\.(mcap|db3)', file)
    assert (out / file).is_file()
    assert info['message_count'] == count
    assert info['starting_time'] == {'nanoseconds_since_epoch': min(times)}
    assert info['duration'] == {'nanoseconds': max(times) - min(times)}
    assert (info['compression_format'], info['compression_mode']) == ('', '')
    (part,) = info['files']
    assert part == {
        'path': file,
        'starting_time': info['starting_time'],
        'duration': info['duration'],
        'message_count': count,
    }
    topics = {one['topic_metadata']['name']: one for one in info['topics_with_message_count']}
    assert set(topics) == {'/image', '/text', '/battery', '/tracks'}
    assert all(one['message_count'] == 40 for one in topics.values())
    assert topics['/tracks']['topic_metadata'] == {
        'name': '/tracks',
        'type': TRACKS,
        'serialization_format': 'cdr',
        # A text, and empty: players then take the usual QoS.
        'offered_qos_profiles': '',
        'type_description_hash': HASHES['Detection2DArray'],
    }


def test_mcap_library_reads_it(make_bag, tmp_path):
    path, messages = make_bag('mcap')
    out = tmp_path / 'out'
    written = track_bag(path, out, 'mcap')
    with (out / 'out_0.mcap').open('rb') as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == 'ros2'
        summary = reader.get_summary()
        assert summary.statistics.message_count == len(messages) + len(written)
        schemas = {one.name: one for one in summary.schemas.values()}
        assert schemas[TRACKS].encoding == 'ros2msg'
        assert 'MSG: vision_msgs/ObjectHypothesis\\n' in schemas[TRACKS].data.decode().replace(
            '\n', '\\n'
        )
        found = [
            (channel.topic, message.log_time, message.data)
            for _, channel, message in reader.iter_messages()
            if channel.topic != '/tracks'
        ]
        assert sorted(found) == sorted(messages)
        assert {one.message_encoding for one in summary.channels.values()} == {'cdr'}


def test_sqlite_reads_it(make_bag, tmp_path):
    path, messages = make_bag('sqlite3')
    out = tmp_path / 'out'
    track_bag(path, out, 'sqlite3')
    database = sqlite3.connect(out / 'out_0.db3')
    assert database.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
    assert database.execute('SELECT schema_version FROM schema').fetchall() == [(4,)]
    rows = database.execute(
        'SELECT name, timestamp, data FROM messages JOIN topics ON topic_id = topics.id '
        "WHERE name != '/tracks' ORDER BY messages.id"
    ).fetchall()
    assert rows == messages
    assert database.execute(
        'SELECT type, serialization_format, type_description_hash FROM topics '
        "WHERE name = '/tracks'"
    ).fetchall() == [(TRACKS, 'cdr', HASHES['Detection2DArray'])]
    database.close()


def test_annotated_images(make_bag, storage, tmp_path):
    path, _ = make_bag(storage)
    out = tmp_path / 'out'
    written = track_bag(path, out, storage, '/annotated_image')
    with BagReader(out) as bag:
        found = {
            time: deserialise(data, topic.msgtype)
            for topic, time, data in bag.messages(['/annotated_image'])
        }
    assert list(found) == list(written)
    for time, message in found.items():
        assert stamp_to_nanoseconds(message.header) == written[time][0]
        assert message_to_bgr(message).shape[0] == 24


def test_unknown_types_are_copied_with_one_line_each(make_bag, tmp_path, warnings):
    """As bags of Humble are: SQLite without any definition."""
    path, messages = make_bag('sqlite3')
    (path / 'metadata.yaml').unlink()
    database = sqlite3.connect(path / 'bag.db3')
    database.execute('DROP TABLE message_definitions')
    database.execute('DROP TABLE schema')
    database.execute('ALTER TABLE topics DROP COLUMN type_description_hash')
    database.commit()
    database.close()
    for storage in ('mcap', 'sqlite3'):
        out = tmp_path / storage
        reports = []
        with BagReader(path, warnings.append) as bag, BagWriter(out, storage) as new:
            copies = {one.id: new.copy_topic(one, reports.append) for one in bag.connections}
            for topic, time, data in bag.messages():
                new.write(copies[topic.id], time, data)
        assert len(reports) == 1
        assert '/battery' in reports[0]
        assert 'robot_msgs/msg/Battery' in reports[0]
        with AnyReader([out]) as reader:
            found = [(one.topic, time, bytes(data)) for one, time, data in reader.messages()]
        assert found == messages


@pytest.mark.parametrize('compression', ['', 'png', 'jpeg'])
def test_recorded_images(tmp_path, storage, compression):
    images = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(4)]
    stamps = [0, 33_366_667, 5_000_000_001, 1_700_000_000_123_456_789]
    path = tmp_path / 'bag'
    with BagWriter(path, storage) as bag:
        recorder = ImageRecorder(bag, '/cam/image_raw', 'lens', compression)
        for number, (stamp, image) in enumerate(zip(stamps, images), start=1):
            recorder.write(Frame(number, stamp, image))
    with BagReader(path, pytest.fail) as bag:
        topic = bag.choose_image_topic()
        assert topic.topic == '/cam/image_raw' + ('/compressed' if compression else '')
        found = [
            (time, deserialise(data, topic.msgtype))
            for _, time, data in bag.messages([topic.topic])
        ]
    for (time, message), stamp, image in zip(found, stamps, images):
        assert time == stamp == stamp_to_nanoseconds(message.header)
        assert message.header.frame_id == 'lens'
        if compression:
            assert message.format == f'bgr8; {compression} compressed bgr8'
        expected = image
        if compression == 'jpeg':
            expected = cv2.imdecode(cv2.imencode('.jpeg', image)[1], cv2.IMREAD_COLOR)
        assert np.array_equal(message_to_bgr(message), expected)


def test_damaged_images_are_left_out(make_bag, warnings):
    path, _ = make_bag()
    with BagReader(path) as bag:
        topic = bag.choose_image_topic()
        images = ImageTopic(topic, warnings.append)
        for number, (_, time, data) in enumerate(bag.messages([topic.topic]), start=1):
            cut = data if number != 3 else data[:-100]
            found = list(images.decode(time, cut))
            assert [one.number for one in found] == ([] if number == 3 else [number])
            assert all(isinstance(one, BagImage) for one in found)
    assert len(warnings) == 1
    assert 'image 3 of /image is left out' in warnings[0]


def test_nothing_is_overwritten_unasked(make_bag, tmp_path, storage):
    path, _ = make_bag(storage)
    before = {one.name: one.read_bytes() for one in path.iterdir()}
    with pytest.raises(OutputError, match='exists already; --force'):
        BagWriter(path, storage)
    with pytest.raises(OutputError, match='is the input'):
        check_output(path, force=True, source=path)
    with pytest.raises(OutputError, match='is the input'):
        check_output(path, force=True, source=next(path.glob('bag.*')))
    assert {one.name: one.read_bytes() for one in path.iterdir()} == before
    with BagWriter(path, storage, force=True):
        pass
    with BagReader(path, pytest.fail) as bag:
        assert bag.connections == []
    folder = tmp_path / 'home'
    folder.mkdir()
    (folder / 'thesis.tex').touch()
    with pytest.raises(OutputError, match='no bag, and is not overwritten'):
        check_output(folder, force=True)


def test_no_place_to_write(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='cannot write'):
        BagWriter(tmp_path / 'file' / 'bag', 'mcap')


def test_complete_or_absent(tmp_path, storage):
    """After an error there is no bag, or the one that there was."""
    path = tmp_path / 'bag'
    image = np.zeros((4, 4, 3), np.uint8)

    def write(stamp, divisor):
        with suppress(ZeroDivisionError), BagWriter(path, storage, force=True) as bag:
            ImageRecorder(bag).write(Frame(1, stamp, image))
            assert stamp // divisor

    write(7, 0)
    assert list(tmp_path.iterdir()) == []
    write(8, 1)
    write(9, 0)
    assert list(tmp_path.iterdir()) == [path]
    with BagReader(path, pytest.fail) as bag:
        assert [time for _, time, _ in bag.messages()] == [8]


def test_damage_in_what_was_written_is_noticed(tmp_path):
    """Without a CRC of its chunk, an image with zeros in it is as good as any other."""
    out = tmp_path / 'out'
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    with BagWriter(out, 'mcap') as bag:
        recorder = ImageRecorder(bag)
        for number in range(1, 11):
            recorder.write(Frame(number, number * 10**8, noise))
    file = out / 'out_0.mcap'
    with file.open('rb') as stream:
        messages = list(make_reader(stream, validate_crcs=True).iter_messages())
    assert len(messages) == 10
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    file.write_bytes(content)
    warnings = []
    with BagReader(out, warnings.append) as bag:
        assert list(bag.messages())
        assert bag.damages
    assert any('out_0.mcap is damaged' in one for one in warnings)
