"""Test tracking with the whole video at hand, on people whose way is known and on real ones."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from test_tracking import SECOND, frames, step, update
from test_tracking_accuracy import DATA, recording_of, scores_of

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.kalman_filter import DEEP_SORT_NOISE, smooth
from persontrack_ros.core.tracking.offline import OfflineTracker


def walker(frame, top=100.0):
    return (50.0 + 5 * frame, top, 40.0, 100.0)


def walk(missed=(), count=40, person_of=lambda frame: 0):
    """Track a person who walks to the right, at 10 images per second."""
    tracker = OfflineTracker(TrackerSettings())
    for frame in range(count):
        seen = [] if frame in missed else [frame]
        people = [person_of(each) for each in seen]
        step(tracker, [walker(each) for each in seen], people, frame * SECOND // 10)
    return list(tracker.finish())


@pytest.mark.parametrize(
    ('missed', 'count', 'second_from', 'expected'),
    [
        # From the first detection on; gaps are filled.
        ((), 40, 99, [[1]] * 40),
        (range(20, 30), 40, 99, [[1]] * 40),
        # A long gap is not filled, but the id stays.
        (range(20, 50), 70, 99, [[1]] * 20 + [[]] * 30 + [[1]] * 20),
        # Another person after a gap, or in the same track.
        (range(20, 30), 40, 25, [[1]] * 20 + [[]] * 10 + [[2]] * 10),
        ((), 40, 20, [[1]] * 20 + [[2]] * 20),
        # Too short.
        ((), 4, 99, [[]] * 4),
    ],
)
def test_ids(missed, count, second_from, expected):
    images = walk(missed, count, lambda frame: int(frame >= second_from))
    assert [[track.id for track in tracks] for tracks in images] == expected
    for frame, tracks in enumerate(images):
        for track in tracks:
            np.testing.assert_allclose(track.box, walker(frame), atol=2)
            assert track.detection == (None if frame in missed else 0)


def test_images_without_a_search_are_no_misses():
    """Persons detected in every fifth image only are false detections, if all were searched."""
    for skipped, count in ((True, 1), (False, 0)):
        tracker = OfflineTracker(TrackerSettings())
        for frame in range(51):
            stamp = frame * SECOND // 25
            if skipped and frame % 5:
                tracker.skip(stamp)
            else:
                seen = [] if frame % 5 else [frame]
                step(tracker, [walker(each) for each in seen], [0] * len(seen), stamp)
        images = list(tracker.finish())
        assert [len(tracks) for tracks in images] == [count] * 51


def test_images_of_another_size_are_refused():
    tracker = OfflineTracker(TrackerSettings())
    step(tracker, [walker(0)], [0], 0)
    with pytest.raises(SourceError, match='size of the images changes'):
        tracker.update(Detections.create([], [], image_size=(320, 240)), np.zeros, SECOND)


def test_a_restart_ends_the_tracks_and_forgets_nothing():
    """As `Pipeline.restart` does it where the time of the images jumps."""
    tracker = OfflineTracker(TrackerSettings())
    for frame in range(40):
        if frame == 20:
            tracker.reset(tracker.next_id)
        step(tracker, [walker(frame)], [0], frame * SECOND // 10 - frame // 20 * 60 * SECOND)
    images = list(tracker.finish())
    assert [[track.id for track in tracks] for tracks in images] == [[1]] * 20 + [[2]] * 20
    tracker.reset()
    assert list(tracker.finish()) == []


def test_the_smoother_draws_a_line_through_noise():
    times = np.arange(50.0)
    truth = np.stack([3 * times, 100 - times, np.full(50, 0.4), np.full(50, 80.0)], axis=1)
    noise = np.random.default_rng(0).normal(0, 3, truth.shape) * (1, 1, 0.01, 1)
    position, velocity = smooth(times, truth + noise, np.ones(50, dtype=bool), DEEP_SORT_NOISE)
    errors = np.abs(position - truth)[:, :2].mean(), np.abs(noise)[:, :2].mean()
    assert errors[0] < 0.75 * errors[1]
    np.testing.assert_allclose(velocity[10:-10, :2].mean(axis=0), (3, -1), atol=0.3)


def test_the_smoother_goes_straight_through_a_gap():
    times = np.arange(21.0)
    way = np.stack([5 * times, 0 * times, 0 * times + 0.4, 0 * times + 100], axis=1)
    observed = (times < 8) | (times > 12)
    position, _ = smooth(times, np.where(observed[:, None], way, 0), observed, DEEP_SORT_NOISE)
    np.testing.assert_allclose(position[8:13, 0], way[8:13, 0], atol=1.5)


@given(frames=frames)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@pytest.mark.parametrize('algorithm', ['persistent', 'deep_sort'])
def test_any_input(algorithm, frames):
    tracker = OfflineTracker(TrackerSettings(algorithm=algorithm, n_init=1))
    for frame in frames:
        update(tracker, frame)
    images = list(tracker.finish())
    assert len(images) == len(frames)
    for tracks in images:
        assert len({track.id for track in tracks}) == len(tracks)
        used = [track.detection for track in tracks if track.detection is not None]
        assert len(set(used)) == len(used)
        for track in tracks:
            assert np.isfinite(track.box).all()
            assert (track.box[2:] > 0).all()


@pytest.mark.skipif(DATA is None, reason='PERSONTRACK_TEST_DATA is not set')
@pytest.mark.parametrize(
    ('sequence', 'rate', 'floor'),
    [('PETS09-S2L1', 10, (67, 92, 86)), ('TUD-Campus', 25, (71, 94, 89))],
)
def test_the_whole_video_gives_better_tracks(sequence, rate, floor):
    recording = recording_of(sequence, rate)
    tracker = OfflineTracker(TrackerSettings())
    rows = []
    for _, stamp, detections in recording.replay(0.5):
        embeddings = detections.embeddings
        tracker.update(
            detections, lambda indices, embeddings=embeddings: embeddings[indices], stamp
        )
    for number, tracks in enumerate(list(tracker.finish()), 1):
        rows += [[number, track.id, *track.box, track.score] for track in tracks]
    scores = scores_of(sequence, np.array(rows))
    assert scores.hota >= floor[0]
    assert scores.idf1 >= floor[1]
    assert scores.mota >= floor[2]
