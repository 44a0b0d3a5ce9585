#!/usr/bin/env python3
"""
Track stored detections with another tracker, one of the package trackers, with its defaults.

    scripts/env examples/other_trackers.py ByteTrack pets.npz bytetrack.txt
    scripts/env persontrack evaluate --ground-truth mot/PETS09-S2L1 --results bytetrack.txt

SORT: Bewley et al., ICIP 2016. ByteTrack: Zhang et al., ECCV 2022. OC-SORT: Cao et al., CVPR 2023.
BoT-SORT: Aharon et al., 2022, here without camera motion, as there are no images. C-BIoU: Yang et
al., WACV 2023. None of them uses embeddings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import supervision
import trackers

from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.evaluation.recording import Recording

# Name of each in the package trackers, and settings that differ from its defaults.
TRACKERS = {
    'sort': ('SORTTracker', {}),
    'bytetrack': ('ByteTrackTracker', {}),
    'oc-sort': ('OCSORTTracker', {}),
    'bot-sort': ('BoTSORTTracker', {'enable_cmc': False}),
    'c-biou': ('CBIoUTracker', {}),
}


def main() -> None:
    """Track, and write the tracks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'name', type=str.lower, choices=TRACKERS, metavar='TRACKER', help=', '.join(TRACKERS)
    )
    parser.add_argument('detections', type=Path, metavar='DETECTIONS', help='.npz, or det.txt')
    parser.add_argument('output', type=Path, metavar='FILE', help='MOTChallenge file to write')
    parser.add_argument('--every', type=int, default=1, metavar='N', help='every N-th frame only')
    parser.add_argument(
        '--buffer',
        type=int,
        default=30,
        metavar='N',
        help='frames at 30 per second for which a lost track is kept (default: 30)',
    )
    options = parser.parse_args()
    recording = Recording.load(options.detections)
    kind, settings = TRACKERS[options.name]
    seconds = options.every * float(np.diff(recording.stamps).mean()) / SECOND
    make = getattr(trackers, kind)
    tracker = make(lost_track_buffer=options.buffer, frame_rate=1 / seconds, **settings)
    with MotWriter(options.output) as file:
        for number, _, detections in recording.replay(0.0, options.every):
            if detections is None:
                continue
            left_top, sizes = np.hsplit(detections.boxes, 2)
            corners = np.hstack([left_top, left_top + sizes])
            found = supervision.Detections(corners, confidence=detections.scores)
            tracked = tracker.update(found)
            boxes = np.hstack([tracked.xyxy[:, :2], tracked.xyxy[:, 2:] - tracked.xyxy[:, :2]])
            rows = zip(tracked.tracker_id.tolist(), boxes, tracked.confidence.tolist())
            # Tracks that are tentative have the id -1.
            file.add(number, ((id_ + 1, box, score) for id_, box, score in rows if id_ >= 0))


main()
