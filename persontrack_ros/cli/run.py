"""``persontrack run``: track the persons in a video."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

from tqdm import tqdm

from persontrack_ros.cli.defaults import with_default_models
from persontrack_ros.cli.options import (
    SOURCE,
    add_offline_option,
    add_report_option,
    add_settings_options,
    count,
    settings_from,
)
from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.interrupt import Interrupt
from persontrack_ros.core.config.settings import DrawingSettings
from persontrack_ros.core.drawing import Trails, draw
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.media.source import Partial, SourceOptions, VideoSource, is_camera
from persontrack_ros.core.media.window import Window
from persontrack_ros.core.media.writer import VideoWriter
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.report.writer import ReportWriter
from persontrack_ros.core.tracking.offline import make_offline_tracker
from persontrack_ros.core.tracking.track import Track


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'run',
        help='track the persons in a video, a folder of images or a camera',
        description='Track the persons in a video, a folder of images or a camera. Every image '
        'is processed; the same input gives the same tracks. Ctrl-C, SIGTERM and SIGHUP end it, '
        'with the files complete up to there; so does the end of a video that was cut off, with '
        'exit code 2. A stream or camera that breaks is opened again.',
    )
    parser.add_argument('source', help=SOURCE)
    parser.add_argument(
        '--output',
        type=Path,
        metavar='VIDEO',
        help='write the annotated video (.mp4, .mov or .mkv)',
    )
    parser.add_argument(
        '--mot-output', type=Path, metavar='FILE', help='write the tracks in MOTChallenge format'
    )
    add_report_option(parser)
    parser.add_argument(
        '--show', action='store_true', help='show a window; Esc or q in it ends the run'
    )
    parser.add_argument('--flip', action='store_true', help='mirror the images left to right')
    parser.add_argument(
        '--skip-frames', type=count, default=0, metavar='N', help='leave out the first N images'
    )
    parser.add_argument(
        '--max-frames', type=count, default=0, metavar='N', help='end after N images (0: never)'
    )
    add_offline_option(parser)
    add_settings_options(parser)
    parser.set_defaults(
        execute=execute,
        reads=('source', 'params'),
        writes=('output', 'mot_output', 'report'),
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    source_options = SourceOptions(
        flip=options.flip, skip_frames=options.skip_frames, max_frames=options.max_frames
    )
    if options.offline and is_camera(options.source):
        raise SettingsError('--offline needs a video file or a folder of images, not a camera')
    offline = make_offline_tracker(settings) if options.offline else None
    processed = 0
    numbers: list[int] = []
    ids: set[int] = set()
    interrupt = Interrupt()
    trails = Trails()
    with ExitStack() as stack:
        source = stack.enter_context(
            VideoSource(options.source, source_options, lambda: interrupt.requested)
        )
        if options.offline and source.is_live:
            raise SettingsError('--offline needs a source that ends')
        # Open all files before the models load, which takes time.
        video = options.output and stack.enter_context(VideoWriter(options.output, source.rate))
        mot = options.mot_output and stack.enter_context(MotWriter(options.mot_output))
        report = options.report and stack.enter_context(
            ReportWriter(options.report, Path(source.name).name, settings.values())
        )
        window = stack.enter_context(Window('persontrack')) if options.show else None
        # A source with an end can be read ahead; a live one cannot.
        ahead = not (source.is_live or window or settings.inference.hint == 'latency')
        pipeline = Pipeline(with_default_models(settings), pipelined=ahead)
        if offline:
            pipeline.tracker = offline
        progress = stack.enter_context(
            tqdm(total=source.frame_count, unit='frame', mininterval=0.5)
        )
        frames = Partial(
            pipeline.process_all(source)
            if ahead
            else ((frame, pipeline.process(frame.image, frame.stamp)) for frame in source)
        )
        # From here on, a signal ends the run between two frames, with all files at the same frame.
        with interrupt:
            for frame, result in frames:
                tracks = result.tracks
                processed += 1
                progress.update()
                if offline:
                    numbers.append(frame.number)
                else:
                    if mot:
                        mot.write(frame.number, ((t.id, t.box, t.score) for t in tracks))
                    if report:
                        report.add(frame.stamp, tracks, frame.image)
                    ids.update(track.id for track in tracks)
                    if video or window:
                        annotated = draw(
                            frame.image,
                            tracks,
                            pipeline.mean_time,
                            settings.drawing,
                            pipeline.mask,
                            result.detections.ignored,
                            trails=trails.update(
                                tracks, frame.stamp, settings.drawing.trails, frame.image
                            ),
                        )
                        if video:
                            video.write(annotated, frame.stamp)
                        if window and not window.show(annotated):
                            break
            if interrupt.requested:
                progress.write('stopped')
            if offline:
                images = dict(zip(numbers, offline.finish()))
                ids.update(track.id for tracks in images.values() for track in tracks)
                for number, tracks in images.items():
                    if mot:
                        mot.write(number, ((t.id, t.box, t.score) for t in tracks))
                if video or window or report:
                    _draw_again(
                        options.source,
                        source_options,
                        images,
                        settings.drawing,
                        pipeline.mask,
                        video,
                        report,
                        window,
                    )
            stack.close()
    print(f'{processed} frames, {len(ids)} ids, {1e3 * pipeline.mean_time:.1f} ms per frame')
    frames.check()
    return 0


def _draw_again(
    source: str,
    source_options: SourceOptions,
    images: Mapping[int, list[Track]],
    drawing: DrawingSettings,
    mask: Optional[IgnoreMask],
    video: Optional[VideoWriter],
    report: Optional[ReportWriter],
    window: Optional[Window],
) -> None:
    """
    Read the source a second time and show the tracks of each image, by its number.

    :raises SourceError: if it has fewer images than before.
    """
    drawn = 0
    trails = Trails()
    # The signal that ended the tracking does not end the drawing; another one does.
    interrupt = Interrupt()
    with interrupt, VideoSource(source, source_options, lambda: interrupt.requested) as again:
        # Damage was reported at the first reading.
        for frame in Partial(again):
            # Which images are damaged may be others than before.
            if (tracks := images.get(frame.number)) is None:
                continue
            if report:
                report.add(frame.stamp, tracks, frame.image)
            drawn += 1
            if not (video or window):
                continue
            seen = trails.update(tracks, frame.stamp, drawing.trails, frame.image)
            annotated = draw(frame.image, tracks, 0.0, drawing, mask, trails=seen)
            if video:
                video.write(annotated, frame.stamp)
            if window and not window.show(annotated):
                return
    if drawn < len(images) and not interrupt.requested:
        raise SourceError(f'{source} changed while it was read: {drawn} of {len(images)} images')
