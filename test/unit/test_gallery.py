"""Ids that several cameras share, given by the looks of persons."""

import numpy as np
import pytest
from test_tracking import save_tracker

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.settings import Settings, TrackerSettings
from persontrack_ros.core.tracking import gallery_tracker as module
from persontrack_ros.core.tracking.appearance import SAME_PERSON
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.gallery_tracker import clear
from persontrack_ros.core.tracking.state import load_tracker
from persontrack_ros.core.tracking.tracker import make_tracker

SIZE = (640, 480)
PERIOD = 100_000_000
DIMENSION = 16
# Images until a person who may be known has an id, where that is clear, and where it is not.
WAIT, LONG = 4, 12
# Left and top of the boxes of persons.
PLACES = {'left': (100, 200), 'right': (250, 200), 'far': (450, 200), 'high': (560, 20)}
PLACES['border'] = (0, 200)


class View:
    """A camera before which persons stand, each at a place, with an appearance of their own."""

    def __init__(self, gallery, **settings):
        self.camera = Camera(gallery)
        self.settings = TrackerSettings(**{'n_init': 1, 'remember': 60.0, **settings})
        self.tracker = make_tracker(self.settings, self.camera)
        self.stamp = 0

    def see(self, images=1, scores=0.95, **persons):
        """Show persons by place, with usual embeddings or others; return the ids by place."""
        names = list(persons)
        boxes = [[*PLACES[name], 60, 160] for name in names]
        detections = Detections.create(boxes, np.broadcast_to(scores, len(names)), image_size=SIZE)
        given = [embedding(each) if isinstance(each, int) else each for each in persons.values()]
        vectors = (
            np.array(given, dtype=np.float32) if given else np.empty((0, DIMENSION), np.float32)
        )
        for _ in range(images):
            self.stamp += PERIOD
            tracks = self.tracker.update(detections, vectors.__getitem__, self.stamp)
        return {
            names[track.detection]: track.id for track in tracks if track.detection is not None
        }

    def pause(self, seconds):
        """Show nobody for so long."""
        for _ in range(4):
            self.stamp += round(seconds * 1e9 / 4) - PERIOD
            self.see()


def embedding(person, distance=0.0):
    """Return the looks of a person, at a cosine distance from the usual ones."""
    vector = np.zeros(DIMENSION)
    vector[person], vector[-1] = 1 - distance, np.sqrt(1 - (1 - distance) ** 2)
    return vector


@pytest.fixture
def gallery():
    return Gallery()


@pytest.fixture
def front(gallery):
    return View(gallery)


@pytest.fixture
def rear(gallery):
    return View(gallery)


def test_which_embeddings_are_clear():
    """Of two who cover each other, one who stands alone, and one at the border."""
    boxes = [[100, 100, 40, 100], [110, 100, 40, 100], [300, 100, 40, 100], [0, 100, 40, 100]]
    scores = np.full(4, 0.9)
    found = Detections.create(boxes, scores, image_size=SIZE)
    assert clear(found).tolist() == [False, False, True, False]
    assert clear(Detections.create(boxes, scores)).tolist() == [False, False, True, True]
    assert clear(Detections.create([], [])).tolist() == []


def test_the_same_person_has_the_same_id_in_both_cameras(front, rear):
    ids = front.see(left=0, right=1, images=5)
    assert sorted(ids.values()) == [1, 2]
    seen = rear.see(left=embedding(1, 0.2), right=2, far=embedding(0, 0.1), images=WAIT)
    assert seen == {'left': ids['right'], 'right': 3, 'far': ids['left']}
    # A person known only to the other one.
    assert front.see(left=0, right=1, far=2, images=WAIT) == {**ids, 'far': 3}


@pytest.mark.parametrize(('further', 'expected'), [(-0.02, 1), (0.02, 2)])
def test_those_who_look_otherwise_have_ids_of_their_own(front, rear, further, expected):
    front.see(left=0, images=3)
    assert rear.see(left=embedding(0, SAME_PERSON + further), images=LONG) == {'left': expected}


