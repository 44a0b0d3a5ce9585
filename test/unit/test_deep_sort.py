"""Deep SORT: the reference's output, and the life of tracks in scenes made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.mot import read_mot
from persontrack_ros.core.evaluation.recording import Recording, track
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
    rows = track(recording, settings, score_threshold=0.0)
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
        """Show persons, each (left, looks); return the visible tracks by id."""
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


def test_a_miss_before_confirmation_deletes_the_track():
    scene = Scene(n_init=3)
    scene.show_for(2, (50, LOOKS[0]))
    assert [one.state for one in scene.tracker.tracks] == [TrackState.TENTATIVE]
    scene.show()
    assert scene.tracker.tracks == []


@pytest.mark.parametrize('max_age', [1, 5, 70])
def test_a_track_lives_max_age_frames_without_detection(max_age):
    scene = Scene(max_age=max_age)
    scene.show_for(3, (50, LOOKS[0]))
    for missed in range(1, max_age + 1):
        scene.show()
        assert [one.time_since_update for one in scene.tracker.tracks] == [missed]
    scene.show()
    assert scene.tracker.tracks == []


@pytest.mark.parametrize(('missed', 'same'), [(19, True), (20, False)])
def test_a_match_has_to_come_within_max_age_frames(missed, same):
    scene = Scene(max_age=20)
    scene.show_for(5, (50, LOOKS[0]))
    scene.show_for(missed)
    assert set(scene.show_for(3, (50, LOOKS[0]))) == ({1} if same else {2})


def test_visible_for_one_frame_without_detection():
    scene = Scene()
    scene.show_for(3, (50, LOOKS[0]))
    (predicted,) = scene.show().values()
    assert (predicted.time_since_update, predicted.detection) == (1, None)
    assert scene.show() == {}


def test_score_is_that_of_the_last_detection():
    scene = Scene(n_init=1)
    for score in (0.6, 0.7, 0.8):
        tracks = scene.show((50, LOOKS[0]), scores=[score])
    assert tracks[1].score == pytest.approx(0.8)
    assert scene.show()[1].score == pytest.approx(0.8)


def test_a_track_names_its_detection():
    scene = Scene()
    scene.show_for(2, (50, LOOKS[0]), (300, LOOKS[1]))
    tracks = scene.show((300, LOOKS[1]), (50, LOOKS[0]))
    assert {one: tracks[one].detection for one in tracks} == {1: 1, 2: 0}


def test_counts_of_a_track():
    scene = Scene()
    scene.show_for(4, (50, LOOKS[0]))
    scene.show()
    (one,) = scene.show((50, LOOKS[0])).values()
    assert (one.age, one.hits, one.time_since_update) == (6, 5, 0)


def test_ids_count_from_1_in_order_of_appearance():
    scene = Scene(n_init=1)
    scene.show((50, LOOKS[0]))
    scene.show((50, LOOKS[0]), (300, LOOKS[1]), (600, LOOKS[2]))
    tracks = scene.show((600, LOOKS[2]), (50, LOOKS[0]), (300, LOOKS[1]))
    assert {one: round(tracks[one].box[0] / 50) * 50 for one in tracks} == {1: 50, 2: 300, 3: 600}


def test_boxes_follow_a_moving_person():
    scene = Scene()
    for step in range(30):
        tracks = scene.show((50 + 4 * step, LOOKS[0]))
    (one,) = tracks.values()
    np.testing.assert_allclose(one.box, [50 + 4 * 29, 100, 40, 100], atol=1)
    # 4 pixels per frame of 0.1 s.
    np.testing.assert_allclose(one.velocity, [40, 0], atol=2)


def test_appearance_tells_crossing_persons_apart():
    """Two persons swap places while nobody is detected: by position alone they swap ids."""
    scene = Scene()
    scene.show_for(10, (50, LOOKS[0]), (80, LOOKS[1]))
    scene.show_for(5)
    tracks = scene.show((60, LOOKS[1]), (70, LOOKS[0]))
    assert {one: tracks[one].detection for one in tracks} == {1: 1, 2: 0}


def test_gate_refuses_a_jump_whatever_the_looks():
    scene = Scene()
    scene.show_for(10, (50, LOOKS[0]))
    tracks = scene.show((500, LOOKS[0]))
    assert tracks[1].detection is None


@pytest.mark.parametrize(
    ('left', 'matched'),
    # IoU of two boxes of width 40 at distance d: (40 - d) / (40 + d).
    [(50 + 20, True), (50 + 23, False)],
)
def test_iou_limit_of_tentative_tracks(left, matched):
    scene = Scene(max_iou_distance=0.7, n_init=3)
    scene.show((50, LOOKS[0]))
    scene.show((left, LOOKS[0]))
    assert [one.id for one in scene.tracker.tracks] == ([1] if matched else [2])


def similar(similarity):
    """Return a vector with this cosine similarity to the first of LOOKS."""
    return similarity * LOOKS[0] + np.sqrt(1 - similarity**2) * LOOKS[1]


@pytest.mark.parametrize(
    ('settings', 'similarity', 'same'),
    [
        ({'max_cosine_distance': 0.3}, 0.71, True),
        ({'max_cosine_distance': 0.3}, 0.69, False),
        ({'max_cosine_distance': 0.6}, 0.41, True),
        ({'max_cosine_distance': 0.6}, 0.39, False),
    ],
)
def test_appearance_limit(settings, similarity, same):
    scene = Scene(**settings)
    scene.show_for(5, (50, LOOKS[0]))
    scene.show_for(3)  # longer than IoU matching would bridge
    tracks = scene.show_for(3, (50, similar(similarity)))
    assert set(tracks) == ({1} if same else {2})


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
    """Vectors of zeros say that nothing is known of the looks: distance 1, IoU decides."""
    scene = Scene()
    for step in range(10):
        tracks = scene.show((50 + 3 * step, np.zeros(16)), (300, np.zeros(16)))
    assert set(tracks) == {1, 2}


def test_no_detections_at_all():
    scene = Scene()
    for _ in range(5):
        assert scene.show() == {}
    assert scene.tracker.tracks == []


def test_reset_forgets_everything():
    scene = Scene()
    first = [set(scene.show((50, LOOKS[0]), (300, LOOKS[1]))) for _ in range(5)]
    scene.tracker.reset()
    assert scene.tracker.tracks == []
    assert [set(scene.show((50, LOOKS[0]), (300, LOOKS[1]))) for _ in range(5)] == first


def test_ids_are_never_used_twice():
    scene = Scene(n_init=1, max_age=1)
    seen = []
    for _ in range(4):
        seen += scene.show_for(2, (50, LOOKS[0]))
        scene.show_for(3)
    assert seen == [1, 2, 3, 4]


def test_two_trackers_are_independent():
    one, other = Scene(), Scene()
    one.show_for(5, (50, LOOKS[0]))
    other.show_for(2, (50, LOOKS[0]))
    assert set(other.show((50, LOOKS[0]))) == {1}


def test_thresholds_take_effect_at_once():
    scene = Scene(max_cosine_distance=0.3)
    scene.show_for(5, (50, LOOKS[0]))
    scene.show_for(2)
    scene.tracker.settings = dataclasses.replace(scene.tracker.settings, max_cosine_distance=0.6)
    assert set(scene.show((50, similar(0.5)))) == {1}
