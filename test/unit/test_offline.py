"""Test tracking with the whole video at hand, on people whose way is known and on real ones."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from test_tracking import SECOND, SIZE, embeddings_of, frames
from test_tracking_accuracy import DATA, recording_of, scores_of

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.kalman_filter import DEEP_SORT_NOISE
from persontrack_ros.core.tracking.offline import OfflineTracker
from persontrack_ros.core.tracking.smoother import smooth


def step(tracker, boxes, people, stamp, scores=0.85):
    embeddings = embeddings_of(*people)
    detections = Detections.create(boxes, np.full(len(boxes), scores), image_size=SIZE)
    return tracker.update(detections, lambda indices: embeddings[indices], stamp)


def walker(frame, top=100.0):
    return (50.0 + 5 * frame, top, 40.0, 100.0)


def walk(missed=(), count=40, person_of=lambda frame: 0):
    """Track somebody who walks to the right, at 10 images per second."""
    tracker = OfflineTracker(TrackerSettings())
    for frame in range(count):
        seen = [] if frame in missed else [frame]
        people = [person_of(each) for each in seen]
        step(tracker, [walker(each) for each in seen], people, frame * SECOND // 10)
    return tracker.finish()


def test_a_person_is_shown_from_the_first_detection_on():
    assert [[track.id for track in tracks] for tracks in walk()] == [[1]] * 40


def test_gaps_are_filled():
    images = walk(missed=range(20, 30))
    assert [len(tracks) for tracks in images] == [1] * 40
    for frame in range(20, 30):
        np.testing.assert_allclose(images[frame][0].box, walker(frame), atol=2)
        assert images[frame][0].detection is None
    assert images[30][0].detection == 0


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
                step(tracker, [walker(each) for each in seen], [0] * len(seen), stamp, 0.95)
        images = tracker.finish()
        assert [len(tracks) for tracks in images] == [count] * 51


def test_a_long_gap_is_not_filled_but_keeps_the_id():
    images = walk(missed=range(20, 50), count=70)
    assert [len(tracks) for tracks in images] == [1] * 20 + [0] * 30 + [1] * 20
    assert {track.id for tracks in images for track in tracks} == {1}


def test_a_restart_ends_the_tracks_and_forgets_nothing():
    """As `Pipeline.restart` does it where the time of the images jumps."""
    tracker = OfflineTracker(TrackerSettings())
    for frame in range(40):
        if frame == 20:
            tracker.reset(tracker.next_id)
        step(tracker, [walker(frame)], [0], frame * SECOND // 10 - frame // 20 * 60 * SECOND)
    images = tracker.finish()
    assert [[track.id for track in tracks] for tracks in images] == [[1]] * 20 + [[2]] * 20
    tracker.reset()
    assert tracker.finish() == []


def test_who_looks_different_is_somebody_else():
    images = walk(missed=range(20, 30), person_of=lambda frame: frame // 25)
    assert [[track.id for track in tracks] for tracks in images] == (
        [[1]] * 20 + [[]] * 10 + [[2]] * 10
    )


def test_a_track_that_went_over_to_another_person_is_cut():
    images = walk(count=40, person_of=lambda frame: frame // 20)
    assert [[track.id for track in tracks] for tracks in images] == [[1]] * 20 + [[2]] * 20


def test_a_short_track_is_dropped():
    assert walk(count=4) == [[]] * 4


def test_an_empty_video_has_no_tracks():
    assert OfflineTracker(TrackerSettings()).finish() == []


def test_reset_forgets_the_video():
    tracker = OfflineTracker(TrackerSettings())
    for frame in range(10):
        step(tracker, [walker(frame)], [0], frame * SECOND // 10)
    tracker.reset()
    assert tracker.finish() == []


def memory_of(count):
    """Return the bytes at most that it takes to join so many tracks of one image."""
    tracker = OfflineTracker(TrackerSettings())
    for frame in range(count):
        step(tracker, [walker(0)], [frame % 8], 10 * frame * SECOND)
    tracemalloc.start()
    assert tracker.finish() == [[]] * count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_grows_with_the_number_of_tracks():
    """And not with its square, which would be sixteen times as much."""
    assert memory_of(1200) < 6 * memory_of(300)


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
    for people, stamp, motion in frames:
        boxes, scores, who = zip(*people) if people else ((), (), ())
        embeddings = np.eye(9, dtype=np.float32)[list(who)][:, 1:]
        detections = Detections.create(boxes, scores, image_size=SIZE)
        tracker.update(detections, embeddings.__getitem__, stamp, motion)
    images = tracker.finish()
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
    for number, tracks in enumerate(tracker.finish(), 1):
        rows += [[number, track.id, *track.box, track.score] for track in tracks]
    scores = scores_of(sequence, np.array(rows))
    assert scores.hota >= floor[0]
    assert scores.idf1 >= floor[1]
    assert scores.mota >= floor[2]
