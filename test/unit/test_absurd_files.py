"""Files of every kind with absurd contents: one line that says so, in bounded time and memory."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.mot import GroundTruth, read_mot
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track

ANCHORS = 'a0: &a0 [x, x]\n' + ''.join(
    f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]\n' for n in range(1, 12)
)


@pytest.mark.parametrize(
    'text',
    [
        ANCHORS,
        'a: &a [*a]',
        '[' * 20_000,
        '{a: ' * 20_000,
        'n: ' + '9' * 400,
        'n: ' + '9' * 6_000,
        'n: 2001-99-99',
        '!!python/object/apply:os.system [ls]',
        '? [a]\n: b',
        b'\xff\xfe\x00',
        b'a: \xff',
        '\x00',
        'a: "\x01"',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_yaml(tmp_path, text):
    path = tmp_path / 'x.yaml'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SourceError, match=r'cannot read the file .*x\.yaml: ') as caught:
        load_yaml(path)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_endless_files():
    for read in (load_yaml, read_mot, Recording.load):
        with pytest.raises(SourceError, match='/dev/zero'):
            read(Path('/dev/zero'))


def recording(**changes):
    file = io.BytesIO()
    arrays = {
        'frame': np.array([1, 2, 3]),
        'tlwh': np.array([[10.0, 20, 30, 60]] * 3),
        'score': np.array([0.9, 0.8, 0.7]),
        'num_frames': 3,
        'stamp': np.arange(3) * 100_000_000,
        'image_size': (640, 480),
        'score_threshold': 0.5,
        'embedding': np.eye(3, 4),
    }
    np.savez(file, **(arrays | changes))
    return file.getvalue()


ABSURD = st.sampled_from(
    [10**9, -5, 1e300, np.nan, np.inf, 'text', b'\xff', [], [[]], [1, 2], np.zeros((3, 0)), True]
)
bounded = settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def mutated(data, content):
    """Change, cut out and repeat parts of a valid file."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed)))
        length = data.draw(st.integers(0, 12))
        piece = data.draw(
            st.one_of(
                st.binary(max_size=12),
                st.just(bytes(length)),
                st.just(bytes(changed[place : place + 40])),
                st.sampled_from([b'9' * 400, b'-1', b'nan', b'\xff' * 8, b'1e999', b'[' * 50]),
            )
        )
        changed[place : place + length] = piece
    return bytes(changed)


def assert_reported(action, kind=SourceError):
    """Call; any error has to be one of ours, on one line."""
    try:
        return action()
    except kind as error:
        assert '\n' not in str(error)
        return None


@bounded
@given(st.data())
def test_mutated_recordings(tmp_path, data):
    path = tmp_path / 'x.npz'
    if data.draw(st.booleans()):
        names = st.sampled_from(['frame', 'tlwh', 'score', 'num_frames', 'stamp', 'embedding'])
        changes = {data.draw(names): data.draw(ABSURD)}
        path.write_bytes(recording(**changes))
    else:
        path.write_bytes(mutated(data, recording()))
    found = assert_reported(lambda: Recording.load(path))
    if found and len(found.stamps) < 1000:
        assert_reported(lambda: as_rows(track(found, TrackerSettings(), 0.0)))


MOT = b'frame,id,x,y,w,h,score\n' + b''.join(
    b'%d,%d,%d.5,20,30,60,0.9,-1,-1,-1\n' % (frame, person, 9 * frame)
    for frame in range(1, 5)
    for person in (1, 2)
)


@bounded
@given(st.data())
def test_mutated_mot_files(tmp_path, data):
    (tmp_path / 'det').mkdir(exist_ok=True)
    path = tmp_path / 'det' / 'det.txt'
    path.write_bytes(mutated(data, MOT))
    sequence = b'[Sequence]\nframeRate=25\nseqLength=5\nimWidth=640\nimHeight=480\n'
    (tmp_path / 'seqinfo.ini').write_bytes(mutated(data, sequence))
    for read in (read_mot, GroundTruth.load, Recording.load):
        assert_reported(lambda read=read: read(path))
