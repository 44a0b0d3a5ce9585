"""States from anybody: restored as a whole and usable, or refused on one line."""

from __future__ import annotations

import io
import itertools
import os
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_tracking import ALGORITHMS, SECOND, step

from persontrack_ros.core.errors import OutputError, SourceError
from persontrack_ros.core.files.arrays import read_arrays
from persontrack_ros.core.parameters.settings import TrackerSettings
from persontrack_ros.core.tracking.state import load_tracker, save_tracker
from persontrack_ros.core.tracking.tracker import make_tracker

WRONG = 'has numbers|do not rise|two tracks|should be|without size|more than the variances'


def make(algorithm, remember=0.0):
    return make_tracker(TrackerSettings(algorithm=algorithm, remember=remember))


def walk(tracker, first, last):
    for frame in range(first, last):
        boxes = [[100 + 5 * frame, 100, 40, 100], [500 - 5 * frame, 110, 40, 100]]
        tracks = step(tracker, boxes, [0, 1], frame * SECOND // 10)
    return tracks


ABSURD = [
    ('next_id', 0, 1e300),
    ('next_id', 0, -5),
    ('next_id', 0, 1),
    ('ids', 0, 0),
    ('ids', 1, 1),
    ('ids', 1, 2**60),
    ('hits', 0, -1),
    ('ages', 0, 0),
    ('scores', 0, 7.0),
    ('scores', 0, np.nan),
    ('kalman_position', (0, 3), 1e-308),
    ('kalman_position', (0, 0), 1e300),
    ('kalman_velocity', (0, 1), -np.inf),
    ('kalman_position_variance', (0, 1), -1.0),
    ('detections', 0, -2),
    ('misses', 0, -1),
    ('seen_at', 0, 1e9),
    ('looked_at', 0, 1e9),
    ('best_scores', 0, 1.5),
    ('looks', (0, 0), 2.0),
    ('look_counts', 0, -1),
    ('kalman_cross_covariance', (0, 1), 1e6),
    ('kalman_velocity_variance', (0, 1), -1.0),
    ('image_size', 0, 0),
    ('growth', 0, np.nan),
    ('gallery_ids', (0, 1), 0),
    ('gallery_ids', (0, 1), 2),
    ('gallery_next_id', 0, -5),
    ('gallery_next_id', 0, 1),
    ('gallery_persons', 0, 2),
    ('gallery_persons', 0, 2**60),
    ('gallery_sizes', 0, 10**9),
    ('gallery_views', (0, 0), np.nan),
    ('gallery_counts', 0, 0),
]


def absurd_cases():
    """Yield absurd values of what there is in the states of each algorithm."""
    for algorithm, shared in itertools.product(ALGORITHMS, [False, True]):
        tracker = make(algorithm, 60.0 * shared)
        walk(tracker, 0, 12)
        state = tracker.state()
        for name, place, value in ABSURD:
            if name == 'next_id' and algorithm == 'persistent':
                name = 'clock'
            if state.get(name, np.empty(0)).size:
                yield algorithm, shared, name, place, value


@pytest.mark.parametrize(('algorithm', 'shared', 'name', 'place', 'value'), absurd_cases())
@pytest.mark.fault(
    'files',
    'states with impossible ids, boxes, scores or sizes',
    happens='refused, with the reason',
    lost='nothing',
)
def test_absurd_values(algorithm, shared, name, place, value):
    tracker = make(algorithm, 60.0 * shared)
    walk(tracker, 0, 12)
    state = tracker.state()
    changed = state[name].copy()
    if abs(value) > 2**62 and changed.dtype.kind == 'i':
        changed = changed.astype(np.float64)
    changed[place] = value
    before = repr(tracker.tracks)
    with pytest.raises(ValueError, match=WRONG):
        tracker.restore({**state, name: changed})
    assert repr(tracker.tracks) == before


numbers = st.one_of(
    st.sampled_from([0, -1, 1, 2**53, -(2**63), 2**63 - 1]), st.floats(width=64), st.integers(0, 9)
)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
@given(data=st.data(), shared=st.booleans())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.fault(
    'files',
    'states with any numbers and lengths',
    happens='refused, or the next images are tracked',
    lost='nothing',
)
def test_what_is_restored_can_be_used(algorithm, data, shared):
    """With any numbers and lengths: refused, or the next images are tracked."""
    first, second = make(algorithm, 60.0 * shared), make(algorithm, 60.0 * shared)
    walk(first, 0, 12)
    state = first.state()
    for name in data.draw(st.sets(st.sampled_from(sorted(state)), min_size=1, max_size=3)):
        array = state[name]
        if data.draw(st.booleans()) and array.size:
            place = data.draw(st.integers(0, array.size - 1))
            with np.errstate(all='ignore'):
                number = np.array(data.draw(numbers)).astype(array.dtype)
            array.flat[place] = number
        else:
            shape = tuple(data.draw(st.integers(0, 4)) for _ in array.shape)
            state[name] = np.resize(array, shape)
    try:
        second.restore(state)
    except ValueError:
        assert second.tracks == []
        return
    for frame in range(12, 16):
        tracks = walk(second, frame, frame + 1)
        assert np.isfinite([track.box for track in tracks]).all()
        assert len({track.id for track in tracks}) == len(tracks)
        assert all(track.id > 0 for track in tracks)


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
        (packed(HEADER.format('<f8', 10**13)), 'is announced in'),
        (packed(HEADER.format('<f8', -1)), 'is announced in'),
        (packed(HEADER.format('<f8', 10**400)), 'ValueError'),
        (packed(HEADER.format('|O', 1), b'12345678'), 'ValueError'),
        (packed('import os'), 'ValueError'),
        (
            packed(HEADER.format('<f8', 2**23), bytes(2**26), compression=zipfile.ZIP_DEFLATED),
            'bytes; 1048576 are allowed',
        ),
    ],
    ids=['rows', 'negative', 'digits', 'objects', 'code', 'bomb'],
)
@pytest.mark.fault(
    'files',
    'archives that announce or unpack to more than they may',
    happens='refused before memory is taken',
    lost='nothing',
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
@pytest.mark.fault(
    'files',
    'states with damaged bytes, or cut in half',
    happens='refused, or whole',
    lost='nothing',
)
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


@pytest.mark.fault(
    'files',
    'a state saved over something else',
    happens='refused, with the reason',
    lost='nothing',
)
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
