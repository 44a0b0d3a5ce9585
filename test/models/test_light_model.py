"""Two detectors that take turns by `detector.pattern`."""

import logging

import numpy as np
import pytest

from persontrack_ros.cli.detect import record_frames
from persontrack_ros.core.base.errors import ModelError, one_line
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.tracking.offline import OfflineTracker

LIGHT = 'person-detection-0200'
PATTERN = 'large light none'


@pytest.fixture(scope='module')
def frames(data):
    with VideoSource(str(data('videos/vtest.avi')), SourceOptions(max_frames=18)) as source:
        return list(source)


def settings_of(**changes):
    values = {'light_model': LIGHT, 'pattern': PATTERN} | changes
    return Settings.from_values({f'detector.{name}': value for name, value in values.items()})


def boxes_of(model, frames):
    pipeline = Pipeline(Settings.from_values({'detector.model': model}))
    return [pipeline.process(each.image, each.stamp).detections.boxes for each in frames]


def test_the_detectors_take_turns(models, frames):
    pipeline = Pipeline(settings_of())
    results = [pipeline.process(frame.image, frame.stamp) for frame in frames]
    assert [each.detections.light for each in results] == [False, True, False] * 6
    large, light = boxes_of('person-detection-0202', frames), boxes_of(LIGHT, frames)
    for index, result in enumerate(results):
        expected = (large, light, [[]] * len(frames))[index % 3][index]
        np.testing.assert_array_equal(result.detections.boxes, np.reshape(expected, (-1, 4)))
        assert index % 3 == 0 or result.embedded == 0
    assert len(results[-1].tracks) >= 3


def test_both_have_the_threshold_and_the_ignored_areas(models, frames, tmp_path):
    areas = tmp_path / 'areas.yaml'
    areas.write_text('middle: [[0.6, 0], [0.72, 0], [0.72, 1], [0.6, 1]]\n')
    pipeline = Pipeline(settings_of(score_threshold=0.93, ignore=str(areas), pattern='auto'))
    for frame in frames[:2]:
        found = pipeline.process(frame.image, frame.stamp).detections
        assert (len(found), len(found.ignored)) == (1, 1)
    assert found.light


@pytest.mark.parametrize('offline', [False, True])
def test_stored_detections_have_the_tracks_of_the_video(models, frames, tmp_path, offline):
    settings = settings_of()
    record_frames(frames, None, settings).save(tmp_path / 'detections.npz')
    recording = Recording.load(tmp_path / 'detections.npz')
    rows = as_rows(track(recording, settings.tracker, 0.0, offline=offline))
    pipeline = Pipeline(settings)
    if offline:
        pipeline.use(OfflineTracker(settings.tracker))
    images = [pipeline.process(frame.image, frame.stamp).tracks for frame in frames]
    images = list(pipeline.tracker.finish()) if offline else images
    expected = [[n, one.id, *one.box] for n, tracks in enumerate(images, 1) for one in tracks]
    assert len(rows) > 40
    np.testing.assert_allclose(rows[:, :6], expected, atol=0.1)


@pytest.mark.parametrize('ahead', [False, True])
@pytest.mark.parametrize('error', [ModelError('a NaN'), RuntimeError('device lost')])
def test_a_light_model_that_fails_is_replaced(models, frames, monkeypatch, caplog, ahead, error):
    pipeline = Pipeline(settings_of(pattern='auto'), pipelined=ahead)
    light = pipeline._detectors.light._path
    detect, calls = Detector.detect, []

    def fail(self, image):
        if self._path == light:
            calls.append(image)
            if len(calls) > 2:
                raise error
        return detect(self, image)

    monkeypatch.setattr(Detector, 'detect', fail)
    with caplog.at_level(logging.WARNING):
        if ahead:
            results = [result for _, result in pipeline.process_all(iter(frames))]
        else:
            results = [pipeline.process(each.image, each.stamp) for each in frames]
    assert [index for index, each in enumerate(results) if each.detections.light] == [1, 3]
    large = boxes_of('person-detection-0202', frames)
    for index in (0, 2, *range(4, 18)):
        np.testing.assert_array_equal(results[index].detections.boxes, large[index])
    (warning,) = caplog.messages
    assert warning == (
        f'detector.light_model {LIGHT} failed, detector.model is used alone: {one_line(error)}'
    )


@pytest.mark.parametrize(
    ('model', 'reason'),
    [
        ('person-reidentification-retail-0288', 'detector.light_model: .*is no detector'),
        ('no-such-model', 'detector.light_model: .*no-such-model'),
    ],
)
def test_no_detector_is_refused(models, model, reason):
    with pytest.raises(ModelError, match=reason):
        Pipeline(settings_of(light_model=model))
