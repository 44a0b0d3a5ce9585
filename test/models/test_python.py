"""The tracker for programs in Python, as docs/python.md has it."""

from __future__ import annotations

import copy
import doctest
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import persontrack_ros
from persontrack_ros import PersonTracker, api
from persontrack_ros.core.base.errors import (
    ImageError,
    ModelError,
    PersontrackError,
    SettingsError,
    SourceError,
)
from persontrack_ros.core.media.partial import Partial
from persontrack_ros.core.media.source import VideoSource

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'python.md'


@pytest.mark.slow
def test_what_the_page_shows_happens(campus, models):
    result = doctest.testfile(str(PAGE), module_relative=False, globs={'video': str(campus)})
    assert (result.failed, result.attempted > 12) == (0, True)


@pytest.mark.slow
def test_the_five_lines(campus, models, tmp_path):
    code = re.search(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)[1]
    video = str(campus)
    done = subprocess.run(
        [sys.executable, '-c', code.replace('video.mp4', video)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 200
    assert re.fullmatch(r'\d\.\d\d s: person \d+ at \[.+\]', lines[-1])


def test_the_page_has_what_is_public():
    rows = re.findall(r'^\| `(\w+)\b', PAGE.read_text(), re.MULTILINE)
    assert {row for row in rows if row != 'tracker'} == set(persontrack_ros.__all__)
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
        return [[person.id for person in seen.tracks] for seen in tracker.watch(campus)]

    first = ids()
    assert ids() == first
    # Also after somebody looked at a part of it only, or at all of it at once.
    next(tracker.watch(campus))
    assert sum(1 for _ in tracker.watch(campus, offline=True)) == len(first)
    assert ids() == first


def test_a_source_that_cannot_be_read(models):
    with pytest.raises(SourceError, match=r'missing\.mp4'):
        next(PersonTracker().watch('missing.mp4'))


@pytest.mark.slow
def test_two_persons(campus, models):
    tracker = PersonTracker()
    *_, seen = tracker.watch(campus)
    pictures = []
    for person in seen.tracks[:2]:
        left, top, width, height = np.maximum(person.box, 0).astype(int)
        pictures.append(seen.image[top : top + height, left : left + width])
    assert tracker.compare(pictures[0], pictures[0]).cosine == pytest.approx(1, abs=1e-3)
    similarity = tracker.compare(*pictures)
    assert not similarity.same
    assert similarity.cosine < similarity.threshold


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


def test_arrays_of_other_types_give_the_same(tracker, frames):
    def boxes(image):
        tracker.reset()
        return [person.box.tolist() for person in tracker.track(image, 0)]

    image = frames[20]
    expected = boxes(image)
    assert len(expected) > 2
    for other in (image / 255, image.astype(np.uint16) * 257, np.dstack([image, image[..., 0]])):
        assert boxes(other) == expected
    assert len(boxes(image[..., 1])) > 2
    similarity = tracker.compare(image[50:200, :90], image[50:200, 100:190]).cosine
    halves = (image[50:200, :90] / 255, image[50:200, 100:190] / 255)
    assert tracker.compare(*halves).cosine == pytest.approx(similarity, abs=1e-6)
    with pytest.raises(ImageError, match='image_b has the type float64 with values from'):
        tracker.compare(image, image * 1.0)


def test_tiny_images(tracker):
    for seconds, shape in enumerate([(1, 1, 3), (1, 500, 3), (500, 1, 3), (2, 3), (7, 5, 4)]):
        tracker.track(np.zeros(shape, np.uint8), seconds)


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


@pytest.mark.parametrize('source', [None, b'video.mp4', ['video.mp4'], 1.5, True])
def test_what_is_no_source(tracker, source):
    with pytest.raises(SourceError, match='expected a path, a URL or a camera'):
        tracker.watch(source)


@pytest.mark.slow
def test_offline_gives_what_can_be_read(tracker, campus, tmp_path):
    damaged = tmp_path / 'damaged.mp4'
    content = bytearray(campus.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    damaged.write_bytes(content)

    def images(offline):
        video = Partial(tracker.watch(damaged, offline))
        numbers = [(seen.number, seen.image.mean()) for seen in video]
        with pytest.raises(SourceError, match='is damaged'):
            video.check()
        return numbers

    online = images(offline=False)
    assert 20 < len(online) < 71
    assert images(offline=True) == online


@pytest.mark.slow
def test_offline_keeps_images_and_tracks_together(tracker, campus, monkeypatch):
    """Decoders on several threads do not leave out the same damaged images each time."""
    expected = {seen.number: seen for seen in tracker.watch(campus, offline=True)}
    left_out = [{4}, {2, 9}]

    class Damaged(VideoSource):
        def __iter__(self):
            missing = left_out.pop(0)
            return (frame for frame in super().__iter__() if frame.number not in missing)

    monkeypatch.setattr(api, 'VideoSource', Damaged)
    found = {seen.number: seen for seen in tracker.watch(campus, offline=True)}
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


def test_threads_with_a_tracker_each(frames, models):
    def work(_):
        own = PersonTracker()
        return [
            [person.id for person in own.track(image, seconds)]
            for seconds, image in enumerate(frames[:15])
        ]

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(work, range(2))
    assert one == other


@pytest.mark.slow
def test_one_video_at_a_time(tracker, campus, frames):
    first = tracker.watch(campus)
    next(first)
    with pytest.raises(SourceError, match='in the middle of a video'):
        tracker.track(frames[0], 1000)
    second = tracker.watch(campus)
    assert next(second).number == 1
    with pytest.raises(SourceError, match='this video was ended'):
        next(first)
    assert next(second).number == 2
    tracker.reset()
    with pytest.raises(SourceError, match='this video was ended'):
        next(second)
    tracker.track(frames[0], 0)
    # Neither who is at its end nor who lets it go is in the middle.
    last = tracker.watch(campus)
    assert len(list(last)) == 71
    tracker.track(frames[0], 500)
    tracker.reset()
    assert list(last) == []
    for _ in tracker.watch(campus):
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
video = tracker.watch(sys.argv[1])
next(video)
in_child(lambda: next(video))
in_child(lambda: 'nothing')
in_child(lambda: tracker.watch(sys.argv[1]))
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
    lambda: tracker.watch(sys.argv[1]),
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


SPAWN = """
import multiprocessing
import sys

def work(video):
    from persontrack_ros import PersonTracker, api
    return next(PersonTracker().watch(video)).number

if __name__ == '__main__':
    from persontrack_ros import PersonTracker, api
    tracker = PersonTracker()
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print(pool.map_async(work, sys.argv[1:]).get(300))
"""


@pytest.mark.slow
def test_processes_that_are_spawned(campus, models, tmp_path):
    program = tmp_path / 'program.py'
    program.write_text(SPAWN)
    done = subprocess.run(
        [sys.executable, str(program), str(campus)], capture_output=True, text=True, timeout=600
    )
    assert done.stdout == '[1]\n', done.stderr


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
