"""``persontrack run``: track the persons in a video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

from persontrack_ros.cli.defaults import with_default_models
from persontrack_ros.cli.files import outputs_of
from persontrack_ros.cli.options import (
    PAGE,
    SOURCE,
    TRACKS,
    VIDEOS,
    add_offline_option,
    add_report_option,
    add_settings_options,
    count,
    settings_from,
)
from persontrack_ros.cli.progress import tqdm
from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.interrupt import Interrupt
from persontrack_ros.core.base.output import STANDARD_OUTPUT
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.drawing import Trails, draw
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.media.partial import Partial
from persontrack_ros.core.media.source import Frame, SourceOptions, VideoSource, is_camera
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
        '--output', type=Path, metavar='VIDEO', help='write the annotated video (.mp4 or .avi)'
    )
    parser.add_argument(
        '--mot-output',
        type=Path,
        metavar='FILE',
        help='write the tracks in MOTChallenge format (.txt or .csv); - is standard output',
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
        writes={'output': VIDEOS, 'mot_output': TRACKS, 'report': PAGE},
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
    interrupt = Interrupt()
    with ExitStack() as stack:
        source = stack.enter_context(
            VideoSource(options.source, source_options, lambda: interrupt.requested)
        )
        if offline and source.is_live:
            raise SettingsError('--offline needs a source that ends')
        # Open all files before the models load, which takes time.
        outputs = _Outputs(stack, options, source, settings)
        # A source with an end can be read ahead; a live one cannot.
        ahead = not (source.is_live or options.show or settings.inference.hint == 'latency')
        pipeline = Pipeline(with_default_models(settings), pipelined=ahead)
        if offline:
            pipeline.tracker = offline
        outputs.mask = pipeline.mask
        progress = stack.enter_context(tqdm(total=source.frame_count, unit='frame'))
        frames = Partial(
            pipeline.process_all(source)
            if ahead
            else ((frame, pipeline.process(frame.image, frame.stamp)) for frame in source)
        )
        # From here on, a signal ends the run between two frames, with all files at the same frame.
        with interrupt:
            for frame, result in frames:
                processed += 1
                progress.update()
                if offline:
                    numbers.append(frame.number)
                    continue
                outputs.write(frame.number, result.tracks)
                ignored = result.detections.ignored
                if not outputs.show(frame, result.tracks, pipeline.mean_time, ignored):
                    break
            if interrupt.requested:
                progress.write('stopped')
            if offline:
                images = dict(zip(numbers, offline.finish()))
                for number, tracks in images.items():
                    outputs.write(number, tracks)
                if outputs.need_images:
                    _show_again(options.source, source_options, images, outputs)
            stack.close()
    if not options.quiet:
        print(
            f'{processed} frames, {len(outputs.ids)} ids, '
            f'{1e3 * pipeline.mean_time:.1f} ms per frame',
            file=sys.stderr if options.mot_output == STANDARD_OUTPUT else sys.stdout,
        )
    if not (options.quiet or options.show or outputs_of(options)):
        print(
            'nothing was written: --output VIDEO.mp4, --mot-output TRACKS.txt and --report '
            'PAGE.html write the results, --show shows them',
            file=sys.stderr,
        )
    frames.check()
    return 0


class _Outputs:
    """
    Writes and shows the tracks of each frame.

    :ivar ids: all ids that were written.
    :ivar mask: areas in which detections are ignored.
    """

    def __init__(
        self,
        stack: ExitStack,
        options: argparse.Namespace,
        source: VideoSource,
        settings: Settings,
    ) -> None:
        self.ids: set[int] = set()
        self.mask: Optional[IgnoreMask] = None
        self._video = options.output and stack.enter_context(
            VideoWriter(options.output, source.rate)
        )
        self._mot = options.mot_output and stack.enter_context(MotWriter(options.mot_output))
        self._report = options.report and stack.enter_context(
            ReportWriter(options.report, Path(source.name).name, settings.values())
        )
        self._window = stack.enter_context(Window('persontrack')) if options.show else None
        self.need_images = bool(self._video or self._report or self._window)
        self._drawing = settings.drawing
        self._trails = Trails()

    def write(self, number: int, tracks: list[Track]) -> None:
        """Write the tracks of a frame."""
        self.ids.update(track.id for track in tracks)
        if self._mot:
            self._mot.write(number, ((t.id, t.box, t.score) for t in tracks))

    def show(
        self,
        frame: Frame,
        tracks: list[Track],
        mean_time: float = 0.0,
        ignored: Optional[FloatArray] = None,
    ) -> bool:
        """Report and draw the tracks of a frame; return False if the window was closed."""
        if self._report:
            self._report.add(frame.stamp, tracks, frame.image)
        if not (self._video or self._window):
            return True
        drawing = self._drawing
        trails = self._trails.update(tracks, frame.stamp, drawing.trails, frame.image)
        image = draw(frame.image, tracks, mean_time, drawing, self.mask, ignored, trails=trails)
        if self._video:
            self._video.write(image, frame.stamp)
        return self._window is None or self._window.show(image)


def _show_again(
    source: str, options: SourceOptions, images: Mapping[int, list[Track]], outputs: _Outputs
) -> None:
    """
    Read the source a second time and show the tracks of each image, by its number.

    :raises SourceError: if it has fewer images than before.
    """
    shown = 0
    # The signal that ended the tracking does not end this; another one does.
    interrupt = Interrupt()
    with interrupt, VideoSource(source, options, lambda: interrupt.requested) as again:
        # Damage was reported at the first reading; which images are damaged may be others now.
        for frame in Partial(again):
            if frame.number in images:
                shown += 1
                if not outputs.show(frame, images[frame.number]):
                    return
    if shown < len(images) and not interrupt.requested:
        raise SourceError(f'{source} changed while it was read: {shown} of {len(images)} images')
