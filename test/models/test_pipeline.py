"""The whole tracker on real video."""

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


def test_times_and_counts_of_one_image(pipeline, vtest):
    result = pipeline.process(vtest[1], PERIOD)
    times = result.times
    assert times.detection > 0
    assert times.tracking > 0
    assert times.embedding >= 0
    assert times.total == times.detection + times.embedding + times.tracking
    assert 0 <= result.embedded <= len(result.detections)
    assert len(result.detections) >= 3
