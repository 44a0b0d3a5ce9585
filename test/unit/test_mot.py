"""MOTChallenge files, recordings of detections, and scores."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.evaluation.mot import (
    GroundTruth,
    MotWriter,
    read_mot,
)
from persontrack_ros.core.evaluation.recording import Recording


def test_a_line_per_track_and_frame(tmp_path):
    path = tmp_path / 'tracks.txt'
    with MotWriter(path) as writer:
        writer.add(1, [])
        writer.add(2, [(7, np.array([1.25, -2.5, 30.0, 60.00004]), 0.875)])
        writer.add(3, [(7, np.array([1, 2, 3, 4]), 1.0), (12, np.array([5, 6, 7, 8]), 0.5)])
    assert path.read_text().splitlines()[0] == '2,7,1.2500,-2.5000,30.0000,60.0000,0.8750,-1,-1,-1'
    assert read_mot(path).tolist() == [
        [2, 7, 1.25, -2.5, 30, 60, 0.875],
        [3, 7, 1, 2, 3, 4, 1],
        [3, 12, 5, 6, 7, 8, 0.5],
    ]


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('1,1,5,5,5,5,1\n1,2,3\n', "line 2 .* '1,2,3'; expected 6 to 10 numbers"),
        ('1,1,5,5,5,5,1\n\na,b,c,d,e,f,g\n', "line 3 .* 'a,b"),
        ('frame,id,x,y,w,h\nframe,id,x,y,w,h\n', "line 2 .* 'frame"),
        ('id,frame,x,y,w,h\n1,1,5,5,5,5\n', "line 1 .* 'id"),
        *(
            (f'1,1,1,2,3,4,1\n{line}\n', f'line 2 .*{line[:9]}'.replace('+', '.'))
            for line in (
                '1,1,5,5,5,5,1,-1,-1,-1,-1',
                '1,1,nan,2,3,4,1',
                '1,1,1,2,3,inf,1',
                '1,inf,1,2,3,4,1',
                '1,1,1,2,3,' + '9' * 400 + ',1',
                '1,' + '7' * 5000 + ',1,2,3,4,1',
                '1,1e17,1,2,3,4,1',
                '1,1.5,1,2,3,4,1',
                '1,1,1,2,3e9,4,1',
                '1000000000,1,1,2,3,4,1',
                '0,1,1,2,3,4,1',
                '-3,1,1,2,3,4,1',
                '1.5,1,1,2,3,4,1',
            )
        ),
        ('1,7,1,2,3,4,1\n2,7,1,2,3,4,1\n1,7,9,2,3,4,1\n', 'line 3 .* id 7 .* frame 1'),
        ('\x01' * 9, 'line 1'),
        (b'\xff\xfe1\x00,\x00', 'no text'),
        (None, 'it is no regular file'),
    ],
)
def test_files_that_are_no_mot_files(tmp_path, content, reason):
    path = Path('/dev/zero') if content is None else tmp_path / 'tracks.txt'
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=reason) as caught:
        read_mot(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 3000


ROW = [2, 7, 1.5, 2, 30, 60, 0.5]


@pytest.mark.parametrize(
    ('content', 'rows'),
    [
        # The separators that py-motmetrics documents for MOTChallenge: \s+|\t+|,
        ('2,7,1.5,2,30,60,0.5,-1,-1,-1\n', [ROW]),
        ('2 7 1.5 2 30 60 0.5 -1 -1 -1\n', [ROW]),
        ('2\t7\t1.5\t2\t30\t60\t0.5\n', [ROW]),
        ('  2, 7, 1.5 , 2, 30,60,  0.5 \r\n', [ROW]),
        ('2,7,1.5,2,30,60,0.5,-1,-1,-1,\n', [ROW]),
        ('2.0,7.000000e+00,1.5,2,30,60,0.5\n', [ROW]),
        ('\ufeff2,7,1.5,2,30,60,0.5\n', [ROW]),
        # The names of its columns, as pandas writes them.
        ('FrameId,Id,X,Y,Width,Height,Confidence\n2,7,1.5,2,30,60,0.5\n', [ROW]),
        ('\ufeff\n"frame" "id" "x" "y" "w" "h"\n2 7 1.5 2 30 60\n', [[*ROW[:6], 1]]),
        ('# frame, id, x, y, w, h, score\n2,7,1.5,2,30,60,0.5\n', [ROW]),
        ('2,7,1.5,2,30,60\n', [[*ROW[:6], 1]]),
        ('2,7,1.5,2,30,60,0.5,-1\n', [ROW]),
        ('2,7,1.5,2,30,60,0.5,1,0.75\n2,8,1.5,2,30,60,0.5,3,0.75\n', [ROW]),
        ('2,7,1.5,2,30,60,0.5,-1,-1\n', [ROW]),
        ('2,7,1.5,2,30,60,0.5,0,-1\n', [ROW]),
        # Of MOT15, the eighth of ten is a place in the world.
        ('2,7,1.5,2,30,60,0.5,3,-4.5,0\n', [ROW]),
        ('\n', []),
    ],
)
def test_files_as_tools_write_them(tmp_path, content, rows):
    path = tmp_path / 'tracks.txt'
    path.write_bytes(content.encode())
    assert read_mot(path).tolist() == rows
    assert read_mot(path, unique_ids=False).tolist() == rows


def test_ids_of_detections_mean_nothing(tmp_path):
    path = tmp_path / 'det.txt'
    path.write_text('1,-1,0,0,5,5,1\n1,-1,9,9,5,5,0.5\n')
    assert len(read_mot(path, unique_ids=False)) == 2
    with pytest.raises(SourceError, match='line 2 .* id -1 for the second time in frame 1'):
        read_mot(path)


@pytest.mark.parametrize(
    ('content', 'benchmark', 'found'),
    [
        # A flag of 0 is what MOTChallenge ignores; TrackEval reads it as an integer.
        (
            '1,1,0,0,5,5,1,-1,-1,-1\n1,2,9,9,5,5,0,-1,-1,-1\n1,2,9,9,5,5,0,-1,-1,-1\n'
            '1,3,0,0,5,5,-1,-1,-1,-1\n1,4,0,0,5,5,0.4,-1,-1,-1\n',
            None,
            [1, 3],
        ),
        ('1,2,9,9,5,5,0,-1,-1,-1\n', None, 'no line .* counts by the rule of MOT15'),
        ('1,2,9,9,5,5,1\n1,2,9,9,5,5,1\n', None, 'line 2 .* second time'),
        # CVAT: frame, id, box, not ignored, class, visibility; ids are of all classes.
        (
            '1,1,0,0,5,5,1,1,1.0\n1,2,9,9,5,5,1,2,0.86\n1,1,0,0,5,5,1,3,1.0\n'
            '1,3,0,0,5,5,0,1,1.0\n',
            None,
            [1],
        ),
        ('1,1,0,0,5,5,1,1,1\n1,2,9,9,5,5,1,0,1\n', None, 'line 2 .* class 0 .* MOT17 are 1 to 13'),
        ('1,1,0,0,5,5,1,1,1\n1,2,9,9,5,5,1,0,1\n', 'MOT15', [1, 2]),
        ('1,1,0,0,5,5,1,3,1\n1,2,9,9,5,5,1,2,1\n', None, 'no line .* by the rule of MOT17'),
    ],
)
def test_ground_truth_leaves_out_what_does_not_count(tmp_path, content, benchmark, found):
    (tmp_path / 'gt').mkdir()
    file = tmp_path / 'gt' / 'gt.txt'
    file.write_text(content)
    for path in (tmp_path, file):
        if isinstance(found, str):
            with pytest.raises(SourceError, match=found):
                GroundTruth.load(path, benchmark)
        else:
            assert GroundTruth.load(path, benchmark).rows[:, 1].tolist() == found


def test_other_classes_in_results(tmp_path, capsys):
    """Trackers write 0, 1 or -1 for pedestrians."""
    file = tmp_path / 'tracks.txt'
    lines = [f'1,{id_},0,0,5,5,1,{id_ - 2},1\n' for id_ in (1, 2, 3, 4)]
    file.write_text(''.join(lines))
    assert read_mot(file)[:, 1].tolist() == [1, 2, 3]
    assert 'left out are 1 lines of the classes 2 (column 8)' in capsys.readouterr().err
    file.write_text(lines[3])
    with pytest.raises(SourceError, match='classes 2 .* class 1'):
        read_mot(file)


@pytest.mark.parametrize(
    ('folder', 'name', 'line', 'benchmark'),
    [
        ('MOT16-02', None, '1,1,0,0,5,5,1,1,1', 'MOT16'),
        ('mot20_x', None, '1,1,0,0,5,5,1,1,1', 'MOT20'),
        ('anything', 'MOT20-01', '1,1,0,0,5,5,1,1,1', 'MOT20'),
        ('anything', 'else', '1,1,0,0,5,5,1,1,1', 'MOT17'),
        ('anything', None, '1,1,0,0,5,5,1,1', 'MOT17'),
        ('MOT17-02', None, '1,1,0,0,5,5,1,-1,-1,-1', 'MOT15'),
        ('anything', None, '1,1,0,0,5,5,1,-1,-1', 'MOT15'),
        ('anything', None, '1,1,0,0,5,5,1', 'MOT15'),
        # A place in the world.
        ('anything', None, '1,1,0,0,5,5,1,2,3,4', 'MOT15'),
    ],
)
def test_whose_rule_counts(tmp_path, folder, name, line, benchmark):
    (tmp_path / folder / 'gt').mkdir(parents=True)
    (tmp_path / folder / 'gt' / 'gt.txt').write_text(f'{line}\n')
    if name:
        (tmp_path / folder / 'seqinfo.ini').write_text(f'[Sequence]\nname={name}\n')
    assert GroundTruth.load(tmp_path / folder).benchmark == benchmark


def recording(vectors=None):
    boxes = [[1, 2, 30, 60], [5, 6, 30, 60], [9, 9, 30, 60]]
    return Recording(
        np.array([1, 3, 3]),
        Detections.create(boxes, [0.9, 0.8, 0.3], vectors, (640, 480)),
        np.array([0, 100, 250, 300], dtype=np.int64),
    )


@pytest.mark.parametrize('vectors', [np.eye(3, 4, dtype=np.float32), None])
def test_recordings_come_back(tmp_path, vectors):
    stored = recording(vectors)
    path = tmp_path / 'detections.npz'
    stored.save(path)
    loaded = Recording.load(path)
    assert loaded.frames.tolist() == stored.frames.tolist()
    assert loaded.stamps.tolist() == stored.stamps.tolist()
    stamps = Recording.load(path, rate=20.0).stamps
    assert stamps.tolist() == [0, 50_000_000, 100_000_000, 150_000_000]
    assert loaded.detections.image_size == (640, 480)
    np.testing.assert_allclose(loaded.detections.boxes, stored.detections.boxes)
    np.testing.assert_allclose(loaded.detections.scores, stored.detections.scores)
    np.testing.assert_array_equal(loaded.detections.embeddings, vectors)


def test_replay_gives_every_frame_with_its_detections():
    stored = recording(np.eye(3, 4, dtype=np.float32))
    frames = list(stored.replay(score_threshold=0.5))
    assert [each[:2] for each in frames] == [(1, 0), (2, 100), (3, 250), (4, 300)]
    assert [found.scores.tolist() for _, _, found in frames] == [[0.9], [], [0.8], []]
    assert frames[2][2].embeddings.tolist() == [[0, 1, 0, 0]]
    every = list(stored.replay(score_threshold=0.1, every=2))
    assert [(number, len(found)) for number, _, found in every] == [(1, 1), (3, 2)]


def test_recordings_know_the_detector_of_each_frame(tmp_path):
    turns = np.array([1, 2, 0, 0], dtype=np.int8)
    stored = dataclasses.replace(recording(), turns=turns, light_threshold=0.95)
    stored.save(tmp_path / 'detections.npz')
    loaded = Recording.load(tmp_path / 'detections.npz')
    for threshold, light in ((0.0, []), (0.5, [0.9])):
        found = [each for _, _, each in loaded.replay(threshold)]
        assert found[1] is None
        scores = [found[index].scores.tolist() for index in (0, 2, 3)]
        np.testing.assert_allclose(scores[0] + scores[1], [*light, 0.8])
        assert [each.light for each in found if each is not None] == [True, False, False]
    for wrong in (turns[1:], turns + 2):
        dataclasses.replace(stored, turns=wrong).save(tmp_path / 'wrong.npz')
        with pytest.raises(SourceError, match='turn of shape'):
            Recording.load(tmp_path / 'wrong.npz')


@pytest.fixture
def sequence(tmp_path):
    """Return a function that reads the detections of a sequence with some seqinfo.ini."""
    path = tmp_path / 'det' / 'det.txt'
    path.parent.mkdir()
    path.write_text('2,-1,10,20,30,60,0.7,-1,-1,-1\n2,-1,10,20,0,60,0.7,-1,-1,-1\n')
    values = {'frameRate': '25', 'seqLength': '5', 'imWidth': '640', 'imHeight': '480'}

    def read(changes=None):
        if changes is not None:
            lines = [f'{key}={value}\n' for key, value in {**values, **changes}.items() if value]
            (tmp_path / 'seqinfo.ini').write_text('[Sequence]\nname=x\n' + ''.join(lines))
        return Recording.load(path)

    return read


def test_public_detections_with_their_sequence(sequence):
    loaded = sequence()
    assert (len(loaded.stamps), loaded.stamps[1]) == (2, 100_000_000)
    loaded = sequence({})
    assert loaded.frames.tolist() == [2]  # a box without width is none
    assert (len(loaded.stamps), loaded.stamps[1]) == (5, 40_000_000)
    assert loaded.detections.image_size == (640, 480)


@pytest.mark.parametrize('key', ['seqLength', 'imWidth', 'imHeight', 'frameRate'])
@pytest.mark.parametrize('value', [None, 'x', '-1', 'nan', '1000000000'])
def test_a_wrong_seqinfo_names_file_and_key(tmp_path, sequence, key, value):
    with pytest.raises(SourceError, match=rf'{tmp_path}/seqinfo.ini has .*{key}'):
        sequence({key: value})


ONE = {'num_frames': 1, 'frame': [1], 'score': [0.5], 'tlwh': [[1, 2, 3, 4]]}


@pytest.mark.parametrize(
    'content',
    [
        None,
        b'',
        b'PK nonsense',
        {},
        {name: value for name, value in ONE.items() if name != 'tlwh'},
        ONE | {'tlwh': [[1, 2, 3, -4]]},
        ONE | {'score': [np.nan]},
        ONE | {'score': [0.5, 0.6]},
        ONE | {'tlwh': [[1, 2, 3]]},
    ],
)
def test_files_that_are_no_recordings(tmp_path, content):
    path = tmp_path / 'detections.npz'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **{name: np.array(value) for name, value in content.items()})
    with pytest.raises(SourceError, match=r'cannot read the detections .*detections\.npz'):
        Recording.load(path)


@pytest.mark.parametrize(
    ('boxes', 'scores', 'embeddings'),
    [
        ([[1, 2, 3, 4]], [], None),
        ([[1, 2, 0, 4]], [0.5], None),
        ([[1, 2, 3, -4]], [0.5], None),
        ([[1, np.nan, 3, 4]], [0.5], None),
        ([[1, 2, np.inf, 4]], [0.5], None),
        ([[1, 2, 3, 4]], [np.nan], None),
        ([[1, 2, 3, 4]], [0.5], [1, 2]),
        ([[1, 2, 3, 4]], [0.5], [[1, 2], [3, 4]]),
        ([[1, 2, 3, 4]], [0.5], [[np.nan, 0]]),
        ([[1, 2, 3]], [0.5], None),
    ],
)
def test_detections_that_contradict_themselves(boxes, scores, embeddings):
    with pytest.raises(ValueError, match=r'boxes|embeddings'):
        Detections.create(boxes, scores, embeddings)
