"""The whole tracker on real video."""

import numpy as np
import pytest

from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.evaluation.mot import read_mot
from persontrack_ros.core.pipeline import Pipeline

PERIOD = 100_000_000


@pytest.fixture(scope='module')
def pipeline(models):
    return Pipeline(Settings())


@pytest.mark.slow
def test_hota_with_the_defaults(truth, vtest_tracks):
    from persontrack_ros.core.evaluation.scores import evaluate

    scores = evaluate([(truth, read_mot(vtest_tracks))])
    assert scores.hota >= 56


@pytest.mark.slow
def test_tracks_of_the_whole_video(vtest_tracks):
    rows = read_mot(vtest_tracks)
    frames, ids, boxes, scores = rows[:, 0], rows[:, 1], rows[:, 2:6], rows[:, 6]
    assert frames.max() == 795
    assert (np.diff(frames) >= 0).all()
    # An id once in a frame; as many persons as there are.
    assert len(np.unique(rows[:, :2], axis=0)) == len(rows)
    assert 19 <= len(np.unique(ids)) <= 60
    assert (boxes[:, 2:] > 0).all()
    assert ((scores >= 0.5) & (scores <= 1)).all()


def test_times_and_counts_of_one_image(pipeline, vtest):
    result = pipeline.process(vtest[1], PERIOD)
    times = result.times
    assert times.detection > 0
    assert times.tracking > 0
    assert times.embedding >= 0
    assert times.total == times.detection + times.embedding + times.tracking
    assert 0 <= result.embedded <= len(result.detections)
    assert len(result.detections) >= 3


def test_thresholds_change_between_two_images(pipeline, vtest):
    assert len(pipeline.process(vtest[1], PERIOD * 10).detections) >= 3
    pipeline.apply(Settings.from_values({'detector.score_threshold': 1.0}))
    assert len(pipeline.process(vtest[1], PERIOD * 11).detections) == 0
    pipeline.apply(Settings())
    assert len(pipeline.process(vtest[1], PERIOD * 12).detections) >= 3