def test_nobody_shares_an_id_in_one_camera(front, rear):
    """Twins: the one who looks more alike is the person known."""
    front.see(left=0, images=3)
    seen = rear.see(
        left=embedding(0, 0.2), right=embedding(0, 0.1), far=embedding(0, 0.15), images=WAIT
    )
    assert seen['right'] == 1
    assert sorted(seen.values()) == [1, 2, 3]
    # Nor with one who is hidden for a moment.
    seen = rear.see(left=embedding(0, 0.2), far=embedding(0, 0.15), images=3)
    again = rear.see(left=embedding(0, 0.2), far=embedding(0, 0.15), high=0, images=LONG)
    assert len(set(again.values())) == 3


def test_the_id_of_a_track_never_changes(front, rear):
    """Whatever a person comes to look like, and which others are seen."""
    front.see(left=0, images=3)
    assert rear.see(left=1, images=WAIT) == {'left': 2}
    for distance in np.linspace(1.0, 0.0, 30):
        assert rear.see(left=embedding(0, distance)) == {'left': 2}
        assert front.see(left=0, right=1)['left'] == 1


@pytest.mark.parametrize(
    ('remember', 'expected'), [(60.0, {'far': 2, 'left': 3}), (9.0, {'far': 3, 'left': 4})]
)
def test_who_comes_back_in_time_is_known_again(gallery, remember, expected):
    front = View(gallery, remember=remember)
    front.see(left=0, right=1, images=3)
    front.pause(10.0)
    # If nobody can have come back, there is nothing to wait for.
    images = WAIT if remember == 60.0 else 1
    seen = front.see(far=embedding(1, 0.1), left=2, images=images)
    assert sorted(seen.values()) == sorted(expected.values())
    assert remember == 9.0 or seen == expected


def test_somebody_new_is_looked_at_before_they_are_named(front):
    """As long as it may be a person who left; else there is nothing to wait for."""
    assert front.see(left=0) == {'left': 1}
    assert front.see(left=0, right=1) == {'left': 1, 'right': 2}
    front.see(left=0, images=100)
    named = [front.see(left=0, far=2) for _ in range(WAIT)]
    assert ['far' in each for each in named] == [False] * (WAIT - 1) + [True]
    assert named[-1] == {'left': 1, 'far': 3}


def test_several_views_of_a_person_are_kept(front):
    """From in front and from behind, as different as two persons: either is this person."""
    for distance in np.linspace(0, 1, 20):
        front.see(left=embedding(0, distance), images=11)
    for distance in (0.0, 1.0):
        front.pause(10.0)
        assert front.see(far=embedding(0, distance), images=WAIT) == {'far': 1}


def test_without_remembering_ids_count_the_persons_that_were_published(gallery):
    """Who is seen once, and never confirmed, takes no number."""
    front = View(gallery, remember=0.0, n_init=3)
    assert front.see(left=0, images=3) == {'left': 1}
    assert front.see(left=0, far=1, scores=[0.95, 0.5]) == {'left': 1}
    assert front.see(left=0, images=3) == {'left': 1}
    assert front.see(left=0, far=1, images=3) == {'left': 1, 'far': 2}


@pytest.mark.parametrize('other', [np.zeros(DIMENSION), np.ones(8) / np.sqrt(8)])
def test_without_looks_of_the_same_model_ids_are_new(front, rear, other):
    front.see(left=embedding(0) if other.any() else other, images=6)
    assert rear.see(left=other, images=LONG) == {'left': 2}


def test_a_reset_forgets_what_only_this_camera_knows(front, rear):
    front.see(left=0, right=1, images=3)
    rear.see(left=1, images=WAIT)
    old, front.tracker = front.tracker, make_tracker(front.settings, front.camera)
    front.tracker.reset()
    # What the worker still had in hand changes nothing.
    front.tracker, new = old, front.tracker
    front.see(left=0, images=1)
    front.tracker = new
    seen = front.see(left=0, right=1, images=WAIT)
    assert seen == {'left': 3, 'right': 2}
    for view in (front, rear):
        view.tracker.reset()
    assert rear.see(left=5) == {'left': 1}


def test_a_reset_leaves_others_their_ids_before_they_are_seen_clearly(front, rear):
    """At the border, there is no clear look; yet the id is given."""
    assert rear.see(border=0) == {'border': 1}
    front.tracker.reset()
    front.stamp = rear.stamp
    assert front.see(left=1, images=LONG) == {'left': 2}


