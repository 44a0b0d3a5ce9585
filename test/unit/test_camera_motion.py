"""Test the camera motion: the estimate itself, and vtest.avi through a window that moves."""

import cv2
import numpy as np
import pytest
from test_depth import make_info

from persontrack_ros.core.base.calibration import Camera
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.geometry import boxes_to_measurements
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import evaluate
from persontrack_ros.core.tracking.camera_motion import (
    CameraMotion,
    make_camera_motion,
    rotation_to_motion,
)
from persontrack_ros.core.tracking.kalman_filter import States
from persontrack_ros.core.tracking.tracker import make_tracker

WINDOW = (640, 480)
FRAMES = 160
NOBODY = np.empty((0, 4))


def affine(zoom=1.0, angle=0.0, shift=(0.0, 0.0)):
    """Return the map of pixels that turns, in degrees, and zooms about the middle, and shifts."""
    matrix = cv2.getRotationMatrix2D((WINDOW[0] / 2, WINDOW[1] / 2), angle, zoom)
    matrix[:, 2] += shift
    return matrix


def scenery(seed=1):
    blobs = np.random.default_rng(seed).uniform(0, 255, (60, 80, 3)).astype(np.uint8)
    return cv2.resize(blobs, WINDOW, interpolation=cv2.INTER_CUBIC)


def largest_error(motion, expected):
    """Return how far the corners and the middle of the image are misplaced, in pixels."""
    width, height = WINDOW
    points = np.array(
        [[0, width, 0, width, width / 2], [0, 0, height, height, height / 2], [1] * 5]
    )
    return np.abs(motion @ points - expected @ points).max()


@pytest.mark.parametrize(
    'expected',
    [
        affine(),
        affine(shift=(25, -14)),
        affine(zoom=1.08, shift=(5, 5)),
        affine(zoom=0.94),
        affine(angle=4, shift=(-8, 3)),
    ],
)
def test_known_motions_are_found(expected):
    camera = CameraMotion()
    image = scenery()
    assert camera.follow(image, NOBODY) is None
    motion = camera.follow(cv2.warpAffine(image, expected, WINDOW), NOBODY)
    assert largest_error(motion, expected) < 1.0


def test_persons_are_no_background():
    """Most of the image is a crowd that moves to the right, before a background that rests."""
    camera = CameraMotion()
    background, crowd = scenery(), scenery(2)
    motions = []
    for frame in range(4):
        image = background.copy()
        image[100:, 150:550] = crowd[100:, 150 - 9 * frame : 550 - 9 * frame]
        motions.append(camera.follow(image, np.array([[150.0, 100.0, 400.0, 380.0]])))
    assert largest_error(motions[-1], affine()) < 0.5


@pytest.mark.parametrize(
    'images',
    [
        [np.zeros((480, 640, 3), np.uint8)] * 3,
        [scenery(), np.zeros((480, 640, 3), np.uint8)],
        [scenery(), scenery()[:240, :320]],
        [scenery(), scenery(2)],
        [scenery()[:1, :1], scenery()[:1, :1]],
    ],
)
def test_what_cannot_be_known_is_none(images):
    camera = CameraMotion()
    assert [camera.follow(image, NOBODY) for image in images] == [None] * len(images)
    # The whole image may be persons.
    everywhere = np.array([[-5.0, -5.0, 700.0, 500.0]])
    assert [camera.follow(scenery(), everywhere) for _ in range(2)] == [None, None]


def test_states_move_with_the_camera():
    states = States.initiate(boxes_to_measurements(np.array([[300.0, 190.0, 40.0, 100.0]])))
    states.velocity[0] = [10, 0, 0, 2]
    moved = states.move(affine(zoom=2.0, angle=90, shift=(7, 0)))
    np.testing.assert_allclose(moved.position[0], [327, 240, 0.4, 200], atol=1e-9)
    np.testing.assert_allclose(moved.velocity[0], [0, -20, 0, 4], atol=1e-9)
    np.testing.assert_allclose(
        moved.position_variance[0], states.position_variance[0] * [4, 4, 1, 4]
    )
    rest = states.move(affine())
    for name, array in vars(states).items():
        np.testing.assert_array_equal(getattr(rest, name), array)


