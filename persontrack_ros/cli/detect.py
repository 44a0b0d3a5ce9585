"""``persontrack detect``: store the detections of a video."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

import numpy as np

from persontrack_ros.cli.options import SOURCE, add_settings_options, count, settings_from
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.progress import tqdm
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.evaluation.recording import Recording
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.embedder import make_embedder
from persontrack_ros.core.inference.ignore import make_mask
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.inference.similarity import same_person
from persontrack_ros.core.media.source import Frame, Partial, SourceOptions, VideoSource
from persontrack_ros.core.tracking.camera_motion import make_camera_motion


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'detect',
        help='store the detections of a video, to track from them',
        description='Store all detections above detector.score_threshold and their embeddings in '
        'a file, so that `persontrack track` and `evaluate` take seconds.',
    )
    parser.add_argument('source', help=SOURCE)
    parser.add_argument('output', type=Path, metavar='FILE', help='file to write (.npz)')
    parser.add_argument(
        '--max-frames', type=count, default=0, metavar='N', help='end after N images (0: never)'
    )
    add_settings_options(parser)
    parser.set_defaults(execute=execute, reads=('source', 'params'), writes={'output': ('.npz',)})


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    with VideoSource(options.source, SourceOptions(max_frames=options.max_frames)) as source:
        frames = Partial(source)
        recording = record_frames(frames, source.frame_count, settings)
    recording.save(options.output)
    print(f'{len(recording.stamps)} frames, {len(recording.detections)} detections')
    frames.check()
    return 0


def record_frames(
    frames: Iterable[Frame], frame_count: Optional[int], settings: Settings
) -> Recording:
    """
    Detect and embed the persons in images.

    :param frame_count: number of frames, if known.
    """
    numbers: list[int] = []
    stamps: list[int] = []
    found: list[Detections] = []
    vectors = []
    motions = []
    mask = make_mask(settings.detector)
    runtime = Runtime(settings.inference)
    camera = make_camera_motion(settings.tracker, runtime.exact)
    detector = Detector(settings.detector, runtime)
    embedder = make_embedder(settings.reid, runtime)
    for frame in tqdm(frames, total=frame_count, unit='frame'):
        numbers.append(frame.number)
        stamps.append(frame.stamp)
        detections = detector.detect(frame.image)
        found.append(mask.apply(detections) if mask else detections)
        vectors.append(embedder.embed(frame.image, found[-1].boxes))
        if camera:
            motion = camera.follow(frame.image, found[-1].boxes)
            motions.append(np.full((2, 3), np.nan) if motion is None else motion)
    detections = Detections(
        np.concatenate([one.boxes for one in found]),
        np.concatenate([one.scores for one in found]),
        np.concatenate(vectors),
        found[0].image_size,
    )
    # Damaged images have no detections, and no known camera motion.
    every = np.arange(1, numbers[-1] + 1)
    times = np.array(stamps, dtype=np.int64)
    all_motions = np.full((len(every), 2, 3), np.nan)
    if camera:
        all_motions[np.array(numbers) - 1] = motions
    return Recording(
        np.repeat(numbers, [len(one) for one in found]),
        detections,
        stamps[0] + np.interp(every, numbers, times - times[0]).round().astype(np.int64),
        detector.own_score_threshold,
        all_motions if camera else None,
        same_person(settings.reid.model),
    )
