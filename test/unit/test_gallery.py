"""Ids that several cameras share, given by the looks of persons."""

from __future__ import annotations

import numpy as np
import pytest

from persontrack_ros.core.detections import Detections
from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.settings import Settings
from persontrack_ros.core.settings import TrackerSettings
from persontrack_ros.core.tracking import gallery as module
from persontrack_ros.core.tracking.gallery import Camera
from persontrack_ros.core.tracking.gallery import Gallery
from persontrack_ros.core.tracking.state import load_tracker
from persontrack_ros.core.tracking.state import save_tracker

SIZE = (640, 480)
PERIOD = 100_000_000
DIMENSION = 16
LEFT, RIGHT, FAR = (100.0, 200.0), (250.0, 200.0), (450.0, 200.0)


class View:
    """A camera before which persons stand, each at a place and with looks of their own."""

    def __init__(self, gallery, **settings):
        self.camera = Camera(gallery)
        self.settings = TrackerSettings(**{'n_init': 1, **settings})
        self.tracker = self.camera.make_tracker(self.settings)
        self.stamp = 0

    def see(self, *persons, images=1):
        """Show persons (looks, place) for some images; return the ids by place."""
        boxes = [[*place, 60.0, 160.0] for _, place in persons]
        detections = Detections.create(boxes, np.full(len(persons), 0.95), image_size=SIZE)
        vectors = np.array([looks for looks, _ in persons], dtype=np.float32)
        for _ in range(images):
            self.stamp += PERIOD
            tracks = self.tracker.update(
                detections, lambda indices: vectors.reshape(-1, DIMENSION)[indices], self.stamp
            )
        return {
            persons[track.detection][1]: track.id
            for track in tracks
            if track.detection is not None
        }

    def pause(self, seconds):
        """Show nobody for so long."""
        for _ in range(4):
            self.stamp += round(seconds * 1e9 / 4)
            nobody = Detections.create([], [], image_size=SIZE)
            self.tracker.update(
                nobody, lambda indices: np.empty((0, DIMENSION), np.float32), self.stamp
            )


def looks(person, distance=0.0):
    """Return the looks of a person, at a cosine distance from the usual ones."""
    vector = np.zeros(DIMENSION)
    vector[person], vector[-1] = 1 - distance, np.sqrt(1 - (1 - distance) ** 2)
    return vector


@pytest.fixture
def gallery():
    return Gallery()


@pytest.mark.parametrize('algorithm', ['persistent', 'deep_sort'])
def test_the_same_person_has_the_same_id_in_both_cameras(gallery, algorithm):
    front, rear = View(gallery, algorithm=algorithm), View(gallery, algorithm=algorithm)
    ids = front.see((looks(0), LEFT), (looks(1), RIGHT), images=5)
    assert sorted(ids.values()) == [1, 2]
    seen = rear.see((looks(1, 0.2), LEFT), (looks(2), RIGHT), (looks(0, 0.1), FAR), images=3)
    assert seen == {LEFT: ids[RIGHT], RIGHT: 3, FAR: ids[LEFT]}
    # Somebody whom only the other one has seen.
    assert front.see((looks(0), LEFT), (looks(1), RIGHT), (looks(2), FAR), images=3) == {
        **ids,
        FAR: 3,
    }


@pytest.mark.parametrize(('further', 'expected'), [(-0.02, 1), (0.02, 2)])
def test_those_who_look_otherwise_have_ids_of_their_own(gallery, further, expected):
    front, rear = View(gallery), View(gallery)
    front.see((looks(0), LEFT), images=3)
    assert rear.see((looks(0, module.MAX_DISTANCE + further), LEFT)) == {LEFT: expected}


def test_nobody_shares_an_id_in_one_camera(gallery):
    """Twins: the one who looks more alike is the person known."""
    front, rear = View(gallery), View(gallery)
    front.see((looks(0), LEFT), images=3)
    seen = rear.see((looks(0, 0.2), LEFT), (looks(0, 0.1), RIGHT), (looks(0, 0.15), FAR))
    assert seen[RIGHT] == 1
    assert sorted(seen.values()) == [1, 2, 3]
    # Nor with one who is hidden for a moment.
    seen = rear.see((looks(0, 0.2), LEFT), (looks(0, 0.15), FAR), images=3)
    elsewhere = (560.0, 20.0)
    again = rear.see((looks(0, 0.2), LEFT), (looks(0, 0.15), FAR), (looks(0), elsewhere))
    assert again[elsewhere] not in {1, 2, 3}


