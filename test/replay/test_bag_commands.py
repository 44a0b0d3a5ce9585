"""``persontrack bag`` as a user runs it."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.core.evaluation.mot import read_mot

pytestmark = pytest.mark.slow

FRAMES = 12


@pytest.fixture(scope='session')
def vtest(data, models, persontrack, tmp_path_factory):
    """Record and track the beginning of vtest.avi once: a folder of bags and files of tracks."""
    folder = tmp_path_factory.mktemp('vtest_bags')
    video = data('videos/vtest.avi')

    def run(*arguments):
        done = persontrack(*arguments, '--max-frames', FRAMES)
        assert done.returncode == 0, done.stderr
        assert f'{FRAMES} ' in done.stdout

    run('run', video, '--online', '--mot-output', folder / 'video.txt')
    run('bag', 'record', video, '-o', folder / 'raw')
    png = ('--storage', 'sqlite3', '--compress', 'png')
    run('bag', 'record', video, '-o', folder / 'png', *png)
    for name in ('raw', 'png'):
        out = ('-o', folder / f'{name}_tracks', '--mot-output', folder / f'{name}.txt')
        run('bag', 'track', folder / name, *out)
    return folder


def test_bag_video_and_node_have_the_same_tracks(vtest, replay, tmp_path):
    video = vtest / 'video.txt'
    assert len(read_mot(video))
    for name in ('raw', 'png'):
        assert (vtest / f'{name}.txt').read_text() == video.read_text()
    result = replay(vtest / 'png')
    assert len(result.messages) == FRAMES
    result.assert_tracks(video, tolerance=0.01)
    result.assert_tracks(vtest / 'raw_tracks', tolerance=0.01)
    rows = read_mot(video)
    rows[:, 2] += 0.02
    shifted = tmp_path / 'shifted.txt'
    np.savetxt(shifted, rows, fmt='%.5f', delimiter=',')
    result.assert_tracks(shifted, tolerance=0.03)
    with pytest.raises(AssertionError, match='frames differ .*, 0 may:\nframe'):
        result.assert_tracks(shifted, tolerance=0.01)


def test_compare(vtest, persontrack, tmp_path):
    same = persontrack('bag', 'compare', vtest / 'raw_tracks', vtest / 'png_tracks')
    assert (same.returncode, same.stdout) == (0, f'0 of {FRAMES} frames differ\n')
    rows = read_mot(vtest / 'video.txt')
    rows[rows[:, 0] == FRAMES, 1] += 100
    other = tmp_path / 'other.txt'
    np.savetxt(other, rows, fmt='%.4f', delimiter=',')
    arguments = ('bag', 'compare', vtest / 'raw_tracks', other)
    picture = tmp_path / 'picture.png'
    differ = persontrack(*arguments, '--picture', picture)
    assert differ.returncode == 1
    assert picture.stat().st_size > 10_000
    assert f'frame {FRAMES} ' in differ.stdout
    assert '1 is 101 in B' in differ.stdout
    assert f'1 of {FRAMES} frames differ' in differ.stdout
    assert persontrack(*arguments, '--allow', 1).returncode == 0


@pytest.mark.parametrize(
    ('start', 'end', 'code', 'frames', 'messages'),
    [
        (0.5, 1.0, 0, 6, ['6 messages before it can be read']),
        # The head of the sixth image's message.
        (
            *(0.494, 0.502, 2, 5),
            ['x.mcap is damaged (see the warnings)', 'messages on /image_raw are missing'],
        ),
    ],
    ids=['cut off', 'damaged'],
)
def test_what_can_be_read_is_tracked(
    vtest, persontrack, tmp_path, start, end, code, frames, messages
):
    """What is missing is told, and the exit code says so too."""
    content = (vtest / 'raw' / 'raw_0.mcap').read_bytes()
    first, last = int(start * len(content)), int(end * len(content))
    middle = bytes(last - first) if end < 1 else b''
    (tmp_path / 'x.mcap').write_bytes(content[:first] + middle + content[last:])
    done = persontrack('bag', 'track', tmp_path / 'x.mcap', '-o', tmp_path / 'out')
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith(f'{frames} frames')
    assert all(message in done.stderr for message in messages), done.stderr
    tracks = (tmp_path / 'out', vtest / 'raw_tracks')
    same = persontrack('bag', 'compare', *tracks, '--allow', FRAMES - frames)
    assert same.returncode == 0, same.stdout


def test_track_unreadable_images(vtest, persontrack, tmp_path):
    with BagReader(vtest / 'png') as bag, BagWriter(tmp_path / 'bad', 'mcap') as other:
        (topic,) = bag.connections
        copy = other.copy_topic(topic)
        for _, stamp, data in bag.messages():
            other.write(copy, stamp, bytes(data[:200]) + bytes(len(data) - 200))
    done = persontrack('bag', 'track', tmp_path / 'bad')
    assert done.returncode == 2
    assert 'no image on /image_raw/compressed can be decoded' in done.stderr


def test_bad_input(vtest, persontrack, tmp_path):
    """One line that says what was wrong, exit code 2, and nothing is written or lost."""
    for arguments, message in (
        (('track', vtest / 'raw', '--image-topic', '/wrong'), 'its image topics are /image_raw'),
        (('track', vtest / 'raw', '-o', vtest / 'png'), 'exists already; --overwrite'),
        (('track', vtest / 'raw', '-o', vtest / 'raw', '--overwrite'), 'is the input'),
        (('track', vtest / 'raw_tracks', '-o', tmp_path / 'x'), 'has a topic /tracks already'),
        (('track', vtest / 'video.txt'), 'is no bag'),
        (('track', vtest / 'none'), 'there is no bag'),
        (('record', vtest / 'raw', '-o', tmp_path / 'x'), 'no images'),
        (('record', vtest / 'none.avi', '-o', vtest / 'raw', '--overwrite'), 'no such video'),
        (('compare', vtest / 'raw', vtest / 'png_tracks'), 'has no tracks'),
    ):
        done = persontrack('bag', *arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert message in done.stderr, (arguments, done.stderr)
        assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'x').exists()
    with BagReader(vtest / 'raw', pytest.fail) as bag:
        assert bag.choose_image_topic().msgcount == FRAMES


@pytest.mark.parametrize(('command', 'storage'), [('record', 'sqlite3'), ('track', 'mcap')])
def test_interrupted(data, models, vtest, tmp_path, command, storage):
    """Ctrl-C leaves a bag that can be read without a warning."""
    out = tmp_path / 'out'
    source = vtest / {'mcap': 'raw', 'sqlite3': 'png'}[storage]
    arguments = [source, '-o', out]
    if command == 'record':
        arguments = [data('videos/vtest.avi'), '-o', out, '--storage', storage]
    call = [sys.executable, '-m', 'persontrack_ros.cli', 'bag', command, *map(str, arguments)]
    process = subprocess.Popen(call, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob('.*.part')) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    # On a busy machine, it may have come to its end meanwhile.
    assert process.returncode == 0 or b'100%' in errors, errors
    with BagReader(out, pytest.fail) as bag:
        list(bag.messages())
