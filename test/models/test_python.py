"""The tracker for programs in Python, as docs/python.md has it."""

import copy
import doctest
import pickle
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

import persontrack_ros
from persontrack_ros import PersonTracker, annotate, api
from persontrack_ros.core.base.errors import (
    ImageError,
    ModelError,
    PersontrackError,
    SettingsError,
    SourceError,
)
from persontrack_ros.core.media.source import Partial, VideoSource

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'python.md'


@pytest.mark.slow
def test_what_the_page_shows_happens(campus, models, tmp_path):
    names = {'video': str(campus), 'folder': tmp_path}
    result = doctest.testfile(str(PAGE), module_relative=False, globs=names)
    assert (result.failed, result.attempted > 12) == (0, True)


def test_the_page_has_what_is_public():
    rows = re.findall(r'^\| `(\w+)\b(?!\.)', PAGE.read_text(), re.MULTILINE)
    assert set(rows) == set(persontrack_ros.__all__)
    for name in persontrack_ros.__all__:
        assert getattr(persontrack_ros, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        persontrack_ros.anything  # noqa: B018 - that it cannot be had is what is tested


def test_to_import_it_costs_nothing():
    code = (
        'import sys, persontrack_ros; print([m for m in ("openvino", "cv2") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[]'


@pytest.mark.slow
def test_each_video_begins_anew(campus, models):
    tracker = PersonTracker(reid={'model': 'color'})

    def ids():
        return [
            [person.id for person in seen.tracks] for seen in tracker.watch(campus, online=True)
        ]

    first = ids()
    assert ids() == first
    # Also after a part of it was read, or all of it at once.
    next(tracker.watch(campus, online=True))
    assert sum(1 for _ in tracker.watch(campus)) == len(first)
    assert ids() == first


@pytest.fixture(scope='module')
def frames(campus):
    with VideoSource(str(campus)) as source:
        return [frame.image for frame in source]


@pytest.fixture(scope='module')
def shared_tracker(models):
    return PersonTracker(tracker={'n_init': 1})


@pytest.fixture
def tracker(shared_tracker):
    shared_tracker.reset()
    return shared_tracker


def test_the_image_before_is_never_used(tracker, frames):
    """As it was for arrays of other types, which OpenCV scales into one of its own."""
    assert tracker.track(frames[20], 0)
    black = np.zeros_like(frames[20])
    for seconds, image in enumerate([black / 255, black[..., 0], black.astype(np.uint16)], 1):
        assert all(person.detection is None for person in tracker.track(image, seconds))
    for image in (black.astype(np.int32), black[..., :2], None):
        with pytest.raises(ImageError):
            tracker.track(image, 9)


def test_times_have_to_increase(tracker, frames):
    tracker.track(frames[0], -1)
    tracker.track(frames[0], np.float32(0.5))
    for seconds in (0.5, np.float64(0.25), -2, 0):
        with pytest.raises(ImageError, match='not later than the last image, at 0.5'):
            tracker.track(frames[0], seconds)
    for seconds in (float('nan'), float('inf'), 10**400, 1_700_000_000 * 10**9):
        with pytest.raises(ImageError, match='infinite, not a number, or too large'):
            tracker.track(frames[0], seconds)
    for seconds in (None, '1', True, np.array(1.0), 1j):
        with pytest.raises(ImageError, match='expected a number'):
            tracker.track(frames[0], seconds)
    tracker.track(frames[0], 1)
    tracker.reset()
    tracker.track(frames[0], 0)


@pytest.mark.parametrize('settings', [{'model': 'yolo'}, {'detector': None}, {'unknown': {}}])
def test_settings_that_are_no_groups(settings):
    with pytest.raises(SettingsError, match=r'expected parameters by group \(detector, reid'):
        PersonTracker(**settings)


def test_parameters_from_a_file(models, tmp_path):
    path = tmp_path / 'parameters.yaml'
    path.write_text('/**: {ros__parameters: {reid: {model: color}, nonsense: 1}}')
    with pytest.warns(UserWarning, match='nonsense: no such parameter'):
        tracker = PersonTracker.from_yaml(path)
    black = np.zeros((100, 50, 3), np.uint8)
    assert tracker.compare(black, black).threshold == 0.8
    path.write_text('/**: {ros__parameters: {reid: {model: 7.5}}}')
    with pytest.raises(SettingsError, match=r'reid\.model: 7\.5 is not a text'):
        PersonTracker.from_yaml(path)


@pytest.mark.slow
def test_files_of_an_iteration_that_ends_early(tracker, campus, tmp_path):
    path = tmp_path / 'out.mp4'
    for result in persontrack_ros.save(tracker.watch(campus), video=path):
        if result.number == 5:
            break
    with VideoSource(str(path)) as video:
        images = [frame.image for frame in video]
    assert len(images) == 5
    assert images[4].shape == result.image.shape
    assert (annotate(result.image, result.tracks) != result.image).any()


EXAMPLES = Path(__file__).resolve().parents[2] / 'examples'


@pytest.mark.slow
def test_examples_of_threads_and_asyncio(campus, models):
    for name, pattern in (
        ('threads', f'{re.escape(str(campus))}: [1-9]\\d* persons\n' * 2),
        ('with_asyncio', r'(another task\n|\d\.\d\d s:[ \d]*\n){71,}'),
    ):
        command = [sys.executable, EXAMPLES / f'{name}.py', campus, campus]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(pattern, done.stdout), done.stdout


@pytest.mark.slow
def test_example_of_a_web_server(campus, models):
    command = [sys.executable, EXAMPLES / 'web_server.py', campus, '0']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            with urllib.request.urlopen(process.stdout.readline().strip(), timeout=600) as answer:  # noqa: S310
                assert answer.headers['Content-Type'].startswith('multipart/x-mixed-replace')
                parts = answer.read(200_000).split(b'--frame')
        finally:
            process.kill()
    jpeg = parts[1].partition(b'\r\n\r\n')[2].strip(b'\r\n')
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (480, 640, 3)
    assert len(parts) > 2


@pytest.mark.slow
def test_offline_gives_what_can_be_read(tracker, campus, tmp_path):
    damaged = tmp_path / 'damaged.mp4'
    content = bytearray(campus.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    damaged.write_bytes(content)

    def images(online):
        video = Partial(tracker.watch(damaged, online))
        numbers = [(seen.number, seen.image.mean()) for seen in video]
        with pytest.raises(SourceError, match='is damaged'):
            video.check()
        return numbers

    found = images(online=True)
    assert 20 < len(found) < 71
    assert images(online=False) == found


@pytest.mark.slow
def test_offline_keeps_images_and_tracks_together(tracker, campus, monkeypatch):
    """Decoders on several threads do not leave out the same damaged images each time."""
    expected = {seen.number: seen for seen in tracker.watch(campus)}
    left_out = [{4}, {2, 9}]

    class Damaged(VideoSource):
        def __iter__(self):
            missing = left_out.pop(0)
            return (frame for frame in super().__iter__() if frame.number not in missing)

    monkeypatch.setattr(api, 'VideoSource', Damaged)
    found = {seen.number: seen for seen in tracker.watch(campus)}
    assert found.keys() == expected.keys() - {2, 4, 9}
    for number, seen in found.items():
        boxes, right = (
            np.array([one.box for one in each.tracks]) for each in (seen, expected[number])
        )
        assert boxes.shape == right.shape
        np.testing.assert_allclose(boxes, right, atol=3)


def test_threads_take_turns(tracker, frames):
    """One tracker for both: who comes too late with an image is told so, and no more."""
    clock = count()

    def work(_):
        done = 0
        for image in frames[:20]:
            try:
                tracker.track(image, next(clock))
                done += 1
            except ImageError as error:
                assert 'not later than' in str(error)
        return done

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(work, range(3))) >= 20


@pytest.mark.slow
def test_one_video_at_a_time(tracker, campus, frames):
    first = tracker.watch(campus, online=True)
    next(first)
    with pytest.raises(SourceError, match='in the middle of a video'):
        tracker.track(frames[0], 1000)
    second = tracker.watch(campus, online=True)
    assert next(second).number == 1
    with pytest.raises(SourceError, match='this video was ended'):
        next(first)
    assert next(second).number == 2
    tracker.reset()
    with pytest.raises(SourceError, match='this video was ended'):
        next(second)
    tracker.track(frames[0], 0)
    # Neither who is at its end nor who lets it go is in the middle.
    last = tracker.watch(campus, online=True)
    assert len(list(last)) == 71
    tracker.track(frames[0], 500)
    tracker.reset()
    assert list(last) == []
    for _ in tracker.watch(campus, online=True):
        break
    tracker.track(frames[0], 1000)


def test_it_is_not_copied(tracker):
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(ModelError, match='make one in each process'):
            duplicate(tracker)


FORK = """
import os, sys, threading, time
import numpy as np
from persontrack_ros import PersonTracker, devices
from persontrack_ros.core.base.errors import PersontrackError

image = np.zeros((48, 64, 3), np.uint8)
seconds = iter(range(10**9))

def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            print(work())
        except PersontrackError as error:
            print('spawn' in str(error))
        sys.exit()  # as programs end, and not at once: what is released may hang, too
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return print('status', status)
        time.sleep(0.1)
    os.kill(child, 9)
    print('hangs')

devices()
in_child(lambda: PersonTracker().track(image, 0))
tracker = PersonTracker()
tracker.track(image, next(seconds))
video = tracker.watch(sys.argv[1], online=True)
next(video)
in_child(lambda: next(video))
in_child(lambda: 'nothing')
in_child(lambda: tracker.watch(sys.argv[1], online=True))
tracker.reset()
stop = threading.Event()

def track():
    while not stop.is_set():
        tracker.track(image, next(seconds))

thread = threading.Thread(target=track)
thread.start()
for work in (
    lambda: tracker.track(image, 10**9),
    lambda: PersonTracker(),
    lambda: PersonTracker(reid={'model': 'color'}),
    lambda: tracker.compare(image, image),
    lambda: tracker.watch(sys.argv[1], online=True),
    lambda: tracker.reset(),
):
    in_child(work)
stop.set()
thread.join()
print(len(tracker.track(image, next(seconds))))
"""


@pytest.mark.slow
def test_a_fork_is_refused_and_does_not_hang(campus, models):
    # Newer versions of Python warn of it.
    command = [sys.executable, '-W', 'ignore::DeprecationWarning', '-c', FORK, str(campus)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stderr == ''
    refused = ['True', 'status 0']
    expected = ['[]', 'status 0', *refused, 'nothing', 'status 0', *refused * 7, '0']
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize('value', [None, 3, b'', [], {}, object(), float('nan'), 'x', ...])
def test_all_errors_are_ours(tracker, frames, value):
    image = frames[0]
    for call in (
        lambda: tracker.track(value, 1),
        lambda: tracker.compare(image, value),
        lambda: tracker.compare(value, image),
        lambda: PersonTracker(detector=value or 1),
        lambda: next(tracker.watch(value)),
    ):
        with pytest.raises(PersontrackError):
            call()
