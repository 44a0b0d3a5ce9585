"""Test both trackers with any input, and the persistent one with people whose way is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.appearance import normalise
from persontrack_ros.core.tracking.state import save_state
from persontrack_ros.core.tracking.track import TrackState
from persontrack_ros.core.tracking.tracker import make_tracker

SIZE = (640, 480)
SECOND = 10**9
ALGORITHMS = ('persistent', 'deep_sort')


def embeddings_of(*people, dimension=8):
    """Return embeddings of which those of different people are orthogonal."""
    return np.eye(dimension, dtype=np.float32)[list(people)]


def step(tracker, boxes, people, stamp, scores=0.95, asked=None, light=False):
    embeddings = embeddings_of(*people)

    def embed(indices):
        if asked is not None:
            asked.extend(indices.tolist())
        return embeddings[indices]

    detections = Detections.create(boxes, np.full(len(boxes), scores), image_size=SIZE)
    return tracker.update(dataclasses.replace(detections, light=light), embed, stamp)


def no_embeddings(indices):
    return np.zeros((len(indices), 0), dtype=np.float32)


def persistent(**changes):
    return make_tracker(TrackerSettings(**changes))


def save_tracker(tracker, path):
    save_state(tracker.settings.algorithm, tracker.state(), path)


coordinates = st.floats(-1e5, 1e5, allow_nan=False)
sizes = st.floats(1e-3, 1e5, allow_nan=False)
boxes_of_one = st.tuples(coordinates, coordinates, sizes, sizes)
# Identical boxes, of one pixel too, and persons next to each other.
common_boxes = st.sampled_from(
    [(10.0, 10.0, 1.0, 1.0), (100.0, 100.0, 40.0, 100.0), (120.0, 105.0, 40.0, 100.0)]
)
stamps = st.one_of(
    st.integers(0, 10 * SECOND), st.integers(-(2**62), 2**62), st.just(SECOND), st.just(-1)
)
embeddings_of_one = st.integers(0, 8)
motions = st.one_of(
    st.none(),
    st.builds(
        lambda zoom, shift: np.array([[zoom, 0.1, shift], [-0.1, zoom, -shift]]),
        st.floats(0.67, 1.5),
        st.floats(-500, 500),
    ),
)
frames = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.one_of(common_boxes, boxes_of_one), st.floats(0, 1), embeddings_of_one),
            max_size=8,
        ),
        stamps,
        motions,
    ),
    max_size=16,
)


def update(tracker, frame, sized=True, known=True):
    """Track a frame of the strategy `frames`."""
    found, stamp, motion = frame
    basis = np.vstack([np.eye(8), np.zeros(8)]).astype(np.float32)[:, : 8 * known]
    embeddings = basis[np.array([each for *_, each in found], dtype=int)]
    boxes, scores = [box for box, _, _ in found], [score for _, score, _ in found]
    detections = Detections.create(boxes, scores, image_size=SIZE if sized else None)
    return tracker.update(detections, embeddings.__getitem__, stamp, motion)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
@given(frames=frames, known=st.booleans(), sized=st.booleans(), remember=st.booleans())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_any_input_gives_finite_tracks_with_unique_ids(algorithm, frames, known, sized, remember):
    tracker = make_tracker(TrackerSettings(algorithm=algorithm, remember=60.0 * remember))
    with np.errstate(all='raise', under='ignore'):
        for frame in frames:
            found = frame[0]
            before = {track.id: track for track in tracker.tracks}
            tracks = update(tracker, frame, sized, known)
            for track in tracks + tracker.tracks:
                assert np.isfinite(track.box).all()
                assert np.isfinite(track.velocity).all()
                assert (track.box[2:] > 0).all() or algorithm == 'deep_sort'
                assert track.detection is None or 0 <= track.detection < len(found)
                assert (track.time_since_update == 0) == (track.detection is not None)
                assert 1 <= track.hits <= track.age
            for group in (tracks, tracker.tracks):
                assert len({track.id for track in group}) == len(group)
                matched = [each.detection for each in group if each.detection is not None]
                assert len(set(matched)) == len(matched)
            assert [track.id for track in tracks] == sorted(track.id for track in tracks)
            for track in tracker.tracks:
                # Who was published once stays so; a person does not become another one's past.
                if track.id in before and before[track.id].state == TrackState.CONFIRMED:
                    assert track.state == TrackState.CONFIRMED
                    assert track.age > before[track.id].age
                    assert track.hits >= before[track.id].hits


@given(frames=frames, cut=st.integers(0, 16))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_any_state_can_be_restored(frames, cut):
    first, second = persistent(), persistent()
    for index, frame in enumerate(frames):
        if index == cut:
            second.restore(first.state())
        expected = update(first, frame)
        if index >= cut:
            assert repr(update(second, frame)) == repr(expected)


@pytest.mark.parametrize(
    ('algorithm', 'extent'), [('persistent', 4000), ('deep_sort', 4000), ('persistent', 1e-9)]
)
def test_thousands_of_detections(algorithm, extent):
    """All over a large image, or all in one place."""
    tracker = make_tracker(TrackerSettings(algorithm=algorithm))
    random = np.random.default_rng(1)
    boxes = np.column_stack([random.uniform(0, extent, (1500, 2)), np.full((1500, 2), 40.0)])
    embeddings = normalise(random.normal(size=(1500, 16)).astype(np.float32))
    detections = Detections.create(boxes, np.full(1500, 0.95), image_size=(4000, 4000))
    for frame in range(4):
        tracks = tracker.update(detections, embeddings.__getitem__, frame * SECOND // 10)
    assert len(tracks) > 1000
    assert len({track.id for track in tracks}) == len(tracks)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_reset_starts_anew(algorithm):
    tracker = make_tracker(TrackerSettings(algorithm=algorithm))
    for _ in range(2):
        for frame in range(5):
            tracks = step(tracker, [[100, 100, 40, 100]], [0], frame * SECOND // 10)
        assert [track.id for track in tracks] == [1]
        tracker.reset()
        assert tracker.tracks == []


@pytest.mark.parametrize('algorithm', ALGORITHMS)
@pytest.mark.parametrize('rate', [7, 30])
def test_velocity_is_in_pixels_per_second(algorithm, rate):
    tracker = make_tracker(TrackerSettings(algorithm=algorithm))
    for frame in range(3 * rate):
        box = [[100 + 60 * frame / rate, 100, 40, 100]]
        tracks = step(tracker, box, [0], frame * SECOND // rate)
    assert tracks[0].velocity == pytest.approx([60, 0], abs=6)


@pytest.mark.parametrize(('zoom', 'same'), [(1.0, True), (1.02, False)])
def test_without_looks_who_is_lost_is_forgotten_sooner_where_persons_come_nearer(zoom, same):
    tracker = persistent()
    ids = []
    for frame in range(60):
        seen = [[260, 200, 20, 50], [300, 200, 20, 50], [360, 210, 20, 50]]
        boxes = np.array(seen[1:] if 40 <= frame < 48 else seen, dtype=float)
        boxes *= zoom**frame
        boxes[:, :2] += np.array([320, 240]) * (1 - zoom**frame)
        detections = Detections.create(boxes, np.full(len(boxes), 0.95))
        tracks = tracker.update(detections, no_embeddings, frame * SECOND // 10)
        ids.append({person.id for person in tracks if person.detection == 0 and len(boxes) == 3})
    assert (ids[39] == ids[-1]) == same
    assert ids[39]
    assert ids[-1]


@pytest.mark.parametrize('rate', [5, 10, 30])
def test_people_who_cross_keep_their_ids(rate):
    tracker = persistent()
    for frame in range(4 * rate):
        time = frame / rate
        boxes = [[100 + 90 * time, 100, 40, 100], [460 - 90 * time, 104, 40, 100]]
        tracks = step(tracker, boxes, [0, 1], frame * SECOND // rate)
        assert [track.id for track in tracks] == [1, 2]
        assert {t.detection: t.id for t in tracks if t.detection is not None} == {0: 1, 1: 2}


def test_a_person_who_jumps_keeps_the_id():
    """Further in one image than the filter expects."""
    tracker = persistent()
    for frame in range(10):
        step(tracker, [[100, 100, 40, 100]], [0], frame * SECOND // 10)
    (track,) = step(tracker, [[155, 100, 40, 100]], [0], SECOND)
    assert (track.id, track.time_since_update) == (1, 0)


@pytest.mark.parametrize(('found_again', 'expected'), [(40, 1), (100, 2)])
def test_a_person_lost_in_the_middle_comes_back_with_the_same_id_in_time(found_again, expected):
    tracker = persistent()
    for frame in range(found_again + 20):
        boxes = [] if 20 <= frame < found_again else [[300, 200, 40, 100]]
        tracks = step(tracker, boxes, [0] * len(boxes), frame * SECOND // 10)
        if not 20 <= frame < 25:
            assert bool(tracks) == (not 25 <= frame < found_again)
    assert [track.id for track in tracks] == [expected]


@pytest.mark.parametrize(('remember', 'expected'), [(0.0, 2), (1.0, 2), (60.0, 1)])
def test_a_person_who_leaves_and_returns(remember, expected):
    tracker = persistent(remember=remember)
    for frame in range(60):
        left = 40 - 40 * frame / 10 if frame < 20 else -40 + 40 * (frame - 40) / 10
        boxes = [[left, 200, 40, 100]] if left > -30 else []
        tracks = step(tracker, boxes, [0] * len(boxes), frame * SECOND // 10)
    assert [track.id for track in tracks] == [expected]


def test_images_in_which_a_person_was_detected_twice_count_once():
    tracker = persistent()
    box = (100, 100, 40, 100)
    step(tracker, [box, box], [1, 1], SECOND, scores=[0.0, 1.0])
    step(tracker, [box], [0], SECOND, scores=0.0)
    (track,) = step(tracker, [box], [0], SECOND, scores=1.0)
    assert (track.id, track.age, track.hits) == (1, 3, 3)


def test_nobody_takes_over_the_id_of_a_hidden_person_of_other_looks():
    tracker = persistent()
    for frame in range(40):
        person = 0 if frame < 20 else 1
        boxes = [] if 17 <= frame < 23 else [[300, 200, 40, 100]]
        tracks = step(tracker, boxes, [person] * len(boxes), frame * SECOND // 10)
    assert [track.id for track in tracks] == [2]


@pytest.mark.parametrize('refresh_time', [1.0, 0.0])
def test_embeddings_are_asked_for_only_where_they_matter(refresh_time):
    tracker = persistent(refresh_time=refresh_time)
    asked: list[int] = []
    for frame in range(50):
        # Two of them cross, one stands alone.
        boxes = [
            [100 + 8 * frame, 100, 40, 100],
            [460 - 8 * frame, 100, 40, 100],
            [300, 300, 40, 100],
        ]
        step(tracker, boxes, [0, 1, 2], frame * SECOND // 10, asked=asked)
    counts = np.bincount(asked, minlength=3)
    if not refresh_time:
        assert counts.tolist() == [50] * 3
        return
    assert counts[2] <= 6
    assert (counts[:2] > counts[2]).all()
    assert sum(counts) < 60


def test_first_looks_count_the_same():
    tracker = persistent(refresh_time=0.0)
    embeddings = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.8, 0.0, 0.6]], dtype=np.float32)
    for frame, embedding in enumerate(embeddings):
        detections = Detections.create([[300, 300, 40, 100]], [0.95], image_size=SIZE)
        tracker.update(detections, embedding[None].__getitem__, frame * SECOND // 10)
    # Exact but for the scaling to length 1 after each look.
    expected = embeddings.mean(axis=0) / np.linalg.norm(embeddings.mean(axis=0))
    np.testing.assert_allclose(tracker.state()['embeddings'][0], expected, atol=0.02)


@pytest.mark.parametrize('stamps', [[0] * 30, [10**18, *range(29)], [0, *[3600 * SECOND] * 29]])
def test_odd_stamps_do_not_stop_it(stamps):
    tracker = persistent()
    for stamp in stamps:
        tracks = step(tracker, [[300, 300, 40, 100]], [0], stamp)
    assert len(tracks) == 1


def test_the_model_may_change():
    tracker = persistent(n_init=1)
    for frame, dimension in enumerate((8, 8, 4, 4, 0, 0, 16)):
        embeddings = np.eye(1, dimension, dtype=np.float32)
        detections = Detections.create([[300, 300, 40, 100]], [0.95], image_size=SIZE)
        tracks = tracker.update(detections, embeddings.__getitem__, frame * SECOND // 10)
        assert [track.id for track in tracks] == [1]


@pytest.mark.parametrize('algorithm', ALGORITHMS)
@pytest.mark.parametrize('remember', [0.0, 60.0])
def test_tracks_end_where_the_size_of_the_image_changes(algorithm, remember):
    tracker = persistent(algorithm=algorithm, n_init=1, remember=remember)
    for size, count in ((SIZE, 5), ((320, 240), 20)):
        for frame in range(count):
            detections = Detections.create([[100, 100, 20, 50]], [0.95], image_size=size)
            embed = embeddings_of(0).__getitem__
            tracks = tracker.update(detections, embed, (count + frame) * SECOND // 10)
    # Remembered persons are re-identified, the others get a new id.
    assert [track.id for track in tracks] == [1 if remember and algorithm == 'persistent' else 2]


@pytest.mark.parametrize('usual', [0.05, 0.4, 0.7, 0.99])
def test_scores_count_by_what_is_usual_for_the_detector(usual):
    tracker = persistent()
    for frame in range(60):
        boxes = [[300, 300, 40, 100]]
        scores = [usual]
        if frame >= 40:
            # Half as sure as usual is no person; as sure as usual is one.
            boxes += [[100, 100, 40, 100], [500, 100, 40, 100]]
            scores += [usual / 2, usual]
        people = range(len(boxes))
        tracks = step(tracker, boxes, people, frame * SECOND // 10, np.array(scores))
    assert [track.detection for track in tracks] == [0, 2]


def test_light_detections_only_continue_tracks():
    """They begin none, are not embedded, and move a box less than others do."""
    first, second, moved = (100, 100, 40, 100), (400, 100, 40, 100), (104, 100, 40, 100)
    lefts = []
    for light in (False, True):
        tracker, asked = persistent(), []
        for index in range(4):
            step(tracker, [first], [0], index * SECOND // 10)
        tracks = step(tracker, [moved, second], [0, 1], 4 * SECOND // 10, asked=asked, light=light)
        assert len(tracks) == (1 if light else 2)
        assert asked == ([] if light else [1])
        assert tracks[0].detection == 0
        lefts.append(tracks[0].box[0])
    assert 100 < lefts[1] < lefts[0] - 0.3
