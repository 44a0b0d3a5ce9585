"""Files of .mcap that other writers made: with topics that are not of ROS 2, and damaged."""

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from mcap_ros2.writer import Writer

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import decode_images
from persontrack_ros.bags.types import COMPRESSED_IMAGE
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.messages import stamp_to_nanoseconds

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


def write(
    path,
    count=12,
    others=(),
    name=COMPRESSED_IMAGE,
    size=20_000,
    compression=NONE,
    stamps=tuple((sec, 0) for sec in range(12)),
):
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
            sec, nanosec = stamps[index]
            header = {'stamp': {'sec': sec, 'nanosec': nanosec}, 'frame_id': 'camera'}
            data = cv2.imencode('.png', picture(index))[1].tobytes()
            message = {'header': header, 'format': 'png', 'data': data}
            writer.write_message(TOPIC, schema, message, time, time)
            for channel in channels:
                raw.add_message(channel, time + 1, b'{"event": "\xff"}', time + 1)
        writer.finish()
    return path


def copy(path, out, storage):
    """Copy a bag; return the warnings about its topics."""
    warnings = []
    with BagReader(path, lambda text: None) as bag, BagWriter(out, storage) as new:
        copies = {one.id: new.copy_topic(one, warnings.append) for one in bag.connections}
        for topic, time, data in bag.messages():
            new.write(copies[topic.id], time, data)
    return warnings


def images(path, warnings):
    """Return the numbers of the images that can be decoded, by their stamps, and the damages."""
    numbers = []
    with BagReader(path, warnings.append) as bag:
        topic = bag.choose_image_topic()
        messages = ((time, data) for _, time, data in bag.messages([topic.topic]))
        for image in decode_images(topic, messages, warnings.append):
            number = stamp_to_nanoseconds(image.header) // 1_000_000_000
            assert image.time == START + number * 40_000_000
            if (image.image == picture(number)).all():
                numbers.append(number)
        return numbers, bag.damages


@pytest.mark.parametrize('compression', [NONE, LZ4, ZSTD])
@pytest.mark.parametrize('size', [1, 20_000, 1_000_000])
def test_whole(tmp_path, compression, size):
    # Some writers leave out msg in the name of a type.
    name = 'sensor_msgs/CompressedImage' if size == 1 else COMPRESSED_IMAGE
    path = write(tmp_path / 'x.mcap', compression=compression, size=size, name=name)
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
    copy(path, tmp_path / 'out', 'mcap')
    assert images(tmp_path / 'out', []) == (list(range(12)), [])


def test_ros1(tmp_path):
    path = tmp_path / 'old.mcap'
    with path.open('wb') as file:
        writer = McapWriter(file)
        writer.start(profile='ros1')
        schema = writer.register_schema('sensor_msgs/Image', 'ros1msg', b'Header header')
        writer.add_message(writer.register_channel('/image', 'ros1', schema), START, b'', START)
        writer.finish()
    with pytest.raises(SourceError, match='messages of ROS 1; .* rosbags-convert'):
        BagReader(path, lambda text: None)
    path = tmp_path / 'old.bag'
    path.write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(SourceError, match='ROS 1; .*rosbags-convert --src OLD.bag --dst'):
        BagReader(path)


def chunks(path):
    with path.open('rb') as file:
        return make_reader(file).get_summary().chunk_indexes


@pytest.mark.parametrize('compression', [NONE, LZ4, ZSTD])
@pytest.mark.parametrize('index', [True, False], ids=['index', 'no index'])
def test_damage_in_a_chunk(tmp_path, compression, index):
    """What is before it is read, and nothing wrong; the warning names what may save more."""
    path = write(tmp_path / 'x.mcap', compression=compression)
    whole = path.read_bytes()
    ends = [one.chunk_start_offset + one.chunk_length for one in chunks(path)]
    summary = ends[-1]
    if not index:
        whole = whole[:summary] + bytes(len(whole) - summary - 8) + whole[-8:]
    # A single wrong bit shows in the checksum alone.
    for place in range(2_000 if index else ends[0] + 2_000, summary - 4_096, 17_003):
        for damaged in (bytes(4096), bytes([whole[place] ^ 1])):
            path.write_bytes(whole[:place] + damaged + whole[place + len(damaged) :])
            found, damages = images(path, [])
            assert found == list(range(2 * sum(end <= place for end in ends)))
            assert any('x.mcap is damaged' in one for one in damages), place
            assert any('`mcap recover x.mcap -o' in one for one in damages), place
            if index:
                assert any(f'messages on {TOPIC} are missing' in one for one in damages), place


def test_without_chunks(tmp_path):
    """What is before the damage to a message that is in no chunk is read."""
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
    for damaged, letters in ((whole, 20), (whole[:place] + bytes(700) + whole[place + 700 :], 5)):
        path.write_bytes(damaged)
        with BagReader(path, lambda text: None) as bag:
            found = b''.join(bytes(data[4:5]) for _, _, data in bag.messages())
            assert found == bytes(range(65, 65 + letters))
            assert any('x.mcap is damaged' in one for one in bag.damages) == (letters == 5)