def view(number, kind='all', zoom=0.65):
    """Return the map from the pixels of vtest.avi to a window that moves in one way, or in all."""
    time, amount, centre, shake = number / 10, zoom, np.array([384.0, 288.0]), np.zeros(2)
    if kind in ('pan', 'all'):
        centre += 56 * np.sin(2 * np.pi * time / 6), 40 * np.sin(2 * np.pi * time / 4)
    if kind in ('zoom', 'all'):
        amount += 0.12 * zoom * np.sin(2 * np.pi * time / 5)
    if kind in ('shake', 'all'):
        shake = np.random.default_rng(number).uniform(-8, 8, 2)
    return np.column_stack([amount * np.eye(2), np.array(WINDOW) / 2 - amount * centre + shake])


def exact_motion(number, *options):
    before, after = (np.vstack([view(number - back, *options), [0, 0, 1]]) for back in (1, 0))
    return (after @ np.linalg.inv(before))[:2]


def seen(boxes, matrix):
    return np.concatenate(
        [boxes[:, :2] @ matrix[:, :2].T + matrix[:, 2], boxes[:, 2:] * matrix[0, 0]], axis=1
    )


def cut(boxes, visible):
    """Return boxes without what is out of the window, and which have this part left."""
    near = np.clip(boxes[:, :2], 0, WINDOW)
    sizes = np.clip(boxes[:, :2] + boxes[:, 2:], 0, WINDOW) - near
    left = sizes.prod(axis=1) > visible * boxes[:, 2:].prod(axis=1)
    return np.concatenate([near, sizes], axis=1), left


def idf1(data, view_of, motion_of, frames=795, **options):
    """Return the IDF1 of tracks through a window that moves."""
    recording = Recording.load(data('reference/deep_sort/PETS09-S2L1.detections.npz'), 10)
    truth = GroundTruth.load(data('mot/PETS09-S2L1')).rows
    tracker = make_tracker(TrackerSettings(**options))
    truths, results = [], []
    for number, stamp, detections in recording.replay(0.5):
        if number > frames:
            break
        boxes, left = cut(seen(detections.boxes, view_of(number)), 0.5)
        found = Detections(boxes[left], detections.scores[left], image_size=WINDOW)
        embed = detections.embeddings[left].__getitem__
        tracks = tracker.update(found, embed, stamp, motion_of(number))
        results += [[number, each.id, *each.box] for each in tracks]
        here = truth[truth[:, 0] == number]
        boxes, left = cut(seen(here[:, 2:6], view_of(number)), 0.4)
        truths.append(np.column_stack([here[:, :2], boxes])[left])
    return evaluate([(np.concatenate(truths), np.array(results))]).idf1


def unknown(number):
    return None


@pytest.fixture(scope='module')
def motions(data, persons):
    """Return what is estimated at each image of the window."""
    rows = GroundTruth.load(persons).rows
    video = cv2.VideoCapture(str(data('videos/vtest.avi')))
    camera = CameraMotion()
    found = []
    for number in range(1, FRAMES + 1):
        image = cv2.warpAffine(video.read()[1], view(number), WINDOW)
        boxes = rows[rows[:, 0] == number, 2:6]
        found.append(camera.follow(image, seen(boxes, view(number))))
    return found


def test_the_motion_of_a_real_background_is_found(motions):
    errors = [
        largest_error(motion, exact_motion(number))
        for number, motion in enumerate(motions[1:], start=2)
    ]
    assert np.median(errors) < 0.5
    assert max(errors) < 3


@pytest.mark.parametrize('algorithm', ['persistent', 'deep_sort'])
def test_identities_persist_before_a_moving_camera(data, algorithm, motions):
    options = {'frames': FRAMES, 'algorithm': algorithm}
    still = idf1(data, lambda number: view(0, 'still'), unknown, **options)
    assert idf1(data, view, lambda number: motions[number - 1], **options) > still - 3
    assert idf1(data, view, unknown, **options) < still - 10


@pytest.mark.slow
def test_who_is_cut_off_by_the_camera_has_not_left(data):
    """With exactly known motions: the exit rule is about persons, not about the camera."""

    def through(kind, compensated=True):
        return idf1(
            data,
            lambda number: view(number, kind, 1.0),
            lambda number: exact_motion(number, kind, 1.0) if compensated else None,
        )

    still = through('still', compensated=False)
    for kind in ('pan', 'shake', 'zoom', 'all'):
        assert through(kind) > still - 3
    assert through('all', compensated=False) < still - 15