def test_time_that_goes_back_forgets_nobody(front):
    front.see(left=0, right=1, images=3)
    tracker = make_tracker(front.settings, front.camera)
    tracker.reset(front.tracker.next_id)
    front.tracker = tracker
    seen = front.see(left=2, right=1, images=WAIT)
    assert seen == {'left': 3, 'right': 2}


def test_state(front, rear, tmp_path):
    """The tracks, and who has left: from another camera, too."""
    front.see(left=0, far=3, images=3)
    ids = rear.see(left=0, right=1, images=WAIT)
    assert ids == {'left': 1, 'right': 3}
    save_tracker(rear.tracker, tmp_path / 'state.npz')
    later = View(Gallery())
    load_tracker(later.tracker, tmp_path / 'state.npz')
    later.stamp = rear.stamp
    assert later.see(left=0, right=1) == {'left': 1, 'right': 3}
    again = later.see(left=0, right=1, high=3, far=2, images=WAIT)
    assert again == {'left': 1, 'right': 3, 'high': 2, 'far': 4}


def test_ids_of_a_state_that_others_have_meanwhile_are_given_anew(front, rear, tmp_path):
    """Of another run of the process: cameras now see other persons."""
    front.see(left=0, right=1, images=3)
    assert rear.see(left=1, far=2, images=WAIT) == {'left': 2, 'far': 3}
    save_tracker(front.tracker, tmp_path / 'front.npz')
    save_tracker(rear.tracker, tmp_path / 'rear.npz')
    later = Gallery()
    front, rear = View(later), View(later)
    assert rear.see(left=7, images=WAIT) == {'left': 1}
    load_tracker(front.tracker, tmp_path / 'front.npz')
    ids = front.see(left=0, right=1, far=5, images=LONG)
    assert ids == {'left': 4, 'right': 2, 'far': 5}
    assert rear.see(left=7, far=0, images=LONG) == {'left': 1, 'far': 4}
    # Who is in both states is one person in both cameras.
    load_tracker(rear.tracker, tmp_path / 'rear.npz')
    ids = rear.see(left=1, far=2, right=0, images=LONG)
    assert ids == {'left': 2, 'far': 3, 'right': 4}
    again = front.see(left=0, right=1, far=5)
    assert again == {'left': 4, 'right': 2, 'far': 5}


def test_states_of_different_times(front, rear, tmp_path):
    """An id that was given after the first state was saved may have been given again since."""
    front.see(left=0, images=3)
    save_tracker(front.tracker, tmp_path / 'front.npz')
    rear.see(left=3, images=WAIT)
    save_tracker(rear.tracker, tmp_path / 'rear.npz')
    later = Gallery()
    front, rear = View(later), View(later)
    load_tracker(front.tracker, tmp_path / 'front.npz')
    assert front.see(left=0, far=5, images=LONG) == {'left': 1, 'far': 2}
    load_tracker(rear.tracker, tmp_path / 'rear.npz')
    rear.stamp = front.stamp
    assert rear.see(left=3, images=WAIT) == {'left': 3}


def test_a_state_of_this_run_keeps_its_ids(front, rear, tmp_path):
    front.see(left=0, images=3)
    save_tracker(front.tracker, tmp_path / 'state.npz')
    front.see(left=0, right=1, images=LONG)
    assert rear.see(left=0, right=1, images=LONG) == {'left': 1, 'right': 2}
    load_tracker(front.tracker, tmp_path / 'state.npz')
    assert front.see(left=0, far=4, images=LONG) == {'left': 1, 'far': 3}


def test_only_the_last_persons_are_remembered(gallery, front, monkeypatch):
    monkeypatch.setattr(module, 'MAX_PERSONS', 2)
    for person in range(3):
        front.see(left=person, images=WAIT)
        front.pause(10.0)
    other = View(gallery)
    other.stamp = front.stamp
    seen = other.see(left=0, right=1, far=2, images=WAIT)
    assert seen == {'left': 4, 'right': 2, 'far': 3}


def test_it_needs_looks():
    with pytest.raises(SettingsError, match=r'tracker\.remember .* set reid\.model'):
        Settings.from_values({'tracker.remember': 60.0, 'reid.model': 'none'})
