"""Files of .mcap that other writers made: with topics that are not of ROS 2, and damaged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.reader import make_reader
from mcap.records import Chunk
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from mcap_ros2.writer import Writer

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import ImageTopic
from persontrack_ros.bags.types import COMPRESSED_IMAGE
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.errors import SourceError

LINE = '=' * 80
DEFINITION = f"""std_msgs/Header header
string format
uint8[] data
{LINE}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{LINE}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
START = 1_700_000_000_000_000_000
TOPIC = '/camera/image_raw/compressed'
NONE, LZ4, ZSTD = CompressionType.NONE, CompressionType.LZ4, CompressionType.ZSTD


def picture(index):
    noise = np.random.default_rng(index)
    return noise.integers(0, 255, (80, 80, 3), dtype=np.uint8)


def write(path, count=12, others=(), name=COMPRESSED_IMAGE, size=20_000, compression=NONE):
    """Write images, and one message of other topics (name, encoding, schema) after each."""
    with path.open('wb') as file:
        writer = Writer(file, chunk_size=size, compression=compression)
        # The writer of ROS 2 messages has no other ones; the one that it is built on has.
        raw = writer._writer
        channels = []
        for topic, encoding, schema in others:
            number = raw.register_schema(*schema) if schema else 0
            channels.append(raw.register_channel(topic, encoding, number))
        schema = writer.register_msgdef(name, DEFINITION)
        for index in range(count):
            time = START + index * 40_000_000
            header = {'stamp': {'sec': index, 'nanosec': 0}, 'frame_id': 'camera'}
            data = cv2.imencode('.png', picture(index))[1].tobytes()
            message = {'header': header, 'format': 'png', 'data': data}
            writer.write_message(TOPIC, schema, message, time, time)
            for channel in channels:
                raw.add_message(channel, time + 1, b'{"event": "\xff"}', time + 1)
        writer.finish()
    return path


def images(path, warnings):
    """Return the numbers of the images that can be decoded, by their stamps, and the damages."""
    numbers = []
    with BagReader(path, warnings.append) as bag:
        topic = bag.choose_image_topic()
        decoder = ImageTopic(topic, warnings.append)
        for _, time, data in bag.messages([topic.topic]):
            for image in decoder.decode(time, data):
                number = image.stamp // 1_000_000_000
                assert time == START + number * 40_000_000
                if (image.image == picture(number)).all():
                    numbers.append(number)
        return numbers, bag.damages


@pytest.mark.parametrize('compression', [NONE, LZ4, ZSTD])
@pytest.mark.parametrize('size', [1, 20_000, 1_000_000])
def test_whole(tmp_path, compression, size):
    path = write(tmp_path / 'x.mcap', compression=compression, size=size)
    warnings = []
    assert images(path, warnings) == (list(range(12)), [])
    assert warnings == []


@pytest.mark.parametrize(
    ('encoding', 'schema'),
    [
        ('json', ('events', 'jsonschema', b'{"type": "object"}')),
        ('json', None),
        ('', None),
        ('protobuf', ('foxglove.Log', 'protobuf', b'\xff\xfe\x00')),
        ('cbor', ('thing', '', b'')),
        ('cdr', None),
    ],
)
def test_topics_that_are_not_of_ros2(tmp_path, encoding, schema):
    """They are left out with a line each; the images are read and copied."""
    path = write(tmp_path / 'x.mcap', others=[('/other', encoding, schema)])
    warnings = []
    assert images(path, warnings) == (list(range(12)), [])
    (warning,) = warnings
    assert '/other is left out: its messages are' in warning
    assert (encoding if schema else '') in warning
    with BagReader(path, warnings.append) as bag, BagWriter(tmp_path / 'out', 'mcap') as out:
        copies = {one.id: out.copy_topic(one) for one in bag.connections}
        for topic, time, data in bag.messages():
            out.write(copies[topic.id], time, data)
    assert images(tmp_path / 'out', []) == (list(range(12)), [])


def test_no_image_topic_of_ros2(tmp_path):
    other = ('/camera', 'protobuf', ('foxglove.CompressedImage', 'protobuf', b''))
    path = write(tmp_path / 'x.mcap', others=[other], name='robot_msgs/msg/Picture')
    with (
        BagReader(path, lambda text: None) as bag,
        pytest.raises(SourceError, match=r'/camera \(protobuf\)') as caught,
    ):
        bag.choose_image_topic()
    assert f'{TOPIC} (robot_msgs/msg/Picture)' in str(caught.value)


def test_type_without_msg_in_its_name(tmp_path):
    path = write(tmp_path / 'x.mcap', name='sensor_msgs/CompressedImage')
    assert images(path, []) == (list(range(12)), [])


def test_ros1(tmp_path):
    path = tmp_path / 'old.mcap'
    with path.open('wb') as file:
        writer = McapWriter(file)
        writer.start(profile='ros1')
        schema = writer.register_schema('sensor_msgs/Image', 'ros1msg', b'Header header')
        channel = writer.register_channel('/camera/image_raw', 'ros1', schema)
        writer.add_message(channel, START, b'image', START)
        writer.finish()
    with pytest.raises(SourceError, match='messages of ROS 1; .* rosbags-convert'):
        BagReader(path, lambda text: None)
    path = tmp_path / 'old.bag'
    path.write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(SourceError, match=rf'ROS 1; .*rosbags-convert --src {path} --dst'):
        BagReader(path)


