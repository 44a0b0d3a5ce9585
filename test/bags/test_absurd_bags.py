"""Bags with absurd contents: what can be read is read, the rest is told, in bounded resources."""

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer
from test_mcap import copy, write

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import decode_images
from persontrack_ros.bags.types import define
from persontrack_ros.core.base.errors import SourceError

bounded = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read_all(path):
    """Read a bag as the commands do; return the number of images, None if it is refused."""
    try:
        with BagReader(path, lambda text: None) as bag:
            count = 0
            for topic, time, data in bag.messages():
                if topic.msgtype.endswith('Image'):
                    count += len(list(decode_images(topic, [(time, data)], lambda text: None)))
            for topic in bag.connections:
                define(topic)
            bag.choose_image_topic()
            return count
    except SourceError as error:
        assert len(str(error)) < 3000
        return None


def damaged(data, content):
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed)))
        # Most of what decides lies at the beginning, at the end and in heads of records.
        place = data.draw(
            st.sampled_from([place, min(place, 400), max(len(changed) - 400, place)])
        )
        length = data.draw(st.sampled_from([0, 1, 4, 8, 9, 100, 4096]))
        pieces = (bytes(length), b'\xff' * length, (2**63).to_bytes(8, 'little'))
        piece = data.draw(st.one_of(st.binary(max_size=9), st.sampled_from(pieces)))
        changed[place : place + length] = piece
    return bytes(changed)


@pytest.fixture(scope='module')
def small_bags(tmp_path_factory):
    """The content of a small bag of each kind, by suffix."""
    folder = tmp_path_factory.mktemp('small')
    other = [('/other', 'json', None)]
    bags = [
        write(folder / f'{kind.name}.mcap', count=4, compression=kind, others=other).read_bytes()
        for kind in (CompressionType.NONE, CompressionType.ZSTD)
    ]
    copy(folder / 'NONE.mcap', folder / 'out', 'sqlite3')
    return [*(('.mcap', bag) for bag in bags), ('.db3', (folder / 'out/out_0.db3').read_bytes())]


@pytest.mark.parametrize('kind', range(3))
@bounded
@given(data=st.data())
def test_mutated_files(tmp_path, small_bags, kind, data):
    suffix, content = small_bags[kind]
    path = tmp_path / f'x{suffix}'
    path.write_bytes(damaged(data, content))
    read_all(path)


VALUES = st.recursive(
    st.none() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
KEYS = ['relative_file_paths', 'message_count', 'version']


@bounded
@given(data=st.data())
def test_mutated_metadata(make_bag, tmp_path, data):
    path = tmp_path / 'bag'
    saved = tmp_path / 'saved.yaml'
    if not saved.exists():
        make_bag('mcap', count=3)
        saved.write_bytes((path / 'metadata.yaml').read_bytes())
    content = damaged(data, saved.read_bytes())
    if data.draw(st.booleans()):
        values = yaml.safe_load(saved.read_text())
        values['rosbag2_bagfile_information'][data.draw(st.sampled_from(KEYS))] = data.draw(VALUES)
        content = yaml.safe_dump(values).encode()
    (path / 'metadata.yaml').write_bytes(content)
    # The bag itself is whole.
    assert read_all(path) == 3


@bounded
@example('A A')
@given(definition=st.text(max_size=200) | st.binary(max_size=50).map(repr))
def test_any_definition(tmp_path, definition):
    """The definition of a type is text from the bag, which is parsed when it is copied."""
    path = tmp_path / 'x.mcap'
    with path.open('wb') as file:
        writer = Writer(file)
        writer.start('ros2', 'test')
        schema = writer.register_schema('a/msg/B', 'ros2msg', definition.encode(errors='replace'))
        writer.add_message(writer.register_channel('/a', 'cdr', schema), 1, b'\0\1\0\0', 1)
        writer.finish()
    read_all(path)
