"""``persontrack run``: track the persons in a video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from persontrack_ros.cli.files import outputs_of, summarise
from persontrack_ros.cli.options import (
    SOURCE,
    add_max_frames_option,
    add_settings_options,
    count,
)
from persontrack_ros.cli.outputs import WRITES, Outputs, add_output_options, settings_of
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.terminal import Interrupt, tqdm
from persontrack_ros.core.inference.download import with_default_models
from persontrack_ros.core.media.source import (
    Partial,
    SourceOptions,
    VideoSource,
    first_image,
    with_frames,
)
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.tracking.offline import OfflineTracker
from persontrack_ros.core.tracking.track import Track


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'run',
        help='track the persons in a video, a folder of images or a camera',
        description='Track the persons in a video, a folder of images or a camera. Every image '
        'is processed; the same input gives the same tracks. The whole video is used for each '
        'image, except with --online or --show and for cameras and streams. Ctrl-C, SIGTERM and '
        'SIGHUP end it, with the files complete up to there; so does the end of a video that was '
        'cut off, with exit code 2. A stream or camera that breaks is opened again.',
    )
    parser.add_argument('source', help=SOURCE)
    parser.add_argument(
        '--output',
        dest='video',
        type=Path,
        metavar='VIDEO',
        help='annotated video (.mp4) to write',
    )
    add_output_options(parser)
    parser.add_argument(
        '--show', action='store_true', help='show a window; Esc or q in it ends the run'
    )
    parser.add_argument(
        '--online', action='store_true', help='use only the images so far, as a robot does'
    )
    parser.add_argument('--flip', action='store_true', help='mirror the images left to right')
    parser.add_argument(
        '--skip-frames', type=count, default=0, metavar='N', help='leave out the first N images'
    )
    add_max_frames_option(parser)
    add_settings_options(parser)
    parser.set_defaults(execute=execute, reads=('source', 'params', 'zones'), writes=WRITES)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_of(options)
    source_options = SourceOptions(
        flip=options.flip, skip_frames=options.skip_frames, max_frames=options.max_frames
    )
    interrupt = Interrupt()
    with ExitStack() as stack:
        source = stack.enter_context(
            VideoSource(options.source, source_options, lambda: interrupt.requested)
        )
        online = options.online or options.show or source.is_live
        offline = None if online else OfflineTracker(settings.tracker)
        size = None
        if options.zones and not source.is_live:
            size = first_image(options.source, source_options).shape[1::-1]
        # Open all files before the models load, which takes time.
        outputs = Outputs(
            stack, options, settings, Path(source.name).name, source.rate, size, offline=not online
        )
        # A source with an end can be read ahead; a live one cannot.
        ahead = not (source.is_live or options.show or settings.inference.hint == 'latency')
        pipeline = Pipeline(with_default_models(settings), pipelined=ahead)
        if offline:
            pipeline.tracker = offline
        progress = stack.enter_context(tqdm(total=source.frame_count, unit='frame'))
        frames = Partial(
            pipeline.process_all(source)
            if ahead
            else ((frame, pipeline.process(frame.image, frame.stamp)) for frame in source)
        )
        stamps: dict[int, int] = {}
        # From here on, a signal ends the run between two frames, with all files at the same frame.
        with interrupt:
            for frame, result in frames:
                stamps[frame.number] = frame.stamp
                progress.update()
                if online and not outputs.add(
                    *(frame.number, frame.stamp, result.tracks, frame.image, pipeline.mean_time),
                    *(pipeline.mask, result.detections.ignored),
                ):
                    break
            if interrupt.requested:
                progress.write('stopped')
            if offline:
                progress.close()
                revised = zip(stamps, offline.finish())
                if outputs.needs_images:
                    _add_again(
                        *(options.source, source_options, revised, len(stamps), outputs, pipeline)
                    )
                else:
                    for number, tracks in revised:
                        outputs.add(number, stamps[number], tracks)
        stack.close()
    milliseconds = 1e3 * pipeline.mean_time
    summarise(
        options, f'{len(stamps)} frames, {len(outputs.ids)} ids, {milliseconds:.1f} ms per frame'
    )
    if not (options.quiet or options.show or outputs_of(options)):
        print(
            'nothing was written: --output VIDEO.mp4, --mot-output TRACKS.txt, --table TABLE.csv '
            'and --report PAGE.html write the results, --show shows them',
            file=sys.stderr,
        )
    frames.check()
    return 0


def _add_again(
    source: str,
    source_options: SourceOptions,
    revised: Iterable[tuple[int, list[Track]]],
    count: int,
    outputs: Outputs,
    pipeline: Pipeline,
) -> None:
    """
    Read the source a second time, and write the final tracks of each image, by its number.

    :raises SourceError: if it has fewer images than before.
    """
    # The signal that ended the tracking does not end the drawing; another one does.
    interrupt = Interrupt()
    written = 0
    with interrupt, VideoSource(source, source_options, lambda: interrupt.requested) as again:
        # Damage was reported at the first reading.
        frames = tqdm(Partial(again), 'writing', count, unit='frame')
        for frame, tracks in with_frames(frames, revised):
            outputs.add(frame.number, frame.stamp, tracks, frame.image, mask=pipeline.mask)
            written += 1
            if written == count:
                return
    if not interrupt.requested:
        raise SourceError(f'{source} changed while it was read: {written} of {count} images')
