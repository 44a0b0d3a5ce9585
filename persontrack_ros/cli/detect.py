"""``persontrack detect``: store the detections of a video."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

import numpy as np

from persontrack_ros.cli.files import summarise
from persontrack_ros.cli.options import (
    SOURCE,
    add_max_frames_option,
    add_settings_options,
    settings_from,
)
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.terminal import tqdm
from persontrack_ros.core.config.settings import LARGE, LIGHT, NONE, Settings
from persontrack_ros.core.evaluation.recording import TURNS, Recording
from persontrack_ros.core.inference.detectors import Detectors
from persontrack_ros.core.inference.download import with_default_models
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
    add_max_frames_option(parser)
    add_settings_options(parser)
    parser.set_defaults(execute=execute, reads=('source', 'params'), writes={'output': ('.npz',)})


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    with VideoSource(options.source, SourceOptions(max_frames=options.max_frames)) as source:
        settings = with_default_models(settings)
        frames = Partial(source)
        recording = record_frames(frames, source.frame_count, settings)
    recording.save(options.output)
    summarise(options, f'{len(recording.stamps)} frames, {len(recording.detections)} detections')
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
    used: list[str] = []
    mask = make_mask(settings.detector)
    runtime = Runtime(settings.inference)
    camera = make_camera_motion(settings.tracker, runtime.exact)
    detectors = Detectors(settings.detector, runtime)
    turns = settings.detector.turns
    embedder = make_embedder(settings.reid, runtime)
    for frame in tqdm(frames, total=frame_count, unit='frame'):
        numbers.append(frame.number)
        stamps.append(frame.stamp)
        turn = turns[(len(numbers) - 1) % len(turns)]
        nobody = Detections.create([], [], image_size=frame.image.shape[1::-1])
        detections = nobody if turn == NONE else detectors.detect(frame.image, turn)
        used.append(LARGE if turn == LIGHT and not detections.light else turn)
        found.append(mask.apply(detections) if mask else detections)
        vectors.append(embedder.embed(frame.image, found[-1].boxes))
        if camera:
            # Over frames without detection, the motion is that since the last one with it.
            motion = np.eye(2, 3) if turn == NONE else camera.follow(frame.image, found[-1].boxes)
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
    all_turns = None
    if turns != (LARGE,):
        # Damaged images are taken for empty.
        all_turns = np.zeros(len(every), dtype=np.int8)
        all_turns[np.array(numbers) - 1] = [TURNS.index(turn) for turn in used]
    if camera:
        all_motions[np.array(numbers) - 1] = motions
    return Recording(
        np.repeat(numbers, [len(one) for one in found]),
        detections,
        stamps[0] + np.interp(every, numbers, times - times[0]).round().astype(np.int64),
        detectors.large.own_score_threshold,
        all_motions if camera else None,
        same_person(settings.reid.model),
        all_turns,
        light.own_score_threshold if (light := detectors.light) else 0.5,
    )
