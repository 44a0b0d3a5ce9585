"""Deep SORT: the reference's output, and the life of tracks in scenes made by hand."""

import dataclasses

import numpy as np
import pytest

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.mot import read_mot
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.tracking.track import TrackState
from persontrack_ros.core.tracking.tracker import make_tracker

DEFAULTS = TrackerSettings(algorithm='deep_sort')
PERIOD = 100_000_000

# Looks that have nothing in common: unit vectors of a space with many axes.
LOOKS = np.eye(16, dtype=np.float32)


@pytest.mark.parametrize('max_cosine_distance', [0.3, 0.6])
@pytest.mark.parametrize('sequence', ['PETS09-S2L1', 'TUD-Campus'])
def test_reproduces_the_reference(data, sequence, max_cosine_distance):
    recording = Recording.load(data(f'reference/deep_sort/{sequence}.detections.npz'))
    expected = read_mot(
        data(
            f'reference/deep_sort/{sequence}.expected_max_cosine_distance_'
            f'{max_cosine_distance}.txt'
        )
    )
    settings = dataclasses.replace(DEFAULTS, max_cosine_distance=max_cosine_distance)
    rows = as_rows(track(recording, settings, score_threshold=0.0))
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    expected = expected[np.lexsort((expected[:, 1], expected[:, 0]))]
    assert len(expected) > 250
    np.testing.assert_array_equal(rows[order, :2], expected[:, :2])
    np.testing.assert_allclose(rows[order, 2:6], expected[:, 2:6], rtol=0, atol=1e-3)


class Scene:
    """Feeds a tracker frame by frame."""

    def __init__(self, **settings):
        self.tracker = make_tracker(dataclasses.replace(DEFAULTS, **settings))
        self.frame = 0

    def show(self, *persons, scores=None):
        """Show persons, each (left, appearance); return the visible tracks by id."""
        boxes = [[left, 100, 40, 100] for left, _ in persons]
        embeddings = np.array([p for _, p in persons], dtype=np.float32).reshape(-1, 16)
        scores = [0.9] * len(persons) if scores is None else scores
        self.frame += 1
        tracks = self.tracker.update(
            Detections.create(boxes, scores),
            lambda indices: embeddings[indices],
            self.frame * PERIOD,
        )
        return {one.id: one for one in tracks}

    def show_for(self, frames, *persons):
        for _ in range(frames):
            tracks = self.show(*persons)
        return tracks


@pytest.mark.parametrize('n_init', [1, 2, 3, 5])
def test_visible_after_n_init_detections_in_a_row(n_init):
    scene = Scene(n_init=n_init)
    visible = [bool(scene.show((50, LOOKS[0]))) for _ in range(n_init + 3)]
    assert visible == [False] * (n_init - 1) + [True] * 4


def test_appearance_tells_crossing_persons_apart():
    """Two persons swap places while nobody is detected: by position alone they swap ids."""
    scene = Scene()
    scene.show_for(10, (50, LOOKS[0]), (80, LOOKS[1]))
    scene.show_for(5)
    tracks = scene.show((60, LOOKS[1]), (70, LOOKS[0]))
    assert {one: tracks[one].detection for one in tracks} == {1: 1, 2: 0}


def test_the_life_of_a_track():
    """Tentative ends at the first miss; confirmed is visible for one frame without a detection."""
    scene = Scene(max_age=20, max_cosine_distance=0.3)
    scene.show_for(2, (50, LOOKS[0]))
    assert [one.state for one in scene.tracker.tracks] == [TrackState.TENTATIVE]
    scene.show()
    assert scene.tracker.tracks == []
    scene.show_for(3, (300, LOOKS[1]), (50, LOOKS[0]))
    tracks = scene.show((50, LOOKS[0]), (300, LOOKS[1]), scores=[0.6, 0.7])
    assert {one: tracks[one].detection for one in tracks} == {2: 1, 3: 0}
    assert tracks[2].score == pytest.approx(0.7)
    one = scene.show()[2]
    assert (one.age, one.hits, one.time_since_update, one.detection) == (5, 4, 1, None)
    assert one.score == pytest.approx(0.7)
    assert scene.show() == {}
    # Of the second one, 19 frames are missed, which is in time.
    scene.show_for(17)
    assert set(scene.show_for(3, (50, LOOKS[0]))) == {3}
    assert [one.id for one in scene.tracker.tracks] == [3]
    # Thresholds take effect at once.
    scene.show_for(2)
    scene.tracker.settings = dataclasses.replace(scene.tracker.settings, max_cosine_distance=0.6)
    assert set(scene.show((50, similar(0.5)))) == {3}
    scene.show_for(20)
    assert [one.time_since_update for one in scene.tracker.tracks] == [20]
    scene.show()
    assert scene.tracker.tracks == []
    assert set(scene.show_for(3, (50, LOOKS[0]))) == {4}


def similar(similarity):
    """Return a vector with this cosine similarity to the first of LOOKS."""
    return similarity * LOOKS[0] + np.sqrt(1 - similarity**2) * LOOKS[1]


@pytest.mark.parametrize(('budget', 'remembered'), [(5, False), (20, True)])
def test_gallery_keeps_the_newest_nn_budget_embeddings(budget, remembered):
    scene = Scene(nn_budget=budget)
    scene.show_for(5, (50, LOOKS[0]))
    # The looks turn by less than the limit per frame, until they have nothing of the old ones.
    for degrees in range(0, 121, 15):
        angle = np.radians(degrees)
        scene.show((50, np.cos(angle) * LOOKS[0] + np.sin(angle) * LOOKS[1]))
    assert [one.id for one in scene.tracker.tracks] == [1]
    scene.show_for(3)
    # As at first: cosine distance 0 to the old embeddings, more than 0.3 to the last five.
    assert set(scene.show_for(3, (50, LOOKS[0]))) == ({1} if remembered else {2})


def test_a_fresh_track_chooses_before_a_lost_one():
    """Matching cascade: the looks of both fit, those of the lost one even better."""
    scene = Scene()
    scene.show_for(10, (50, LOOKS[0]), (90, similar(0.9)))
    scene.show_for(3, (90, similar(0.9)))
    tracks = scene.show((80, LOOKS[0]))
    assert tracks[2].detection == 0


def test_no_embeddings_falls_back_to_overlap():
    """Vectors of zeros say that nothing is known of the appearance: distance 1, IoU decides."""
    scene = Scene()
    for step in range(10):
        tracks = scene.show((50 + 3 * step, np.zeros(16)), (300, np.zeros(16)))
    assert set(tracks) == {1, 2}
