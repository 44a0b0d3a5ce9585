"""The command line, run as a user runs it."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from persontrack_ros.core.evaluation.mot import GroundTruth, read_mot
from persontrack_ros.core.media.source import VideoSource

# Seconds; on a machine that is busy with other programs.
TIMEOUT = 1200
FRAMES = 40


def lines_until(path, last_frame):
    """Return the lines of a file of tracks up to a frame."""
    lines = path.read_text().splitlines()
    return [line for line in lines if int(line.split(',')[0]) <= last_frame]


@pytest.fixture(scope='module')
def video(data):
    return data('videos/vtest.avi')


@pytest.fixture(scope='module')
def crops(persons, video, tmp_path_factory):
    """Cut persons out of the video: (id, frame) -> file."""
    folder = tmp_path_factory.mktemp('crops')
    rows = GroundTruth.load(persons).rows
    rows[:, 0] -= rows[0, 0] - 1
    capture = cv2.VideoCapture(str(video))
    files = {}
    for frame in range(1, 32):
        image = capture.read()[1]
        for _, who, *box, _ in rows[rows[:, 0] == frame]:
            left, top, width, height = (round(value) for value in box)
            crop = image[max(0, top) : top + height, max(0, left) : left + width]
            files[int(who), frame] = folder / f'{who:.0f}-{frame}.png'
            cv2.imwrite(str(files[int(who), frame]), crop)
    return files


@pytest.mark.slow
def test_two_runs_give_identical_files(persontrack, video, vtest_tracks, tmp_path):
    """The whole video in one run, and its beginning in another one."""
    path = tmp_path / 'tracks.txt'
    done = persontrack('run', video, '--online', '--max-frames', FRAMES, '--mot-output', path)
    assert done.returncode == 0
    expected = lines_until(vtest_tracks, FRAMES)
    assert len(expected) > 100
    assert path.read_text().splitlines() == expected
    assert re.search(rf'^{FRAMES} frames, \d+ ids, [\d.]+ ms per frame$', done.stdout)


def test_annotated_video(persontrack, video, tmp_path):
    path = tmp_path / 'out put.mp4'
    done = persontrack('run', video, '--max-frames', 12, '--online', '--output', path)
    assert done.returncode == 0, done.stderr
    with VideoSource(str(path)) as written, VideoSource(str(video)) as source:
        assert written.rate == pytest.approx(source.rate)
        pairs = list(zip(written, source))
    assert len(pairs) == 12
    for annotated, plain in pairs:
        assert annotated.image.shape == plain.image.shape
    # The speed is on the last image, at the top left: white, where the video is darker.
    label = pairs[-1][0].image[:16, :100]
    assert (label.min(axis=2) > 230).mean() > 0.3


def test_flip(persontrack, video, tmp_path):
    """Mirrored images give mirrored boxes, as exactly as a network is symmetric."""
    rows = []
    for options in ([], ['--flip']):
        path = tmp_path / f'tracks{len(rows)}.txt'
        persontrack('run', video, '--online', '--max-frames', 10, '--mot-output', path, *options)
        boxes = read_mot(path)
        rows.append(boxes[boxes[:, 0] == 10, 2:6])
    plain, mirrored = rows
    mirrored[:, 0] = 768 - mirrored[:, 0] - mirrored[:, 2]
    assert len(plain) >= 3
    for box in plain:
        assert np.abs(mirrored - box).max(axis=1).min() < 15


@pytest.mark.parametrize(
    ('number', 'after'), [(signal.SIGINT, 1), (signal.SIGTERM, 10), (signal.SIGHUP, 10)]
)
@pytest.mark.slow
def test_a_signal_leaves_complete_files(video, models, vtest_tracks, tmp_path, number, after):
    tracks, annotated = tmp_path / 'tracks.txt', tmp_path / 'out.mp4'
    process = subprocess.Popen(
        [sys.executable, '-m', 'persontrack_ros.cli', 'run', str(video), '--online']
        + ['--mot-output', str(tracks), '--output', str(annotated)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding='utf-8',
    )
    end = time.monotonic() + TIMEOUT
    # Until they are complete, files have other names.
    while not any(
        part.read_bytes().count(b',-1,-1,-1\n') >= after for part in tmp_path.glob('.*.part')
    ):
        assert not tracks.exists()
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    output, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {'tracks.txt', 'out.mp4'}
    assert 'Traceback' not in errors
    frames = int(re.search(r'^(\d+) frames', output, re.M)[1])
    assert 0 < frames < 795
    written = tracks.read_text()
    assert written.endswith('\n')
    # The image that was being worked on may be in one file already, and in the other not yet.
    complete = lines_until(vtest_tracks, frames)
    assert written.splitlines()[: len(complete)] == complete
    with VideoSource(str(annotated)) as video_written:
        assert abs(len(list(video_written)) - frames) <= 1


@pytest.mark.slow
def test_a_video_that_was_cut_off(persontrack, video, vtest_tracks, tmp_path):
    """What is there is tracked and kept, and the exit code tells that it is not all."""
    cut, tracks, annotated = (tmp_path / name for name in ('cut.avi', 'tracks.txt', 'out.mp4'))
    cut.write_bytes(video.read_bytes()[:500_000])
    for online in (['--online'], []):
        outputs = ('--mot-output', tracks, '--output', annotated, '--overwrite')
        done = persontrack('run', cut, *outputs, *online)
        assert done.returncode == 2
        frames = int(re.search(r'^(\d+) frames', done.stdout, re.M)[1])
        assert 20 < frames < 100
        error = f'persontrack: error: {cut} is damaged: '
        assert done.stderr.splitlines()[-1].startswith(error)
        assert f'after {frames + 1} of 795 images' in done.stderr
        if online:
            assert tracks.read_text().splitlines() == lines_until(vtest_tracks, frames)
        with VideoSource(str(annotated)) as written:
            assert len(list(written)) == frames


@pytest.mark.parametrize('command', ['detect {} out.npz', 'bag record {} -o out'])
def test_what_is_made_of_a_video_that_was_cut_off(persontrack, video, tmp_path, command):
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(video.read_bytes()[:200_000])
    *words, output = command.format(cut).split()
    done = persontrack(*words, tmp_path / output)
    assert done.returncode == 2
    assert re.search(r'^\d+ (frames|images)', done.stdout, re.M)
    assert f'{cut} is damaged' in done.stderr
    assert (tmp_path / output).exists()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_standard_output_on_a_full_disk():
    with open('/dev/full', 'w') as full:
        done = subprocess.run(
            [sys.executable, '-m', 'persontrack_ros.cli', 'models', 'list'],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding='utf-8',
            timeout=TIMEOUT,
        )
    assert done.returncode == 2
    assert done.stderr == 'persontrack: error: standard output: No space left on device\n'


@pytest.mark.parametrize('moment', ['libopenvino.so', 'libopenvino_intel_cpu'])
@pytest.mark.slow
def test_ctrl_c_while_starting(video, models, tmp_path, moment):
    """While modules are imported or models compiled, there is no result; but no traceback."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'persontrack_ros.cli', 'run', str(video), '--online'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding='utf-8',
    )
    end = time.monotonic() + TIMEOUT
    while moment not in Path(f'/proc/{process.pid}/maps').read_text():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert 'Traceback' not in errors
    assert process.returncode in (0, 130, -signal.SIGINT)


