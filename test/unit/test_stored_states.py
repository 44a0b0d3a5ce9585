"""States: restored as a whole, or refused on one line."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_tracking import ALGORITHMS, SECOND, persistent, step

from persontrack_ros.core.base.arrays import read_arrays
from persontrack_ros.core.base.errors import OutputError, SourceError
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking import state as state_module
from persontrack_ros.core.tracking.state import load_tracker, save_tracker
from persontrack_ros.core.tracking.tracker import make_tracker


def make(algorithm, remember=0.0):
    return make_tracker(TrackerSettings(algorithm=algorithm, remember=remember))


def walk(tracker, first, last):
    for frame in range(first, last):
        boxes = [[100 + 5 * frame, 100, 40, 100], [500 - 5 * frame, 110, 40, 100]]
        tracks = step(tracker, boxes, [0, 1], frame * SECOND // 10)
    return tracks


@pytest.mark.parametrize('algorithm', ALGORITHMS)
@given(data=st.data(), shared=st.booleans())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_wrong_arrays_change_nothing(algorithm, data, shared):
    first, second = make(algorithm, 60.0 * shared), make(algorithm, 60.0 * shared)
    walk(first, 0, 12)
    walk(second, 0, 5)
    before = repr(second.tracks)
    state = first.state()
    name = data.draw(st.sampled_from(sorted(name for name, array in state.items() if array.size)))
    array = state[name]
    kinds = ['type', 'axes'] + ['finite'] * (array.dtype.kind == 'f')
    kind = data.draw(st.sampled_from(kinds))
    if kind == 'type':
        state[name] = array.astype(np.complex64)
    elif kind == 'axes':
        state[name] = array[None]
    else:
        state[name] = array.copy()
        number = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        state[name].flat[data.draw(st.integers(0, array.size - 1))] = number
    with pytest.raises(ValueError, match='is not what it should be|not finite'):
        second.restore(state)
    assert repr(second.tracks) == before


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_lengths_that_do_not_fit_each_other(algorithm):
    first, second = make(algorithm, 60.0), make(algorithm, 60.0)
    walk(first, 0, 12)
    state = first.state()
    for name, array in state.items():
        if (
            array.ndim
            and len(array)
            and name not in ('gallery_ids', 'image_size', 'interval', 'stamp')
        ):
            with pytest.raises(ValueError, match='is not what it should be'):
                second.restore({**state, name: array[:-1]})
            assert second.tracks == []


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


@given(data=st.data())
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
def test_damaged_files(data, tmp_path_factory):
    path = tmp_path_factory.mktemp('damaged') / 'state.npz'
    tracker = make('persistent')
    walk(tracker, 0, 12)
    save_tracker(tracker, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    other = make('persistent')
    try:
        load_tracker(other, path)
    except SourceError as error:
        assert '\n' not in str(error)
        assert other.tracks == []
    else:
        # A zip file has bytes that nobody reads.
        assert repr(other.tracks) == repr(tracker.tracks)


def test_only_states_are_replaced(tmp_path):
    tracker = make('persistent')
    state, link = tmp_path / 'state.npz', tmp_path / 'link.npz'
    save_tracker(tracker, state)
    save_tracker(tracker, state)
    link.symlink_to(state)
    other = tmp_path / 'other.npz'
    np.savez(other, boxes=np.zeros(3))
    content = other.read_bytes()
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    for path in (link, other, pipe, tmp_path, '/dev/null'):
        with pytest.raises(OutputError, match='cannot write the state'):
            save_tracker(tracker, type(tmp_path)(path))
    assert link.is_symlink()
    assert other.read_bytes() == content
    assert not list(tmp_path.glob('*.part'))


def test_what_could_not_be_loaded_is_not_saved(tmp_path, monkeypatch):
    tracker, path = make('persistent'), tmp_path / 'state.npz'
    walk(tracker, 0, 12)
    save_tracker(tracker, path)
    before = path.read_bytes()
    saved, refused = [], []
    for limit in range(len(before) // 2, 4 * len(before), 500):
        monkeypatch.setattr(state_module, 'LIMIT', limit)
        try:
            save_tracker(tracker, path)
        except OutputError as error:
            assert f'{limit} can be loaded' in str(error)
            refused.append(limit)
        else:
            load_tracker(make('persistent'), path)
            saved.append(limit)
    assert refused
    assert saved
    # A file that cannot be loaded any more is replaced all the same.
    monkeypatch.setattr(state_module, 'LIMIT', 1000)
    with pytest.raises(SourceError, match='are allowed'):
        load_tracker(make('persistent'), path)
    monkeypatch.undo()
    save_tracker(tracker, path)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_a_restored_tracker_goes_on_as_if_nothing_had_happened(algorithm, tmp_path):
    def people(frame):
        return [[100 + 9 * frame, 100, 40, 100], [460 - 9 * frame, 104, 40, 100]]

    # The galleries of deep_sort are full, and have turned over, when they are stored.
    first, second = (persistent(algorithm=algorithm, nn_budget=6) for _ in range(2))
    for frame in range(15):
        step(first, people(frame), [0, 1], frame * SECOND // 10)
    save_tracker(first, tmp_path / 'state.npz')
    step(second, people(3), [5, 6], 0)
    load_tracker(second, tmp_path / 'state.npz')
    for frame in range(15, 40):
        stamp = frame * SECOND // 10
        expected = step(first, people(frame), [0, 1], stamp)
        found = step(second, people(frame), [0, 1], stamp)
        assert [track.id for track in found] == [track.id for track in expected]
        np.testing.assert_array_equal(
            [track.box for track in found], [track.box for track in expected]
        )
    assert {track.id for track in first.tracks} == {1, 2}
    for name, array in first.state().items():
        if name != 'gallery_numbers':
            np.testing.assert_array_equal(second.state()[name], array)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_an_empty_tracker_can_be_stored(algorithm, tmp_path):
    tracker = persistent(algorithm=algorithm)
    save_tracker(tracker, tmp_path / 'state')
    step(tracker, [[300, 300, 40, 100]], [0], 0)
    load_tracker(tracker, tmp_path / 'state')
    assert tracker.tracks == []
    step(tracker, [[300, 300, 40, 100]], [0], 0)
    assert [track.id for track in tracker.tracks] == [1]


def wrong_states(path):
    """Yield files that are no state, and a part of what is said about each."""
    save_tracker(persistent(), path)
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
        ({'clock': np.array([1.0, np.nan])}, 'damaged'),
        ({'kalman': np.array(['a'])}, 'damaged'),
    ]:
        with path.open('wb') as file:
            np.savez(file, **{**arrays, **change})
        yield words
    del arrays['embeddings']
    with path.open('wb') as file:
        np.savez(file, **arrays)
    yield 'damaged'


def test_files_that_are_no_state_change_nothing(tmp_path):
    tracker = persistent()
    step(tracker, [[300, 300, 40, 100]], [0], 0)
    for words in wrong_states(tmp_path / 'state.npz'):
        with pytest.raises(SourceError, match=words):
            load_tracker(tracker, tmp_path / 'state.npz')
        assert [track.id for track in tracker.tracks] == [1]


def test_a_state_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match='cannot write'):
        save_tracker(persistent(), tmp_path / 'missing' / 'state.npz')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(OutputError, match='cannot write'):
        save_tracker(persistent(), tmp_path / 'folder')
    assert [path.name for path in tmp_path.iterdir()] == ['folder']
