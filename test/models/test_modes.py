"""Ways to spend less or more: images without a detector, all embeddings, frames ahead, a cache."""

import dataclasses
import itertools
import threading

import numpy as np
import pytest

from persontrack_ros.core.base.errors import ModelError, SourceError
from persontrack_ros.core.config.settings import Settings, TrackerSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.runtime import InferenceModel
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.tracking.offline import OfflineTracker

FRAMES = 24
LIGHT = 'person-detection-0200'


@pytest.fixture(scope='module')
def frames(data):
    source = VideoSource(str(data('videos/vtest.avi')), SourceOptions(max_frames=FRAMES))
    with source:
        return list(source)


def run(frames, **values):
    """Track frames one by one."""
    settings = Settings.from_values(
        {name.replace('__', '.'): value for name, value in values.items()}
    )
    pipeline = Pipeline(settings)
    return [pipeline.process(frame.image, frame.stamp) for frame in frames]


def as_text(results):
    return [[(t.id, t.box.tolist(), t.detection) for t in one.tracks] for one in results]


@pytest.mark.slow
def test_embeddings_only_where_they_are_needed(models, frames):
    results = run(frames)
    counts = [len(result.detections) for result in results]
    assert sum(result.embedded for result in results) < 0.5 * sum(counts)
    assert [result.embedded for result in run(frames, tracker__refresh_time=0.0)] == counts


def every(interval):
    """Return the pattern that detects in every n-th frame."""
    return 'large' + (interval - 1) * ' none'


@pytest.mark.parametrize('interval', [2, 3])
def test_images_without_a_detector(models, frames, interval):
    results = run(frames, detector__pattern=every(interval))
    for index, (frame, result) in enumerate(zip(frames, results)):
        if index % interval == 0:
            newest, since = result, frame.stamp
            assert len(result.detections) > 0
            continue
        # Everybody goes on as they did.
        assert len(result.detections) == 0
        assert result.embedded == 0
        assert [t.id for t in result.tracks] == [t.id for t in newest.tracks]
        for track, before in zip(result.tracks, newest.tracks):
            moved = before.velocity * (frame.stamp - since) / 1e9
            np.testing.assert_allclose(track.box[:2], before.box[:2] + moved)
            np.testing.assert_array_equal(track.box[2:], before.box[2:])
            assert track.detection is None
            assert track.time_since_update == before.time_since_update + index % interval
    assert len(newest.tracks) >= 3


def test_the_pattern_changes_while_it_runs(models, frames):
    settings = Settings()
    pipeline = Pipeline(settings)
    found = []
    for index, frame in enumerate(frames):
        interval = 1 if index < 8 else 4 if index < 14 else 100 if index < 20 else 2
        pipeline.apply(Settings.from_values({'detector.pattern': every(interval)}, base=settings))
        found.append(len(pipeline.process(frame.image, frame.stamp).detections) > 0)
    # From the change on: also where the images of a longer one are not over.
    assert [index for index in range(FRAMES) if found[index]] == [*range(9), 12, 14, 20, 22]
    # After a reset, nothing is predicted.
    pipeline.reset()
    result = pipeline.process(frames[0].image, frames[-1].stamp + 1)
    assert len(result.detections) > 0
    assert {track.time_since_update for track in result.tracks} <= {0}


def test_a_new_resolution_is_detected_in_at_once(models, frames):
    """The tracks end with it: what is predicted in pixels of the old one is nowhere."""
    pipeline = Pipeline(Settings.from_values({'detector.pattern': every(4)}))
    ids = []
    for index, frame in enumerate(frames[:20]):
        image = frame.image if index < 14 else np.ascontiguousarray(frame.image[::2, ::2])
        result = pipeline.process(image, frame.stamp)
        ids.append({track.id for track in result.tracks})
        assert (len(result.detections) > 0) == (index in (0, 4, 8, 12, 14, 18))
    assert len(ids[14]) >= 2
    assert not ids[13] & ids[14]


def still_frames(frames, still):
    """Return the first image `still` times, then the others, 25 a second."""
    images = [frames[0].image] * still + [frame.image for frame in frames]
    return [
        dataclasses.replace(frames[0], number=number + 1, image=image, stamp=40_000_000 * number)
        for number, image in enumerate(images)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('still', 'values'),
    [
        (0, {}),
        (0, {'detector.pattern': 'large none light', 'detector.light_model': LIGHT}),
        (50, {'detector.skip_still': True}),
    ],
)
def test_frames_ahead_give_the_same_in_the_same_order(models, frames, still, values):
    shown = still_frames(frames, still)
    pipeline = Pipeline(Settings.from_values(values), pipelined=True)
    pairs = list(pipeline.process_all(iter(shown)))
    assert [frame.number for frame, _ in pairs] == [frame.number for frame in shown]
    assert as_text([result for _, result in pairs]) == as_text(run(shown, **values))
    # Nothing is taken from another stream.
    pipeline.reset()
    assert len(pipeline.process(shown[0].image, shown[-1].stamp + 1).detections) > 0


def searches(monkeypatch):
    """Return a list that gets an item for each image in which persons are searched."""
    calls = []
    detect = Detector.detect

    def counted(self, image):
        calls.append(image)
        return detect(self, image)

    monkeypatch.setattr(Detector, 'detect', counted)
    return calls