def persons_seen_in(crops, *frames):
    whole = [{who for who, frame in crops if frame == each} for each in frames]
    return sorted(set.intersection(*whole))


@pytest.mark.parametrize(
    ('model', 'limit'), [('person-reidentification-retail-0287', '0.550'), ('color', '0.800')]
)
def test_compare(persontrack, crops, model, limit):
    """The same picture, and two persons of one frame, by the limit of the model."""
    first, second = persons_seen_in(crops, 1, 11)[:2]
    for other, verdict in ((first, 'same person'), (second, 'different persons')):
        pictures = (crops[first, 1], crops[other, 1])
        done = persontrack('compare', *pictures, '--set', f'reid.model={model}')
        assert done.returncode == 0, done.stderr
        pattern = rf'cosine similarity -?[\d.]+: {verdict} \(threshold {limit}\)\n'
        assert re.fullmatch(pattern, done.stdout), done.stdout
    if model != 'color':
        assert 'same person' in persontrack('compare', crops[first, 1], crops[first, 11]).stdout


@pytest.mark.slow
def test_show_without_a_display(persontrack, video):
    environment = {'DISPLAY': '', 'WAYLAND_DISPLAY': '', 'QT_QPA_PLATFORM': ''}
    done = persontrack('run', video, '--online', '--max-frames', 1, '--show', **environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith('persontrack: error: cannot open a window')
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_evaluate_counts_new_ids(persontrack, persons, vtest_tracks, tmp_path):
    # Everybody gets a new id after 20 frames.
    rows = np.loadtxt(vtest_tracks, delimiter=',')
    rows = rows[rows[:, 0] <= 40]
    rows[rows[:, 0] > 20, 1] += 100
    results = tmp_path / 'results.txt'
    np.savetxt(results, rows, fmt='%g', delimiter=',')
    done = persontrack('evaluate', '--ground-truth', persons, '--results', results, '--json')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)['PETS09-S2L1']['id_switches'] >= 3
