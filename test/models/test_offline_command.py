"""Test what `persontrack run` writes of a whole video, and what it refuses."""

import cv2

from persontrack_ros.core.evaluation.mot import read_mot


def test_offline_writes_tracks_and_video(campus, models, tmp_path, persontrack):
    tracks, video = tmp_path / 'tracks.txt', tmp_path / 'annotated.mp4'
    arguments = ('--max-frames', 15, '--mot-output', tracks, '--output', video)
    done = persontrack('run', campus, *arguments)
    assert done.returncode == 0, done.stderr
    rows = read_mot(tracks)
    assert len(rows)
    assert rows[0, 0] == 1
    capture = cv2.VideoCapture(str(video))
    count = 0
    while capture.read()[0]:
        count += 1
    assert count == 15
