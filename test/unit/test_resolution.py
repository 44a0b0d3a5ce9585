"""A camera that switches to another resolution shows the same scene: everybody stays."""

from __future__ import annotations

import numpy as np
import pytest
from test_tracking import ALGORITHMS, SECOND, embeddings_of

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.camera_motion import CameraMotion
from persontrack_ros.core.tracking.offline import OfflineTracker
from persontrack_ros.core.tracking.state import load_tracker, save_tracker
from persontrack_ros.core.tracking.tracker import make_tracker

SIZES = [(640, 480), (1280, 960), (320, 240), (1280, 720), (640, 480)]


def people(frame):
    """Return boxes as parts of the image: two cross each other's way, one after the other."""
    return np.array(
        [[0.1 + 0.005 * frame, 0.2, 0.06, 0.3], [0.8 - 0.005 * frame, 0.25, 0.06, 0.3]]
    )


def show(tracker, frame, size, seen=(0, 1), known=True):
    boxes = people(frame)[list(seen)] * np.tile(size, 2)
    embeddings = embeddings_of(*seen) if known else np.zeros((len(seen), 0), dtype=np.float32)
    detections = Detections.create(boxes, np.full(len(seen), 0.95), image_size=size)
    return tracker.update(detections, embeddings.__getitem__, frame * SECOND // 10)


def check(tracks, frame, size):
    """Compare ids, boxes and velocities with what is known."""
    assert [track.id for track in tracks] == [1, 2]
    expected = people(frame) * np.tile(size, 2)
    np.testing.assert_allclose([track.box for track in tracks], expected, atol=0.02 * size[0])
    speed = 0.05 * size[0]
    np.testing.assert_allclose(
        [track.velocity[0] for track in tracks], [speed, -speed], atol=0.3 * speed
    )


@pytest.mark.parametrize('known', [True, False])
@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_ids_boxes_and_velocities_stay(algorithm, known):
    tracker = make_tracker(TrackerSettings(algorithm=algorithm))
    for frame in range(60):
        size = SIZES[frame // 12]
        tracks = show(tracker, frame, size, known=known)
        if frame >= 10:
            check(tracks, frame, size)
            assert len(tracker.tracks) == 2


def test_who_is_hidden_meanwhile_is_found_again_and_no_ghost_is_left():
    tracker = make_tracker(TrackerSettings())
    for frame in range(40):
        size = SIZES[0] if frame < 20 else SIZES[1]
        tracks = show(tracker, frame, size, seen=(0,) if 18 <= frame < 26 else (0, 1))
        for track in tracks:
            expected = people(frame)[track.id - 1] * np.tile(size, 2)
            np.testing.assert_allclose(track.box, expected, atol=0.05 * size[0])
    assert [track.id for track in tracks] == [1, 2]


def test_with_remembered_persons():
    tracker = make_tracker(TrackerSettings(remember=60.0))
    for frame in range(24):
        tracks = show(tracker, frame, SIZES[frame // 12])
    check(tracks, 23, SIZES[1])


def test_a_whole_video():
    tracker = OfflineTracker(TrackerSettings())
    for frame in range(48):
        show(tracker, frame, SIZES[frame // 12])
    images = tracker.finish()
    for frame, tracks in enumerate(images):
        check(tracks, frame, SIZES[frame // 12])


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_a_state_of_another_resolution(algorithm, tmp_path):
    first, second = (make_tracker(TrackerSettings(algorithm=algorithm)) for _ in range(2))
    for frame in range(12):
        show(first, frame, SIZES[0])
    save_tracker(first, tmp_path / 'state.npz')
    load_tracker(second, tmp_path / 'state.npz')
    for frame in range(12, 15):
        check(show(second, frame, SIZES[1]), frame, SIZES[1])


def test_the_motion_of_the_camera():
    """Is told in pixels of the new images."""
    random = np.random.default_rng(5)
    scene = random.integers(0, 255, (60, 80, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    follower = CameraMotion()
    assert follower.follow(scene[:960:2, :1280:2][:, 8:], np.empty((0, 4))) is None
    motion = follower.follow(scene[:960, :1264], np.empty((0, 4)))
    np.testing.assert_allclose(motion, [[1, 0, 16], [0, 1, 0]], atol=0.6)
