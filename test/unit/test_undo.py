"""An image that a tracker cannot take changes nothing, whatever step of it fails."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_tracking import ALGORITHMS, SIZE, frames

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking import deep_sort, kalman_filter, persistent, stages
from persontrack_ros.core.tracking import tracker as trackers


class FaultError(Exception):
    """What nobody foresaw."""


def methods(kind):
    """Return the names of the methods of a class that are called during an update, and others."""
    skipped = ('__init__', '__len__', '__getitem__', '__repr__', '__eq__', 'state', 'restore')
    # After the whole of it, nothing can fail any more.
    skipped += ('update', '_update') if kind in (persistent.Persistent, deep_sort.DeepSort) else ()
    found = inspect.getmembers(kind, inspect.isfunction)
    return [(kind, name) for name, _ in found if name not in skipped]


STEPS = [
    *methods(persistent.Persistent),
    *methods(stages.Matching),
    *(
        (persistent, name)
        for name in ('leaving', 'record_drift', 'candidate_pairs', 'unambiguous', 'match')
    ),
    *((stages, name) for name in ('by_everything', 'by_overlap', 'by_appearance')),
    (persistent, 'reunite'),
    *methods(deep_sort.DeepSort),
    *methods(deep_sort._Table),
    *methods(kalman_filter.States),
]


def make(algorithm, shared):
    options = TrackerSettings(algorithm=algorithm, n_init=1, nn_budget=3)
    if shared:
        options = dataclasses.replace(options, remember=60.0)
    return trackers.make_tracker(options)


def update(tracker, frame):
    found, stamp, motion = frame
    basis = np.vstack([np.eye(8), np.zeros(8)]).astype(np.float32)
    embeddings = basis[[embedding for _, _, embedding in found]].reshape(-1, 8)
    boxes, scores = [box for box, _, _ in found], [score for _, score, _ in found]
    detections = Detections.create(boxes, scores, image_size=SIZE)
    return tracker.update(detections, embeddings.__getitem__, stamp, motion)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
@given(
    frames=frames,
    shared=st.booleans(),
    step=st.sampled_from(STEPS),
    call=st.integers(0, 5),
    before=st.booleans(),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_step_may_fail(algorithm, frames, shared, step, call, before):
    tracker, other = make(algorithm, shared), make(algorithm, shared)
    kind, name = step
    whole = getattr(kind, name)

    for frame in frames:
        calls = 0

        def failing(*arguments, **options):
            nonlocal calls
            calls += 1
            if before and calls == call + 1:
                raise FaultError
            result = whole(*arguments, **options)
            if calls == call + 1:
                raise FaultError
            return result

        state = tracker.state()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, name, failing)
            try:
                update(tracker, frame)
                failed = False
            except FaultError:
                failed = True
        if not failed:
            # It was not called so often: the image is tracked.
            update(other, frame)
            continue
        for key, array in tracker.state().items():
            np.testing.assert_array_equal(array, state[key], key)
        # What comes next is tracked as if there had been nothing.
        assert repr(update(tracker, frame)) == repr(update(other, frame))


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_looks_of_another_length(algorithm):
    """Of another model, as after a restart with an older state."""
    tracker = make(algorithm, False)
    detections = Detections.create([[100, 100, 40, 100]], [0.95], image_size=SIZE)
    ids = set()
    for stamp, length in enumerate((8, 8, 4, 4, 0, 0)):
        embeddings = np.eye(1, length, dtype=np.float32)
        tracks = tracker.update(detections, embeddings.__getitem__, stamp * 10**8)
        ids |= {track.id for track in tracks}
    assert ids == {1}
