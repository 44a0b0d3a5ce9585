"""Test who is followed under which id, and the pictures of it."""

import numpy as np
import pytest

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.evaluation.failures import plot
from persontrack_ros.core.evaluation.scores import follow

# Person 7 is followed as 1, missed, and followed as 2; person 8 always as 3; 4 is nobody.
TRUTH = np.array(
    [[frame, person, 100 * person, 50, 40, 100] for frame in range(1, 7) for person in (7, 8)],
    dtype=np.float64,
)
ROWS = np.array(
    [[frame, id_, 702, 50, 40, 100] for frame, id_ in [(1, 1), (2, 1), (5, 2), (6, 2)]]
    + [[frame, 3, 800, 55, 40, 100] for frame in range(1, 7)]
    + [[3, 4, 20, 20, 40, 100]],
    dtype=np.float64,
)


def test_who_is_followed_under_which_id():
    persons = follow(TRUTH, ROWS)
    assert persons == {
        7: {1: 1, 2: 1, 3: 0, 4: 0, 5: 2, 6: 2},
        8: dict.fromkeys(range(1, 7), 3),
    }
    assert follow(TRUTH, np.empty((0, 7)))[7] == dict.fromkeys(range(1, 7), 0)


def test_the_plot_is_a_picture(tmp_path):
    pytest.importorskip('matplotlib')
    plot(follow(TRUTH, ROWS), 'name', tmp_path / 'plot.png')
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')
    with pytest.raises(OutputError, match='cannot write'):
        plot(follow(TRUTH, ROWS), 'name', tmp_path / 'missing' / 'plot.png')
