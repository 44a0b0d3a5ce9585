"""Test the comparison with other trackers."""

import sys
from types import ModuleType

import numpy as np
import pytest

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.evaluation.baseline import BASELINES, track_with_baseline
from persontrack_ros.core.evaluation.recording import Recording


def walk(count=20):
    """Return a recording of somebody who walks to the right."""
    boxes = [(50.0 + 2 * frame, 100.0, 40.0, 100.0) for frame in range(count)]
    detections = Detections.create(boxes, np.ones(count))
    stamps = np.arange(count) * 10**8
    return Recording(np.arange(1, count + 1), detections, stamps)


@pytest.mark.parametrize('name', BASELINES)
def test_a_walker_is_kept(name):
    pytest.importorskip('trackers')
    rows = track_with_baseline(name, walk(), score_threshold=0.0)
    assert len(np.unique(rows[:, 1])) == 1
    np.testing.assert_allclose(rows[-1, 2:6], (88, 100, 40, 100), atol=2)
    assert rows[-1, 0] == 20


@pytest.mark.parametrize('name', BASELINES)
def test_the_longer_buffer_waits_for_longer(name):
    """Of somebody who stands and is not detected for 1.4 seconds, or not for 3."""
    pytest.importorskip('trackers')

    def ids(missing, buffer):
        frames = np.array([*range(1, 21), *range(21 + missing, 41 + missing)])
        detections = Detections.create([(50.0, 100.0, 40.0, 100.0)] * 40, np.ones(40))
        recording = Recording(frames, detections, np.arange(40 + missing) * 10**8)
        rows = track_with_baseline(name, recording, 0.0, buffer=buffer)
        return len(np.unique(rows[:, 1]))

    assert [ids(14, 30), ids(14, 60), ids(30, 60)] == [2, 1, 2]


@pytest.mark.parametrize('package', [None, ModuleType('trackers')], ids=['missing', 'too old'])
def test_without_the_package_the_error_says_what_to_install(monkeypatch, package):
    monkeypatch.setitem(sys.modules, 'trackers', package)
    with pytest.raises(OutputError, match='pip install "trackers'):
        track_with_baseline('SORT', walk(), score_threshold=0.0)
