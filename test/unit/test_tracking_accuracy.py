"""The tracker keeps identities on recorded detections."""

import dataclasses
import os
from pathlib import Path

import pytest

from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.evaluation.recording import Recording, as_rows, track
from persontrack_ros.core.evaluation.scores import evaluate

DATA = os.environ.get('PERSONTRACK_TEST_DATA')

pytestmark = pytest.mark.skipif(DATA is None, reason='PERSONTRACK_TEST_DATA is not set')

SIZES = {'PETS09-S2L1': (768, 576), 'TUD-Campus': (640, 480)}


def recording_of(sequence, rate=None):
    path = Path(DATA) / 'reference' / 'deep_sort' / f'{sequence}.detections.npz'
    recording = Recording.load(path, rate)
    detections = dataclasses.replace(recording.detections, image_size=SIZES[sequence])
    return dataclasses.replace(recording, detections=detections)


def scores_of(sequence, rows, every=1):
    truth = GroundTruth.load(Path(DATA) / 'mot' / sequence).rows
    return evaluate([(truth[(truth[:, 0] - 1) % every == 0], rows)])


@pytest.mark.parametrize(
    ('sequence', 'rate', 'every', 'floor'),
    [
        # The video file says 10 frames per second, the sequence's description 7.
        ('PETS09-S2L1', 7, 1, (65, 90, 80)),
        ('PETS09-S2L1', 10, 1, (65, 90, 80)),
        ('PETS09-S2L1', 7, 2, (62, 86, 76)),
        ('PETS09-S2L1', 10, 2, (62, 86, 76)),
        ('TUD-Campus', 25, 1, (64, 88, 80)),
    ],
)
def test_identities_persist(sequence, rate, every, floor):
    rows = as_rows(track(recording_of(sequence, rate), TrackerSettings(), 0.5, every))
    scores = scores_of(sequence, rows, every)
    assert (scores.hota, scores.idf1, scores.mota) >= floor
    assert scores.idf1 >= floor[1]
    assert scores.mota >= floor[2]


# HOTA and IDF1 of SORT (maximum age 1, 3 hits, IoU 0.3) on the public detections.
SORT = {
    'ADL-Rundle-6': (34.3, 43.4),
    'ETH-Bahnhof': (45.8, 60.9),
    'ETH-Sunnyday': (54.5, 72.4),
    'KITTI-17': (45.4, 71.1),
    'PETS09-S2L1': (30.6, 35.1),
    'TUD-Campus': (45.3, 60.6),
}


@pytest.mark.parametrize('sequence', SORT)
def test_public_detections_without_looks(sequence):
    detections = Path(DATA) / 'mot' / sequence / 'det' / 'det.txt'
    scores = scores_of(
        sequence, as_rows(track(Recording.load(detections), TrackerSettings(), 0.5))
    )
    assert scores.hota > SORT[sequence][0]
    assert scores.idf1 > SORT[sequence][1]
