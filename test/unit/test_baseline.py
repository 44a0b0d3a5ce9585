"""Test the comparison with SORT."""

import sys

import numpy as np
import pytest

from persontrack_ros.core.detections import Detections
from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.evaluation.baseline import track_with_sort
from persontrack_ros.core.evaluation.recording import Recording


def walk(count=20):
    """Return a recording of somebody who walks to the right."""
    boxes = [(50.0 + 2 * frame, 100.0, 40.0, 100.0) for frame in range(count)]
    detections = Detections.create(boxes, np.ones(count))
    stamps = np.arange(count) * 10**8
    return Recording(np.arange(1, count + 1), detections, stamps)


def test_sort_keeps_a_walker():
    pytest.importorskip('pyxtrackers')
    rows = track_with_sort(walk(), score_threshold=0.0)
    assert len(np.unique(rows[:, 1])) == 1
    np.testing.assert_allclose(rows[-1, 2:6], (88, 100, 40, 100), atol=2)
    assert rows[-1, 0] == 20


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyxtrackers', None)
    with pytest.raises(OutputError, match='pip install pyxtrackers'):
        track_with_sort(walk(), score_threshold=0.0)