def test_the_id_of_a_track_never_changes(gallery):
    """Whatever a person comes to look like, and whoever else is seen."""
    front, rear = View(gallery), View(gallery)
    front.see((looks(0), LEFT), images=3)
    assert rear.see((looks(1), LEFT)) == {LEFT: 2}
    for distance in np.linspace(1.0, 0.0, 30):
        assert rear.see((looks(0, distance), LEFT)) == {LEFT: 2}
        assert front.see((looks(0), LEFT), (looks(1), RIGHT))[LEFT] == 1


def test_who_comes_back_is_known_again(gallery):
    front = View(gallery, max_lost_time=2.0)
    front.see((looks(0), LEFT), (looks(1), RIGHT), images=3)
    front.pause(10.0)
    assert front.see((looks(1, 0.1), FAR), (looks(2), LEFT)) == {FAR: 2, LEFT: 3}


def test_without_looks_ids_are_new(gallery):
    front, rear = View(gallery), View(gallery)
    front.see((np.zeros(DIMENSION), LEFT), images=6)
    assert rear.see((np.zeros(DIMENSION), LEFT), images=6) == {LEFT: 2}


def test_looks_of_another_model_are_not_compared(gallery):
    front, rear = View(gallery), View(gallery)
    front.see((looks(0), LEFT), images=3)
    detections = Detections.create([[*LEFT, 60.0, 160.0]], [0.95], image_size=SIZE)
    other = np.ones((1, 8), dtype=np.float32) / np.sqrt(8)
    (track,) = rear.tracker.update(detections, lambda indices: other, PERIOD)
    assert track.id == 2


def test_a_reset_forgets_what_only_this_camera_knows(gallery):
    front, rear = View(gallery), View(gallery)
    front.see((looks(0), LEFT), (looks(1), RIGHT), images=3)
    rear.see((looks(1), LEFT), images=3)
    old, front.tracker = front.tracker, front.camera.make_tracker(front.settings)
    front.tracker.reset()
    # What the worker still had in hand changes nothing.
    front.tracker, new = old, front.tracker
    front.see((looks(0), LEFT), images=1)
    front.tracker = new
    assert front.see((looks(0), LEFT), (looks(1), RIGHT)) == {LEFT: 3, RIGHT: 2}
    for view in (front, rear):
        view.tracker.reset()
    assert rear.see((looks(5), LEFT)) == {LEFT: 1}


def test_time_that_goes_back_forgets_nobody(gallery):
    front = View(gallery)
    front.see((looks(0), LEFT), (looks(1), RIGHT), images=3)
    tracker = front.camera.make_tracker(front.settings)
    tracker.reset(front.tracker.next_id)
    front.tracker = tracker
    assert front.see((looks(2), LEFT), (looks(1), RIGHT)) == {LEFT: 3, RIGHT: 2}


def test_state(gallery, tmp_path):
    front, rear = View(gallery), View(gallery)
    front.see((looks(0), LEFT), images=3)
    ids = rear.see((looks(0), LEFT), (looks(1), RIGHT), images=3)
    assert ids == {LEFT: 1, RIGHT: 2}
    save_tracker(rear.tracker, tmp_path / 'state.npz')
    later = View(Gallery())
    load_tracker(later.tracker, tmp_path / 'state.npz')
    later.stamp = rear.stamp
    again = later.see((looks(0), LEFT), (looks(1), RIGHT), (looks(2), FAR), images=2)
    assert again == {LEFT: 1, RIGHT: 2, FAR: 3}


def test_only_the_last_persons_are_remembered(gallery, monkeypatch):
    monkeypatch.setattr(module, 'MAX_PERSONS', 2)
    front = View(gallery, max_lost_time=1.0)
    for person in range(3):
        front.see((looks(person), LEFT), images=3)
        front.pause(5.0)
    assert View(gallery).see((looks(0), LEFT), (looks(1), RIGHT), (looks(2), FAR)) == {
        LEFT: 4,
        RIGHT: 2,
        FAR: 3,
    }


def test_it_needs_looks():
    with pytest.raises(SettingsError, match=r'reid\.shared_gallery .* set reid\.model'):
        Settings.from_values({'reid.shared_gallery': True, 'reid.model': 'none'})
