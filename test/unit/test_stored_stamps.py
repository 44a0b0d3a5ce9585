"""Stored detections whose stamps do not tell the time are refused, and need a rate."""

import numpy as np
import pytest

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.evaluation.recording import Recording

SECOND = 10**9


@pytest.mark.parametrize(
    ('change', 'frame'),
    [
        (lambda times: 0 * times, 2),
        (lambda times: (times // SECOND + 5) * SECOND, 2),
        (lambda times: times - 3600 * SECOND * (np.arange(len(times)) > 35), 37),
    ],
)
def test_stamps_that_do_not_advance(stored, tmp_path, change, frame):
    with np.load(stored) as arrays:
        content = dict(arrays)
    times = 1_700_000_000 * SECOND + 40_000_000 * np.arange(int(content['num_frames']))
    path = tmp_path / 'detections.npz'
    np.savez(path, **content | {'stamp': times})
    assert np.array_equal(Recording.load(path).stamps, times)
    np.savez(path, **content | {'stamp': change(times)})
    with pytest.raises(SourceError, match=f'the stamp of frame {frame} is not later.*--rate'):
        Recording.load(path)
    assert set(np.diff(Recording.load(path, rate=10).stamps).tolist()) == {100_000_000}
