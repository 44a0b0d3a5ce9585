"""States: restored as a whole, or refused on one line."""

import io
import os
import struct
import zipfile

import numpy as np
import pytest
from test_tracking import SECOND, save_tracker, step

from persontrack_ros.core.base.arrays import read_arrays
from persontrack_ros.core.base.errors import OutputError, SettingsError, SourceError
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.state import load_tracker
from persontrack_ros.core.tracking.tracker import make_tracker


def make(remember=0.0):
    return make_tracker(TrackerSettings(remember=remember))


def walk(tracker, first, last):
    for frame in range(first, last):
        boxes = [[100 + 9 * frame, 100, 40, 100], [460 - 9 * frame, 110, 40, 100]]
        tracks = step(tracker, boxes, [0, 1], frame * SECOND // 10)
    return tracks


@pytest.mark.parametrize('remember', [0.0, 60.0])
def test_wrong_arrays_change_nothing(remember):
    first, second = make(remember), make(remember)
    walk(first, 0, 12)
    walk(second, 0, 5)
    before, state = repr(second.tracks), first.state()
    free = ('gallery_ids', 'image_size', 'interval', 'stamp')
    for name, array in state.items():
        if not array.size:
            continue
        wrong = [array.astype(np.complex64), array[None]]
        if name not in free:
            wrong.append(array[:-1])
        if array.dtype.kind == 'f':
            wrong += [np.where(array == array.flat[0], each, array) for each in (np.nan, -np.inf)]
        for each in wrong:
            with pytest.raises(ValueError, match='is not what it should be|not finite'):
                second.restore({**state, name: each})
            assert repr(second.tracks) == before
        with pytest.raises(KeyError):
            second.restore({key: each for key, each in state.items() if key != name})
        assert repr(second.tracks) == before


def packed(header, content=b'', **options):
    """Return an archive of one array with any header."""
    text = header.encode().ljust(117) + b'\n'
    member = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text + content
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', **options) as archive:
        archive.writestr('ids.npy', member)
    return buffer.getvalue()


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': ({},)}}"


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (packed(HEADER.format('<f8', 10**13)), 'ValueError|MemoryError'),
        (packed(HEADER.format('<f8', -1)), 'ValueError'),
        (packed(HEADER.format('<f8', 10**400)), 'OverflowError'),
        (packed(HEADER.format('|O', 1), b'12345678'), 'ValueError'),
        (packed('import os'), 'ValueError'),
        (
            packed(HEADER.format('<f8', 2**23), bytes(2**26), compression=zipfile.ZIP_DEFLATED),
            '1048576 are allowed',
        ),
    ],
    ids=['rows', 'negative', 'digits', 'objects', 'code', 'bomb'],
)
def test_archives_that_announce_much(content, words, tmp_path):
    path = tmp_path / 'state.npz'
    path.write_bytes(content)
    with pytest.raises(SourceError, match=f'cannot read .*state.npz: .*{words}') as caught:
        read_arrays(path, limit=2**20)
    assert len(str(caught.value)) < 1000
    assert '\n' not in str(caught.value)


def test_only_states_are_replaced(tmp_path):
    tracker = make()
    state, link = tmp_path / 'state.npz', tmp_path / 'link.npz'
    save_tracker(tracker, state)
    save_tracker(tracker, state)
    link.symlink_to(state)
    other = tmp_path / 'other.npz'
    np.savez(other, boxes=np.zeros(3))
    content = other.read_bytes()
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    for path in (link, other, pipe, tmp_path, '/dev/null', tmp_path / 'missing' / 'state.npz'):
        with pytest.raises(OutputError, match='cannot write'):
            save_tracker(tracker, type(tmp_path)(path))
    assert link.is_symlink()
    assert other.read_bytes() == content
    assert not list(tmp_path.glob('*.part'))


def test_a_restored_tracker_goes_on_as_if_nothing_had_happened(tmp_path):
    first, second = make(), make()
    walk(first, 0, 15)
    save_tracker(first, tmp_path / 'state.npz')
    step(second, [[300, 300, 40, 100]], [5], 0)
    load_tracker(second, tmp_path / 'state.npz')
    for frame in range(15, 40):
        expected = walk(first, frame, frame + 1)
        assert repr(walk(second, frame, frame + 1)) == repr(expected)
    assert {track.id for track in first.tracks} == {1, 2}
    for name, array in first.state().items():
        if name != 'gallery_numbers':
            np.testing.assert_array_equal(second.state()[name], array)


def test_an_empty_tracker_can_be_stored(tmp_path):
    tracker = make()
    save_tracker(tracker, tmp_path / 'state')
    step(tracker, [[300, 300, 40, 100]], [0], 0)
    load_tracker(tracker, tmp_path / 'state')
    assert tracker.tracks == []
    step(tracker, [[300, 300, 40, 100]], [0], 0)
    assert [track.id for track in tracker.tracks] == [1]


def wrong_states(path):
    """Yield files that are no state, and a part of what is said about each."""
    save_tracker(make(), path)
    good = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    for content in (b'', b'PK', b'hello', good[: len(good) // 2], good[:-30]):
        path.write_bytes(content)
        yield 'cannot read'
    path.unlink()
    yield 'cannot read'
    with path.open('wb') as file:
        np.save(file, np.zeros(3))
    yield 'cannot read'
    for change, words in [
        ({'format': np.array('something')}, 'no state of a tracker'),
        ({'format': np.array('persontrack state 99')}, 'persontrack state 99'),
        ({'algorithm': np.array('deep_sort')}, 'of the algorithm deep_sort'),
        ({'ids': np.arange(2)}, 'damaged'),
    ]:
        with path.open('wb') as file:
            np.savez(file, **{**arrays, **change})
        yield words
    del arrays['embeddings']
    with path.open('wb') as file:
        np.savez(file, **arrays)
    yield 'damaged'


def test_deep_sort_has_no_state(tmp_path):
    tracker = make_tracker(TrackerSettings(algorithm='deep_sort'))
    with pytest.raises(SettingsError, match='deep_sort has no state to save'):
        save_tracker(tracker, tmp_path / 'state.npz')
    save_tracker(make(), tmp_path / 'state.npz')
    with pytest.raises(SourceError, match='of the algorithm persistent, but the tracker is deep'):
        load_tracker(tracker, tmp_path / 'state.npz')


def test_files_that_are_no_state_change_nothing(tmp_path):
    tracker = make()
    step(tracker, [[300, 300, 40, 100]], [0], 0)
    for words in wrong_states(tmp_path / 'state.npz'):
        with pytest.raises(SourceError, match=words):
            load_tracker(tracker, tmp_path / 'state.npz')
        assert [track.id for track in tracker.tracks] == [1]
