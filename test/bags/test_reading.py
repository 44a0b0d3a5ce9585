"""Reading of bags: complete, compressed, in parts, cut off."""

import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from rosbags.rosbag2 import CompressionMode

from persontrack_ros.bags.reader import BagReader, is_bag
from persontrack_ros.bags.types import TYPES, define
from persontrack_ros.core.base.errors import SourceError

MODES = [
    ('mcap', CompressionMode.NONE),
    ('mcap', CompressionMode.STORAGE),
    ('mcap', CompressionMode.MESSAGE),
    ('mcap', CompressionMode.FILE),
    ('sqlite3', CompressionMode.NONE),
    ('sqlite3', CompressionMode.MESSAGE),
    ('sqlite3', CompressionMode.FILE),
]


def read(path, warnings=None, topics=None):
    report = pytest.fail if warnings is None else warnings.append
    with BagReader(path, report) as bag:
        return [(one.topic, time, bytes(data)) for one, time, data in bag.messages(topics)]


def storage_file(bag):
    (file,) = (file for file in bag.iterdir() if file.name != 'metadata.yaml')
    return file


@pytest.mark.parametrize(('storage', 'mode'), MODES)
def test_complete(make_bag, storage, mode):
    path, messages = make_bag(storage, mode=mode)
    assert is_bag(path)
    assert read(path) == messages
    assert read(path, topics=['/text']) == [one for one in messages if one[0] == '/text']
    assert read(storage_file(path)) == messages
    with BagReader(path) as bag:
        assert bag.storage == storage
        assert {one.topic: one.msgcount for one in bag.connections} == dict.fromkeys(
            ('/image', '/text', '/battery'), 40
        )


@pytest.mark.parametrize(('storage', 'mode'), MODES)
@pytest.mark.parametrize('part', [0.5, 0.75, 0.9, 1.0])
def test_cut_off(make_bag, warnings, storage, mode, part):
    """What is before the cut is read, and nothing else, with a warning; or it is refused."""
    path, messages = make_bag(storage, mode=mode, count=300)
    file = storage_file(path)
    content = file.read_bytes()[: int(part * file.stat().st_size) - 1]
    file.write_bytes(content)
    try:
        found = read(path, warnings)
    except SourceError as error:
        assert '.recover |' in str(error)
        assert storage == 'sqlite3' or mode == CompressionMode.FILE
        return
    assert found == messages[: len(found)]
    assert any('is cut off' in one or 'is damaged' in one for one in warnings)
    # Chunks have 1 MiB.
    assert found or len(content) < 2**20 + 100


def test_damaged_pages(make_bag, warnings):
    """Zeros in a .db3 file: what is before them is read, or it is refused, with what may help."""
    path, messages = make_bag('sqlite3')
    file = storage_file(path)
    whole = file.read_bytes()
    refused = 0
    for place in range(4096, len(whole) - 8192, 24_576):
        file.write_bytes(whole[:place] + bytes(4096) + whole[place + 4096 :])
        try:
            found = read(path, warnings)
            assert found == sorted(found, key=lambda one: one[1])
            wrong = set(found) - set(messages)
            assert len(wrong) <= 1, 'zeros in the contents of a message do not show'
        except SourceError as error:
            refused += 1
            assert re.search(r'malformed.*`sqlite3 bag.db3 .recover', str(error))
    assert refused


