#!/usr/bin/env python3
"""
Make the pictures of README.md and docs/ from the sample video.

    scripts/env tools/pictures.py

docs/tracked.jpg is an annotated image as it is drawn by default, without the processing time.
docs/report.jpg is the page that `persontrack run vtest.avi --report` writes, in chromium.
docs/tuning.jpg shows thresholds, predicted boxes and ignored areas for docs/tuning.md.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

from persontrack_ros.cli.sample_video import sample_video
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.drawing import draw
from persontrack_ros.core.media.source import SourceOptions, VideoSource
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.report.page import write_report

DOCS = Path(__file__).parents[1] / 'docs'
# The image that is shown.
FRAME = 720
# Size of the window, and of what is shown of the page.
WINDOW = (1000, 1400)
SHOWN = 900
# For docs/tuning.jpg: parameters, an image that shows what they do, and the part that is shown.
TUNING = (
    ({'detector.score_threshold': 0.1, 'tracker.n_init': 1}, 180),
    ({'detector.score_threshold': 0.97}, 180),
    ({}, 165),
    ({'detector.ignore': 'ignore.yaml'}, 180),
)
PART = (slice(60, 330), slice(168, 768))
IGNORED = 'road: [[0.72, 0.1], [1.0, 0.1], [1.0, 0.37], [0.72, 0.37]]'


def main() -> None:
    """Make all."""
    video = sample_video()
    tuning(str(video))
    settings = Settings()
    pipeline = Pipeline(settings, pipelined=True)
    with tempfile.TemporaryDirectory() as folder, VideoSource(str(video)) as source:
        page, shot = Path(folder, 'report.html'), Path(folder, 'report.png')
        with write_report(page, video.name, settings.values()) as report:
            for frame, result in pipeline.process_all(source):
                report.add(frame.stamp, result.tracks, frame.image)
                if frame.number == FRAME:
                    picture = draw(frame.image, result.tracks, 0.0)
        cv2.imwrite(str(DOCS / 'tracked.jpg'), picture)
        size = f'--window-size={WINDOW[0]},{WINDOW[1]}'
        command = ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars']
        command += [f'--user-data-dir={folder}/profile', size, f'--screenshot={shot}']
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True)
        cv2.imwrite(str(DOCS / 'report.jpg'), cv2.imread(str(shot))[:SHOWN])


def tuning(video: str) -> None:
    """Show what some parameters do."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'ignore.yaml').write_text(IGNORED)
        for values, number in TUNING:
            if 'detector.ignore' in values:
                values = {'detector.ignore': str(Path(folder, values['detector.ignore']))}
            pipeline = Pipeline(Settings.from_values(values))
            with VideoSource(video, SourceOptions(max_frames=number)) as source:
                for frame, result in pipeline.process_all(source):
                    pass
            mask, ignored = pipeline.mask, result.detections.ignored
            picture = draw(frame.image, result.tracks, 0.0, mask=mask, ignored=ignored)
            parts.append(picture[PART])
    rows = np.hstack(parts[:2]), np.hstack(parts[2:])
    cv2.imwrite(str(DOCS / 'tuning.jpg'), np.vstack(rows))


if __name__ == '__main__':
    main()
