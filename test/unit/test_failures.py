"""Test who is followed under which id, and the pictures of it."""

import numpy as np
import pytest

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.failures import SIDE, contact_sheet, plot
from persontrack_ros.core.evaluation.mot import read_ground_truth
from persontrack_ros.core.evaluation.recording import Recording, track
from persontrack_ros.core.evaluation.scores import Switch, evaluate, follow, switches

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
    assert switches(persons) == [Switch(7, (2, 5), (1, 2))]


def test_nobody_is_followed():
    persons = follow(TRUTH, np.empty((0, 7)))
    assert persons[7] == dict.fromkeys(range(1, 7), 0)
    assert switches(persons) == []


@pytest.mark.parametrize('sequence', ['ETH-Sunnyday', 'KITTI-17', 'TUD-Campus'])
def test_the_switches_are_those_counted(data, sequence):
    directory = data('mot') / sequence
    recording = Recording.load(directory / 'det' / 'det.txt')
    truth = read_ground_truth(directory)
    rows = track(recording, TrackerSettings(algorithm='deep_sort'), 0.5)
    counted = evaluate([(truth, rows)]).id_switches
    assert counted > 0
    assert len(switches(follow(truth, rows))) == counted


def test_the_plot_is_a_picture(tmp_path):
    pytest.importorskip('matplotlib')
    plot(follow(TRUTH, ROWS), 'name', tmp_path / 'plot.png')
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')
    with pytest.raises(OutputError, match='cannot write'):
        plot(follow(TRUTH, ROWS), 'name', tmp_path / 'missing' / 'plot.png')


def test_the_contact_sheet_shows_the_person_before_and_after():
    images = {
        frame: np.full((200, 900, 3), shade, dtype=np.uint8)
        for frame, shade in ((2, 60), (5, 180))
    }
    # The person is at the border: what is beyond is grey.
    sheet = contact_sheet([Switch(7, (2, 5), (1, 2))] * 6, TRUTH, ROWS, images)
    height, width = SIDE + 4, 2 * SIDE + 4
    assert sheet.shape == (2 * height, 4 * width, 3)
    first = sheet[2 : height - 2, 2 : width - 2]
    assert (first[SIDE // 2, SIDE // 2] == 60).all()
    assert (first[SIDE // 2, SIDE + SIDE // 2] == 180).all()
    # The outline of the person: 40 by 100 pixels at one pixel each.
    assert (first[60, SIDE // 2 - 20] == 255).all()
    assert (sheet[height:, 2 * width :] == 255).all()