@pytest.mark.parametrize('every', [1, 3])
def test_a_recording_keeps_the_motion(tmp_path, every):
    """The camera turns while a person who stands still is not seen for a second."""
    boxes = [[20 if frame < 30 else 420, 200, 40, 100] for frame in range(60)]
    boxes = boxes[:30] + boxes[40:]
    frames = np.array([frame + 1 for frame in range(60) if not 30 <= frame < 40])
    embeddings = np.zeros((50, 4), dtype=np.float32)
    detections = Detections.create(boxes, np.full(50, 0.95), embeddings, WINDOW)
    shift, rest = np.array([[1.0, 0.0, 40.0], [0.0, 1.0, 0.0]]), np.eye(2, 3)
    motions = np.array([np.full((2, 3), np.nan)] + [rest] * 29 + [shift] * 10 + [rest] * 20)
    stamps = np.arange(60) * 10**8
    Recording(frames, detections, stamps, 0.5, motions).save(tmp_path / 'moving.npz')
    moving = Recording.load(tmp_path / 'moving.npz')
    np.testing.assert_array_equal(moving.motions, motions)
    assert moving.motion(1, every) is None
    np.testing.assert_allclose(moving.motion(37, every), [[1, 0, 40 * every], [0, 1, 0]])
    rows = as_rows(track(moving, TrackerSettings(camera_motion='affine'), 0.0, every))
    assert set(rows[rows[:, 0] > 50, 1]) == {1}
    assert set(as_rows(track(moving, TrackerSettings(), 0.0, every))[:, 1]) != {1}


def test_a_recording_without_the_motion_is_refused():
    recording = Recording(np.array([1]), Detections.create([[1, 1, 9, 9]], [1.0]), np.array([0]))
    with pytest.raises(SourceError, match='tracker.camera_motion=affine'):
        as_rows(track(recording, TrackerSettings(camera_motion='affine'), 0.0))


@pytest.mark.parametrize(
    ('model', 'coefficients'),
    [
        ('', []),
        ('plumb_bob', [-0.2, 0.05, 0.001, 0.001, 0.0]),
        ('equidistant', [0.05, 0.01, 0.0, 0.0]),
    ],
)
def test_points_are_where_their_rays_go(model, coefficients):
    camera = Camera(make_info(distortion=coefficients, model=model), (320, 240))
    points = np.random.default_rng(0).uniform(0, 240, (20, 2))
    rays = camera.rays(points)
    assert camera.project(np.column_stack([rays, np.ones(20)]) * 3) == pytest.approx(
        points, abs=0.01
    )


@pytest.mark.parametrize('axis', range(3))
def test_a_camera_that_turns_moves_the_background(axis):
    """As it does in pixels: 2 degrees, seen in the image of the camera that turned."""
    rotation = cv2.Rodrigues(np.radians(2.0) * np.eye(3)[axis])[0]
    motion = rotation_to_motion(rotation, Camera(make_info(), WINDOW), WINDOW)
    # Infinitely far away; K counts from the middle of the first pixel.
    matrix = np.array([[525.0, 0, 320], [0, 525, 240], [0, 0, 1]])
    exact = matrix @ rotation @ np.linalg.inv(matrix)
    points = np.random.default_rng(axis).uniform(0, WINDOW, (50, 2))
    expected = cv2.perspectiveTransform(points[:, None], exact)[:, 0]
    found = points @ motion[:, :2].T + motion[:, 2]
    assert np.abs(expected - points).mean() > 4
    assert np.abs(expected - found).max() < 5
    assert np.abs(expected - found).mean() < 1.5


def test_a_camera_that_turned_away_saw_nothing_move():
    rotation = cv2.Rodrigues(np.radians([0.0, 120.0, 0.0]))[0]
    assert rotation_to_motion(rotation, Camera(make_info(), WINDOW), WINDOW) is None


def test_tf_is_for_the_node():
    with pytest.raises(SettingsError, match='tf needs the node'):
        make_camera_motion(TrackerSettings(camera_motion='tf'), False)
