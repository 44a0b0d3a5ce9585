"""Stored detections whose stamps do not tell the time are tracked by the frame rate."""

import numpy as np
import pytest

from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.recording import Recording, track

SECOND = 10**9


def rows(path):
    return track(Recording.load(path), TrackerSettings(), 0.0)


def leap(seconds):
    return lambda times: times + seconds * SECOND * (np.arange(len(times)) > 35)


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        (lambda times: 0 * times, 'are 0, as of a driver that never sets header.stamp'),
        (lambda times: (times // SECOND + 5) * SECOND, 'do not advance, or only once a second'),
        (lambda times: times + 7 * SECOND * (np.arange(len(times)) % 2), 'went back by 6.960 s'),
        (leap(3600), 'leapt ahead by 3600.040 s'),
        (leap(-3600), 'went back by 3599.960 s'),
    ],
)
def test_the_same_tracks_as_with_good_stamps(stored, tmp_path, capsys, change, fault):
    with np.load(stored) as arrays:
        content = dict(arrays)
    times = 40_000_000 * np.arange(int(content['num_frames']))
    path = tmp_path / 'detections.npz'
    np.savez(path, **content | {'stamp': times + 1_700_000_000 * SECOND})
    good = rows(path)
    assert len(good) > 200
    assert capsys.readouterr().err == ''
    np.savez(path, **content | {'stamp': change(times)})
    assert np.array_equal(rows(path), good)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'persontrack: warning: {path}: the stamps {fault}')
    assert line.endswith(': going by 25 frames per second, or what --rate says')
    # A rate that is given counts.
    recording = Recording.load(path, rate=10)
    assert set(np.diff(recording.stamps).tolist()) == {100_000_000}
    assert capsys.readouterr().err == ''
