"""Embedders: none, colour, and what a model must be."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.config.settings import ReidSettings, Settings
from persontrack_ros.core.inference.embedder import make_embedder
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.inference.similarity import most_similar
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.tracker import make_tracker

Locate = Callable[[str], Path]
BOXES = np.array([[10.0, 10.0, 40.0, 90.0], [-30.0, 5.0, 50.0, 80.0], [500.0, 500.0, 10.0, 20.0]])


def person(shirt, trousers):
    """Draw a person of 90x40 pixels on grey, colours BGR."""
    image = np.full((90, 40, 3), 128, dtype=np.uint8)
    image[:45, 8:32] = shirt
    image[45:, 8:32] = trousers
    return image


@pytest.mark.parametrize(('model', 'dimension'), [('none', 0), ('color', 768)])
def test_shapes(model, dimension):
    embedder = make_embedder(ReidSettings(model=model), Runtime())
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    assert embedder.dimension == dimension
    vectors = embedder.embed(image, BOXES)
    assert vectors.shape == (3, dimension)
    assert vectors.dtype == np.float32
    assert embedder.embed(image, np.empty((0, 4))).shape == (0, dimension)
    if dimension:
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_colours_tell_persons_apart():
    embedder = make_embedder(ReidSettings(model='color'), Runtime())
    red, blue = (30, 30, 200), (200, 60, 30)
    whole = np.array([[0.0, 0.0, 40.0, 90.0]])

    def similarity(one, other):
        return float((embedder.embed(one, whole) @ embedder.embed(other, whole).T)[0, 0])

    assert similarity(person(red, blue), person(red, blue)) == pytest.approx(1)
    # Twice the size, noise.
    noise = np.random.default_rng(1).integers(0, 6, (90, 40, 3), dtype=np.uint8)
    larger = cv2.resize(person(red, blue), (80, 180))[::2, ::2] + noise
    assert similarity(person(red, blue), larger) > 0.8
    # The same colours in other places are another person.
    assert similarity(person(red, blue), person(blue, red)) < 0.5


def test_one_colour_by_hand():
    # Pure red: hue 0, saturation 255, value 255, so bins 0, 3, 3 in each of six stripes.
    embedder = make_embedder(ReidSettings(model='color'), Runtime())
    image = np.zeros((96, 32, 3), dtype=np.uint8)
    image[..., 2] = 255
    (vector,) = embedder.embed(image, np.array([[0.0, 0.0, 32.0, 96.0]]))
    expected = np.zeros((6, 8, 4, 4))
    expected[:, 0, 3, 3] = np.sqrt(1 / 6)
    np.testing.assert_allclose(vector, expected.ravel(), rtol=1e-6)


@pytest.mark.parametrize('model', ['none', 'color'])
def test_tracking_without_a_reid_model(model, data, models):
    settings = Settings.from_values({'reid.model': model, 'detector.device': 'CPU'})
    pipeline = Pipeline(settings)
    capture = cv2.VideoCapture(str(data('videos/vtest.avi')))
    for number in range(20):
        tracks = pipeline.process(capture.read()[1], number * 100_000_000).tracks
    # Three to five persons walk by in the first two seconds, and each is given one or two ids.
    assert 3 <= len(tracks) <= 6
    assert max(track.id for track in tracks) <= 9


def test_the_person_of_a_picture():
    """Not a person who is too different, and none of two who resemble the picture as much."""
    wanted, other = np.eye(2, dtype=np.float32)
    near, far = ((wanted + part * other) / np.hypot(1, part) for part in (0.3, 1.0))
    assert most_similar(wanted, {1: far, 2: near}, 0.2) == 2
    assert most_similar(wanted, {1: far}, 0.2) is None
    assert most_similar(wanted, {1: near, 2: near, 3: far}, 0.2) is None
    # Of another model.
    assert most_similar(wanted, {1: np.ones(3, dtype=np.float32)}, 0.2) is None
    assert most_similar(wanted, {}, 0.2) is None


@pytest.mark.parametrize('algorithm', ['persistent', 'deep_sort'])
def test_trackers_keep_an_embedding_of_each_person(algorithm):
    """By the published id."""
    settings = Settings.from_values({'tracker.algorithm': algorithm, 'reid.model': 'color'})
    camera = Camera(Gallery())
    camera.gallery.next_id = 5
    tracker = make_tracker(settings.tracker, camera)
    vectors = np.eye(2, 3, dtype=np.float32)
    boxes = [[10.0, 10.0, 40.0, 90.0], [200.0, 10.0, 40.0, 90.0]]
    for frame in range(4):
        detections = Detections.create(boxes, [0.9, 0.9])
        tracks = tracker.update(detections, lambda rows: vectors[rows], frame * 10**8)
    assert len(tracks) == 2
    for track in tracks:
        assert track.detection is not None
        np.testing.assert_allclose(tracker.embeddings[track.id], vectors[track.detection])
