"""The tracks of the node on real videos, compared with stored ones."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXPECTED = Path(__file__).parent / 'expected'
# Processors round differently at the default precision.
PRECISION = {'inference.precision': 'f32'}


def test_campus(data, zoo, replay):
    parameters = {'detector.score_threshold': 0.4, 'tracker.n_init': 2, **PRECISION}
    result = replay(data('videos/TUD-Campus.mp4'), parameters=parameters, max_frames=25)
    result.assert_tracks(EXPECTED / 'campus.txt', tolerance=0.5)


def test_vtest(data, zoo, replay):
    result = replay(data('videos/vtest.avi'), parameters=PRECISION, max_frames=40)
    result.assert_tracks(EXPECTED / 'vtest.txt', tolerance=0.5)
    result.assert_scores(data('mot/PETS09-S2L1'), mota=60.0)
