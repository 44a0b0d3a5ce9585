"""Commands that cannot be done: one line says why."""

import re

import cv2
import numpy as np
import pytest


@pytest.fixture(scope='module')
def video(data):
    return data('videos/vtest.avi')


@pytest.fixture
def files(tmp_path):
    """Make files that cannot be used, by a name for each."""
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'garbage.avi').write_bytes(bytes(range(256)) * 40)
    (tmp_path / 'garbage.png').write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(100))
    (tmp_path / 'empty folder').mkdir()
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos' / 'a.mp4').touch()
    (tmp_path / 'bad.yaml').write_text('/**: {ros__parameters: {tracker: {max_age: -3}}}')
    (tmp_path / 'two.yaml').write_text(
        'a: {person_tracker: {ros__parameters: {}}, b: {person_tracker: {ros__parameters: {}}}}'
    )
    (tmp_path / 'words.yaml').write_text('just: words')
    (tmp_path / 'damaged.yaml').write_text('/**: {')
    (tmp_path / 'bad.npz').write_bytes(b'no recording')
    cv2.imwrite(str(tmp_path / 'good.png'), np.full((120, 50, 3), 90, dtype=np.uint8))
    return tmp_path


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ('run missing.mp4', 'no such video, folder or camera: missing.mp4'),
        ('run 97', 'camera 97 is not there'),
        ('run empty.mp4', 'cannot decode the video empty.mp4'),
        ('run garbage.avi', 'cannot decode the video garbage.avi'),
        ('run empty?folder', 'no images'),
        ('run VIDEO --mot-output nowhere/tracks.txt', 'cannot write nowhere/tracks.txt'),
        ('run VIDEO --output nowhere/out.mp4', 'cannot write nowhere/out.mp4: No such file'),
        ('run VIDEO --skip-frames 100000 --max-frames 1', 'after the first 100000'),
        ('run VIDEO --device NOPE', 'device NOPE is not available'),
        ('run VIDEO --params missing.yaml', 'cannot read the parameter file missing.yaml'),
        ('run VIDEO --params damaged.yaml', 'cannot read the parameter file damaged.yaml'),
        ('run VIDEO --params words.yaml', 'words.yaml is no ROS parameter file'),
        ('run VIDEO --params bad.yaml', 'tracker.max_age: -3 is not in the range'),
        ('run VIDEO --params two.yaml', 'choose one of them with --node'),
        ('run VIDEO --node /a/person_tracker', 'give --params too'),
        ('run VIDEO --set tracker.max_aeg=3', 'did you mean tracker.max_age?'),
        ('compare good.png missing.png', 'cannot read the image missing.png: No such file'),
        ('compare good.png garbage.png', 'cannot decode the image garbage.png'),
        ('compare good.png good.png --device NOPE', 'device NOPE is not available'),
        ('embed good.png person.npy', 'cannot write person.npy: the name has to end in .npz'),
        ('embed good.png a.npz --set reid.model=none', 'none computes no embeddings'),
        ('track bad.npz out.txt', 'cannot read the detections bad.npz'),
        ('track missing.npz out.txt', 'cannot read the detections missing.npz'),
        ('detect missing.mp4 out.npz', 'no such video'),
        ('evaluate --ground-truth nowhere', 'cannot read the MOTChallenge file'),
        ('evaluate --ground-truth a b --results a', '2 sequences but 1'),
        ('evaluate --ground-truth a --results a --offline', '--offline is for detections'),
        ('run a.mp4 --output out.gif', 'out.gif: the name has to end in .mp4 or .webm or .mkv'),
        ('run a.mp4 --mot-output out.mp4', 'out.mp4: the name has to end in .txt or .csv'),
        ('run a.mp4 --report out.pdf', 'out.pdf: the name has to end in .html'),
        ('track a.npz out.npz', 'out.npz: the name has to end in .txt or .csv'),
        ('detect a.mp4 out', 'out: the name has to end in .npz'),
        ('run img_%04d.jpg', 'img_%04d.jpg; for numbered images, name their folder'),
        ('run videos', 'in the folder videos; it has videos: name one, as videos/a.mp4'),
        ('run a.mp4 --set tracker.algorithm=DEEP-SORT', "'DEEP-SORT' is not one of persistent"),
    ],
)
def test_errors_are_one_line_and_code_2(
    persontrack, video, models, files, monkeypatch, arguments, message
):
    monkeypatch.chdir(files)
    words = [word.replace('?', ' ').replace('VIDEO', str(video)) for word in arguments.split()]
    done = persontrack(*words)
    assert done.returncode == 2
    # A progress bar that was begun stays on a line of its own; older decoders write one, too.
    other = re.compile(r'(frame/s|s/frame)\]|^$|^\[mov,mp4|^libpng')
    lines = [line for line in done.stderr.splitlines() if not other.search(line)]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith('persontrack: error: ')
    assert message in lines[0]


@pytest.mark.parametrize(
    'arguments',
    [
        *('', 'walk', 'run', 'run a.mp4 b.mp4', 'run a.mp4 --max-frames -3'),
        *('run a.mp4 --skip-frames x', 'compare a.png'),
    ],
)
def test_wrong_usage(persontrack, arguments):
    done = persontrack(*arguments.split())
    assert done.returncode == 2
    assert done.stderr.startswith('usage: persontrack')
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize('command', ['', 'run', 'compare', 'detect', 'track', 'evaluate'])
def test_help(persontrack, command):
    done = persontrack(*command.split(), '--help')
    assert done.returncode == 0
    assert done.stdout.startswith(f'usage: persontrack {command}'.rstrip())