def test_reading_while_it_is_written(make_bag):
    path, messages = make_bag('sqlite3')
    with closing(sqlite3.connect(storage_file(path))) as writer:
        writer.execute('BEGIN EXCLUSIVE')
        assert read(path) == messages


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('missing', None, 'there is no bag'),
        ('folder.db3', {}, 'is no bag'),
        ('text', b'hello', 'is no bag'),
        ('text.db3', b'hello', 'text.db3 is no .db3 file'),
        ('x.mcap', b'PK\x03\x04' * 100, 'x.mcap is no .mcap file'),
        ('x.mcap', b'', 'cut off before its first message'),
        ('x.db3', b'', 'cut off before its first message'),
        ('bag', {'bag.db3': b'', 'metadata.yaml': b'x'}, 'cut off before its first message'),
        ('other.db3', 'CREATE TABLE something (a)', 'cannot be read: .*missing tables'),
    ],
)
def test_no_bag(tmp_path, name, content, reason):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        path.mkdir()
        for file, inner in content.items():
            (path / file).write_bytes(inner)
    elif content:
        with closing(sqlite3.connect(path)) as database:
            database.execute(content)
            database.commit()
    with pytest.raises(SourceError, match=reason):
        BagReader(path, lambda text: None)


@pytest.mark.parametrize('change', [None, lambda text: text[:150] + '  : : ['])
def test_without_metadata(make_bag, storage, warnings, change):
    path, messages = make_bag(storage)
    file = path / 'metadata.yaml'
    if change:
        file.write_text(change(file.read_text()))
    else:
        file.unlink()
    assert read(path, warnings) == messages
    (warning,) = warnings
    assert 'without its metadata.yaml' in warning


def test_parts(make_bag, warnings):
    """The parts of a bag are read in the order of the metadata; one that is missing is named."""
    first, messages = make_bag('mcap', 'first')
    second, more = make_bag('mcap', 'second')
    shutil.copy(storage_file(second), first / 'second.mcap')
    text = (first / 'metadata.yaml').read_text()
    text = text.replace('- first.mcap\n', '- first.mcap\n  - second.mcap\n  - third.mcap\n')
    (first / 'metadata.yaml').write_text(text)
    assert read(first, warnings) == messages + more
    assert any('third.mcap' in one and 'missing' in one for one in warnings)
    with BagReader(first, warnings.append) as bag:
        assert {one.id: (one.topic, one.msgcount) for one in bag.connections} == {
            number: (topic, 80) for number, topic in enumerate(('/image', '/text', '/battery'))
        }


def test_the_log_of_a_killed_recorder(make_bag):
    """Its messages are not left out in silence."""
    path, messages = make_bag('sqlite3')
    file = storage_file(path)
    with closing(sqlite3.connect(file)) as database:
        database.execute('PRAGMA journal_mode=WAL')
        database.execute('UPDATE messages SET data = data')
        database.commit()
        with pytest.raises(SourceError, match='`sqlite3 bag.db3 "PRAGMA journal_mode=DELETE"`'):
            BagReader(path)
        database.execute('PRAGMA journal_mode=DELETE')
    assert read(path) == messages


def test_choice_of_images(make_bag):
    path, _ = make_bag(topics=('/front/image_raw', '/rear/image_raw'), count=2)
    names = '/front/image_raw, /rear/image_raw; choose one with --image-topic'
    with BagReader(path) as bag:
        assert bag.choose_image_topic('/rear/image_raw').topic == '/rear/image_raw'
        assert bag.choose_image_topic('rear/image_raw').topic == '/rear/image_raw'
        with pytest.raises(SourceError, match=f'topics are {names}'):
            bag.choose_image_topic()
        with pytest.raises(SourceError, match=f'no image topic /text; its image topics.* {names}'):
            bag.choose_image_topic('/text')
    path, _ = make_bag(name='none', topics=(), count=2)
    with (
        BagReader(path) as bag,
        pytest.raises(SourceError, match=r'no image topic .* only /battery \('),
    ):
        bag.choose_image_topic()


def test_definitions(make_bag, storage):
    """Both known and foreign types have the definition and hash that they were written with."""
    with BagReader(make_bag(storage, count=1)[0]) as bag:
        for topic in bag.connections:
            text, type_hash = define(topic)
            assert text == topic.msgdef.data
            known = topic.msgtype in TYPES.types
            assert type_hash.startswith(TYPES.hash_rihs01(topic.msgtype) if known else 'RIHS01_')
