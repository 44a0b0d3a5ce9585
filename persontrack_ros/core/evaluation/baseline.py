"""
Trackers to compare with: those of the package trackers, with its defaults.

SORT: Bewley et al., ICIP 2016. ByteTrack: Zhang et al., ECCV 2022. OC-SORT: Cao et al., CVPR 2023.
BoT-SORT: Aharon et al., 2022, here without camera motion, as there are no images. C-BIoU: Yang et
al., WACV 2023. None of them uses embeddings.
"""

from __future__ import annotations

import numpy as np

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.evaluation.recording import Recording

# Frames at 30 per second for which a lost track is kept: the default, and twice that.
BUFFERS = (30, 60)

# Name of each in the package trackers, and settings that differ from its defaults.
_TRACKERS: dict[str, tuple[str, dict[str, bool]]] = {
    'SORT': ('SORTTracker', {}),
    'ByteTrack': ('ByteTrackTracker', {}),
    'OC-SORT': ('OCSORTTracker', {}),
    'BoT-SORT': ('BoTSORTTracker', {'enable_cmc': False}),
    'C-BIoU': ('CBIoUTracker', {}),
}
BASELINES = tuple(_TRACKERS)


def track_with_baseline(
    name: str, recording: Recording, score_threshold: float, every: int = 1, buffer: int = 30
) -> FloatArray:
    """
    Track the persons in a recording with another tracker.

    :param name: one of `BASELINES`.
    :param score_threshold: ignore detections below it; 0 uses the threshold of the detector.
    :param every: use every n-th frame only.
    :param buffer: number of frames at 30 per second for which a lost track is kept.
    :returns: a row ``[frame, id, left, top, width, height, score]`` for each visible track in each
        frame, shape ``(N, 7)``.
    :raises OutputError: if the package trackers is not installed, or too old.
    """
    kind, options = _TRACKERS[name]
    try:
        import supervision
        import trackers

        make = getattr(trackers, kind)
    except (ImportError, AttributeError) as error:
        raise OutputError(
            'baselines need the package trackers: pip install "trackers>=2.6,<3"'
        ) from error
    seconds = float(np.diff(recording.stamps).mean()) / SECOND if len(recording.stamps) > 1 else 1
    tracker = make(lost_track_buffer=buffer, frame_rate=1 / (seconds * every), **options)
    rows = [np.empty((0, 7))]
    for number, _, detections in recording.replay(score_threshold, every):
        if detections is None:
            continue
        boxes = detections.boxes
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        found = supervision.Detections(corners, confidence=detections.scores)
        tracked = tracker.update(found)
        # Tracks that are tentative have the id -1.
        tracked = tracked[tracked.tracker_id >= 0]
        numbers = np.full(len(tracked), number)
        sizes = tracked.xyxy[:, 2:] - tracked.xyxy[:, :2]
        columns = (numbers, tracked.tracker_id + 1, tracked.xyxy[:, :2], sizes, tracked.confidence)
        rows.append(np.column_stack(columns))
    return np.concatenate(rows)