@pytest.mark.slow
def test_where_nothing_changes_nobody_is_searched(models, frames, monkeypatch):
    shown = still_frames(frames, 100)
    plain = run(shown)
    pipeline = Pipeline(Settings.from_values({'detector.skip_still': True}))
    calls = searches(monkeypatch)
    for frame, expected in zip(shown[:100], plain):
        result = pipeline.process(frame.image, frame.stamp)
        np.testing.assert_array_equal(result.detections.boxes, expected.detections.boxes)
        assert [track.id for track in result.tracks] == [track.id for track in expected.tracks]
    # Once a second, and until the noise is known.
    assert 10 < len(calls) < 20
    # When they walk on, all images count.
    del calls[:]
    rest = [pipeline.process(frame.image, frame.stamp) for frame in shown[100:]]
    assert len(calls) == len(rest) - 1
    assert as_text(rest) == as_text(plain[100:])


@pytest.mark.parametrize(
    'change', [{'detector.skip_still': False}, {'detector.score_threshold': 0.9}]
)
def test_parameters_that_change_count_at_once(models, frames, monkeypatch, change):
    settings = Settings.from_values({'detector.skip_still': True})
    pipeline = Pipeline(settings)
    shown = still_frames(frames, 40)[:40]
    for frame in shown[:30]:
        pipeline.process(frame.image, frame.stamp)
    calls = searches(monkeypatch)
    pipeline.apply(Settings.from_values(change, base=settings))
    pipeline.process(shown[30].image, shown[30].stamp)
    assert len(calls) == 1


@pytest.mark.parametrize('step', [0, -1])
def test_stamps_that_do_not_advance_let_nobody_be_taken_again(models, frames, monkeypatch, step):
    pipeline = Pipeline(Settings.from_values({'detector.skip_still': True}))
    calls = searches(monkeypatch)
    for number in range(20):
        pipeline.process(frames[0].image, 1000 + step * number)
    assert len(calls) == 20


def test_frames_before_a_broken_one_are_not_lost(models, frames):
    def broken():
        yield from frames[:7]
        raise SourceError('broken')

    results = Pipeline(Settings(), pipelined=True).process_all(broken())
    seen = [frame.number for frame, _ in itertools.islice(results, 7)]
    with pytest.raises(SourceError, match='broken'):
        next(results)
    assert seen == [1, 2, 3, 4, 5, 6, 7]


def spoil(monkeypatch, model, value, rows):
    """Let the detector or embedder give a value that is none in some of its rows, or none."""
    original = InferenceModel._outputs

    def outputs(self):
        found = {name: array.copy() for name, array in original(self).items()}
        for array in found.values():
            if (array.ndim == 2 and array.shape[1] == 256) == (model == 'reid'):
                array.reshape(-1, array.shape[-1])[rows] = value
        return found

    monkeypatch.setattr(InferenceModel, '_outputs', outputs)


@pytest.mark.parametrize('model', ['detector', 'reid'])
@pytest.mark.parametrize(
    ('algorithm', 'value', 'rows'),
    [
        ('persistent', np.nan, slice(None)),
        ('persistent', np.inf, slice(None, None, 2)),
        ('deep_sort', -np.inf, slice(1)),
    ],
)
def test_numbers_that_are_none_are_an_error(
    models, frames, monkeypatch, algorithm, model, value, rows
):
    """And nobody is lost by them: the next frame goes on as after a frame that was dropped."""
    settings = Settings.from_values({'tracker.algorithm': algorithm, 'tracker.refresh_time': 0.0})
    pipeline, other = Pipeline(settings), Pipeline(settings)
    for index, (image, stamp) in enumerate((one.image, one.stamp) for one in frames[:12]):
        if index == 8:
            with monkeypatch.context() as patch:
                spoil(patch, model, value, rows)
                with pytest.raises(ModelError, match='NaN or infinite'):
                    pipeline.process(image, stamp)
            continue
        found = [track.id for track in pipeline.process(image, stamp).tracks]
        assert found == [track.id for track in other.process(image, stamp).tracks]
    assert found


def test_a_search_that_fails_ends_the_run(models, frames, monkeypatch):
    """Whatever it raises: nobody waits for the detector that raised it."""
    pipeline = Pipeline(Settings(), pipelined=True)
    detect = Detector.detect

    def fail(self, image):
        if image is frames[0].image:
            return detect(self, image)
        raise RuntimeError('device lost')

    monkeypatch.setattr(Detector, 'detect', fail)
    caught = []

    def run():
        try:
            list(pipeline.process_all(iter(frames)))
        except RuntimeError as error:
            caught.append(str(error))

    # If it hangs, then not the other tests.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(300)
    assert caught == ['device lost']


@pytest.mark.slow
def test_copies_are_no_new_evidence(models, frames):
    """Each image twice has the tracks of each once, also ahead and offline."""
    shown = frames[:8]
    twice = [
        dataclasses.replace(frame, stamp=frame.stamp + delay)
        for frame in shown
        for delay in (0, 10_000_000)
    ]
    expected = [line for result in run(shown) for line in [as_text([result])] * 2]
    assert [as_text([result]) for result in run(twice)] == expected
    ahead = Pipeline(Settings(), pipelined=True).process_all(iter(twice))
    assert [as_text([result]) for _, result in ahead] == expected
    pipeline = Pipeline(Settings())
    pipeline.tracker = OfflineTracker(TrackerSettings())
    for frame in twice:
        pipeline.process(frame.image, frame.stamp)
    images = list(pipeline.tracker.finish())
    assert len(images) == len(twice)
    assert all(one is other for one, other in zip(images[::2], images[1::2]))


def test_nobody_is_predicted_after_a_cut(models, frames):
    """Persons who stand on their heads are not detected."""
    shown = [
        dataclasses.replace(frame, image=np.ascontiguousarray(frame.image[::-1]))
        if number >= 8
        else frame
        for number, frame in enumerate(frames[:12])
    ]
    results = run(shown)
    assert results[7].tracks
    assert not any(track.detection is None for result in results[8:] for track in result.tracks)
