"""Services and the worker share one tracker, without waiting for each other."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import OutputError, SourceError
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.tracker import make_tracker
from persontrack_ros.ros.tracker import session as session_module
from persontrack_ros.ros.tracker.session import Session

TIMEOUT = 60
SECOND = 10**9


def settings(algorithm='persistent'):
    return TrackerSettings(algorithm=algorithm, n_init=1, refresh_time=1.0)


def look(indices):
    return np.eye(4, dtype=np.float32)[indices]


def see(session, stamp, embed=look):
    """Show the tracker one person; return the ids published."""
    published = []
    detections = Detections.create([[100, 100, 50, 120]], [0.95])
    while not published:
        with session.in_hand() as tracker:
            ids = [track.id for track in tracker.update(detections, embed, stamp)]
        session.finish(tracker, lambda ids=ids: published.append(ids))
    return published[0]


@pytest.fixture(params=['persistent', 'deep_sort'])
def session(request):
    session = Session(make_tracker(settings(request.param)))
    session.settings = settings(request.param)
    return session


def test_services_do_not_wait_for_an_inference(session, tmp_path, monkeypatch):
    """The worker is in the middle of a frame until all services have answered."""
    monkeypatch.setattr(session_module, 'PATIENCE', 0.1)
    path = tmp_path / 'state.npz'
    assert see(session, 0) == [1]
    session.save(session.settings, path)
    within, go_on = threading.Event(), threading.Event()

    def slow(indices):
        within.set()
        assert go_on.wait(TIMEOUT)
        return look(indices)

    ids = []
    worker = threading.Thread(
        target=lambda: ids.extend(see(session, 2 * SECOND, slow)), daemon=True
    )
    worker.start()
    assert within.wait(TIMEOUT)
    with pytest.raises(OutputError, match='not saved: the frame in work takes more than'):
        session.save(session.settings, tmp_path / 'other.npz')
    session.load(session.settings, path)
    session.restart(session.settings, first_id=50)
    session.save(session.settings, tmp_path / 'restarted.npz')
    go_on.set()
    worker.join(TIMEOUT)
    assert not worker.is_alive()
    # What was begun before the restart is tracked again, by the new tracker.
    assert ids == [50]
    session.load(session.settings, path)
    assert see(session, SECOND) == [1]


def test_what_is_saved_is_the_state_after_a_frame(session, tmp_path, monkeypatch):
    """And it is taken only then: for each frame, it would cost more than the tracking."""
    path = tmp_path / 'state.npz'
    taken = []
    state = session.tracker.state
    monkeypatch.setattr(session.tracker, 'state', lambda: taken.append(1) or state())
    for frame in range(3):
        assert see(session, frame * SECOND // 10) == [1]
    assert not taken
    session.save(session.settings, path)
    assert taken == [1]
    session.restart(session.settings)
    session.load(session.settings, path)
    assert see(session, SECOND) == [1]


def test_restart(session):
    assert see(session, 0) == [1]
    session.restart(session.settings)
    assert see(session, 1) == [1]
    session.restart(session.settings, session.tracker.next_id)
    assert see(session, 2) == [2]


def test_a_bad_file_changes_nothing(session, tmp_path):
    assert see(session, 0) == [1]
    path = tmp_path / 'state.npz'
    path.write_bytes(b'nothing')
    with pytest.raises(SourceError):
        session.load(session.settings, path)
    assert see(session, 1) == [1]