def chunks(path):
    with path.open('rb') as file:
        return make_reader(file).get_summary().chunk_indexes


@pytest.mark.parametrize('compression', [NONE, LZ4, ZSTD])
@pytest.mark.fault(
    'files',
    'zeroed bytes in a chunk of an .mcap file',
    happens='the other chunks are read; it is said what is missing',
    lost='that chunk',
)
def test_damage_in_a_chunk(tmp_path, compression):
    """What lies around 4096 bytes of zeros is read, and what is missing is told."""
    path = write(tmp_path / 'x.mcap', compression=compression)
    whole = path.read_bytes()
    for place in range(2_000, len(whole) - 8_000, 17_003):
        path.write_bytes(whole[:place] + bytes(4096) + whole[place + 4096 :])
        found, damages = images(path, [])
        # One chunk has two images.
        assert len(found) >= 12 - (2 if compression == NONE else 4), place
        assert found == sorted(found)
        assert any('is damaged in the chunk at byte' in one for one in damages), place


@pytest.mark.fault(
    'files',
    'damage in the only chunk of an .mcap file',
    happens='what is before it is read; it is said what is missing',
    lost='what is behind it',
)
def test_damage_in_the_only_chunk(tmp_path):
    """Where the chunk is not compressed, only the image is lost that lies there."""
    path = write(tmp_path / 'x.mcap', size=1_000_000)
    whole = path.read_bytes()
    for place in range(30_000, len(whole) - 30_000, 25_013):
        path.write_bytes(whole[:place] + bytes(4096) + whole[place + 4096 :])
        found, damages = images(path, [])
        assert len(found) >= 10, place
        assert damages


@pytest.mark.parametrize('size', [1, 20_000])
@pytest.mark.fault(
    'files',
    'damage to the index of an .mcap file, too',
    happens='read without it',
    lost='nothing',
)
def test_damage_to_the_index_as_well(tmp_path, size):
    """Then the records are searched for."""
    path = write(tmp_path / 'x.mcap', size=size)
    whole = path.read_bytes()
    end = chunks(path)[-1]
    summary = end.chunk_start_offset + end.chunk_length
    for index in chunks(path)[1:-1:2]:
        # The head of the chunk, and the whole summary.
        place = index.chunk_start_offset - 50
        damaged = whole[:place] + bytes(4096) + whole[place + 4096 : summary]
        path.write_bytes(damaged + bytes(len(whole) - summary))
        found, damages = images(path, [])
        assert len(found) >= 10
        assert any('x.mcap is damaged' in one for one in damages)


def test_without_chunks(tmp_path):
    """Damage to a message that is in no chunk costs that one; the statistics tell of it."""
    path = tmp_path / 'x.mcap'
    with path.open('wb') as file:
        writer = McapWriter(file, use_chunking=False, index_types=IndexType.NONE)
        writer.start('ros2', 'test')
        schema = writer.register_schema('std_msgs/msg/String', 'ros2msg', b'string data')
        channel = writer.register_channel('/text', 'cdr', schema)
        for index in range(20):
            writer.add_message(channel, START + index, b'\0\1\0\0' + bytes([65 + index]) * 500, 0)
        writer.finish()
    whole = path.read_bytes()
    place = whole.index(b'FFFF') - 100
    path.write_bytes(whole[:place] + bytes(700) + whole[place + 700 :])
    with BagReader(path, lambda text: None) as bag:
        found = {bytes(data[4:5]) for _, _, data in bag.messages()}
        assert len(found) >= 17
        assert {b'A', b'T'} <= found
        assert any('messages on /text are missing' in one for one in bag.damages)


@pytest.mark.fault(
    'files',
    'an .mcap file cut off at any byte',
    happens='what is there is read; it is said what is missing',
    lost='what is not there',
)
def test_every_cut(tmp_path):
    """As a recorder leaves it that was killed: nothing announces what is missing."""
    path = write(tmp_path / 'x.mcap', count=4, compression=LZ4)
    whole = path.read_bytes()
    for end in range(len(whole) - 1, 100, -1_009):
        path.write_bytes(whole[:end])
        warnings = []
        with BagReader(path, warnings.append) as bag:
            assert len(list(bag.messages())) >= 4 * end // len(whole) - 2
            bag.check_whole()
        assert any('is cut off' in one for one in warnings)


@pytest.mark.fault(
    'files',
    'records of 2^63 bytes, and chunks that unpack to gigabytes',
    happens='refused in bounded memory',
    lost='those chunks',
)
def test_lengths_beyond_all_bounds(tmp_path):
    """A record that claims 2^63 bytes, and a chunk that unpacks to gigabytes."""
    path = write(tmp_path / 'x.mcap', compression=ZSTD)
    whole = path.read_bytes()
    index = chunks(path)[2]
    place = index.chunk_start_offset + 1
    path.write_bytes(whole[:place] + (2**63).to_bytes(8, 'little') + whole[place + 8 :])
    assert len(images(path, [])[0]) == 12  # the index knows better

    packer = zstandard.ZstdCompressor(level=19).compressobj()
    bomb = b''.join(packer.compress(bytes(1 << 22)) for _ in range(200)) + packer.flush()
    record = RecordBuilder()
    Chunk('zstd', bomb, START, START, 0, 200 << 22).write(record)
    path.write_bytes(whole[: place - 1] + record.end() + whole[place - 1 :])
    found, damages = images(path, [])
    assert len(found) == 12
    assert any('chunk at byte' in one or 'x.mcap is damaged' in one for one in damages)
