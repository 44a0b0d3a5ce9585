"""What the commands write of each frame: video, window, tracks, tables, events and page."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

from persontrack_ros.cli.options import PAGE, TRACKS, settings_from
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import FloatArray, as_boxes
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import NONE, Settings
from persontrack_ros.core.drawing import BLURRED, Trails, blur, draw
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.media.window import Window
from persontrack_ros.core.media.writer import VIDEO_SUFFIXES, VideoWriter
from persontrack_ros.core.report.events import Event, ZoneCounter, draw_zones
from persontrack_ros.core.report.observations import Observations
from persontrack_ros.core.report.page import write_report
from persontrack_ros.core.report.table import (
    EVENT_COLUMNS,
    TABLE_SUFFIXES,
    TRACK_COLUMNS,
    TableWriter,
    event_rows,
    track_rows,
)
from persontrack_ros.core.report.zones import Zones
from persontrack_ros.core.tracking.track import Track

# Seconds for which a page remembers persons.
REMEMBERED = 3600.0

# Suffixes of the outputs, by option.
WRITES = {
    'video': VIDEO_SUFFIXES,
    'mot_output': TRACKS,
    'table': TABLE_SUFFIXES,
    'events': TABLE_SUFFIXES,
    'report': PAGE,
}


def add_output_options(parser: argparse.ArgumentParser, images: bool = True) -> None:
    """
    Add the options for the files that a command writes.

    :param images: whether the command has images; without any, tracks are its main output.
    """
    if images:
        parser.add_argument(
            '--mot-output',
            type=Path,
            metavar='FILE',
            help='write tracks in MOTChallenge format (.txt or .csv); for this and for tables, - '
            'is standard output',
        )
    parser.add_argument(
        '--report',
        type=Path,
        metavar='PAGE',
        help='write a page for a browser (.html) that shows who was there, and when, their paths, '
        'and the counts of lines and zones',
    )
    parser.add_argument(
        '--table',
        type=Path,
        metavar='FILE',
        help='write a row per person and frame (.csv, .jsonl or .parquet)',
    )
    parser.add_argument(
        '--zones', type=Path, metavar='FILE', help='lines and zones (.yaml), see docs/zones.md'
    )
    parser.add_argument(
        '--events',
        type=Path,
        metavar='FILE',
        help='write who crosses the lines, enters and leaves the zones (.csv, .jsonl, .parquet)',
    )
    parser.add_argument('--ids', type=ids, metavar='ID,ID', help='only these persons')
    parser.add_argument('--zone', metavar='NAME', help='only persons while they are in this zone')
    if images:
        parser.add_argument(
            '--no-pictures', action='store_true', help='leave all pictures out of the page'
        )
        parser.add_argument(
            '--blur',
            choices=BLURRED,
            help='blur heads or whole persons in video and page (who is not detected stays)',
        )


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings; for a page, those who return within an hour count once."""
    settings = settings_from(options)
    if options.report and not settings.tracker.remember and settings.reid.model != NONE:
        return Settings.from_values({'tracker.remember': REMEMBERED}, base=settings)
    return settings


def ids(text: str) -> list[int]:
    """Convert an option that is a list of ids, for argparse."""
    return [int(each) for each in text.split(',')]


class Outputs:
    """
    Writes the files that the options ask for.

    :ivar ids: of all persons so far.
    """

    def __init__(
        self,
        stack: ExitStack,
        options: argparse.Namespace,
        settings: Settings,
        name: str,
        rate: float = 0.0,
        size: Optional[tuple[int, int]] = None,
        note: str = '',
        offline: bool = False,
    ) -> None:
        """
        Open the files.

        :param stack: closes them.
        :param options: with the options of :func:`add_output_options`.
        :param name: name of the source.
        :param rate: its frames per second, for a video.
        :param size: width and height of its images, where they are known.
        :param note: for the head of the page.
        :param offline: the tracks are final: predicted boxes are as good as measured ones.
        :raises OutputError: if a file cannot be written.
        :raises SettingsError: if options need `--zones`, or it does not fit the images.
        """
        self.ids: set[int] = set()
        self._drawing = settings.drawing
        self._trails = Trails()
        self._offline = offline
        self._only, self._zone = options.ids, options.zone
        self._blur = getattr(options, 'blur', None)
        self._counter = ZoneCounter(Zones.load(options.zones)) if options.zones else None
        if not self._counter and (options.events or options.zone):
            raise SettingsError('--events and --zone need --zones')
        if self._counter and options.zone and options.zone not in self._counter.zones.zones:
            raise SettingsError(f'--zone: {options.zones} has no zone {options.zone}')

        def opened(writer: Callable[..., Any], name: str, *arguments: object) -> Any:
            path = getattr(options, name, None)
            return path and stack.enter_context(writer(path, *arguments))

        self._video: Optional[VideoWriter] = opened(VideoWriter, 'video', rate)
        self._mot: Optional[MotWriter] = opened(MotWriter, 'mot_output')
        self._table: Optional[TableWriter] = opened(TableWriter, 'table', TRACK_COLUMNS)
        self._events: Optional[TableWriter] = opened(TableWriter, 'events', EVENT_COLUMNS)
        pictures = not getattr(options, 'no_pictures', False)
        self._report: Optional[Observations] = opened(
            write_report, 'report', name, settings.values(), size, note, pictures
        )
        show = getattr(options, 'show', False)
        self._window = stack.enter_context(Window('persontrack')) if show else None
        if size:
            self._count_in(size)

    @property
    def needs_images(self) -> bool:
        """Whether images are shown or written."""
        return bool(self._video or self._window or self._report)

    def add(
        self,
        number: int,
        stamp: int,
        tracks: list[Track],
        image: Optional[BgrImage] = None,
        mean_time: float = 0.0,
        mask: Optional[IgnoreMask] = None,
        ignored: Optional[FloatArray] = None,
    ) -> bool:
        """
        Write the next frame.

        :param number: of the frame, from 1.
        :param stamp: time of the frame in nanoseconds.
        :param image: uint8 BGR; None without images.
        :param mean_time: for the speed in the picture, in seconds; 0: none.
        :param mask: of ignored areas, which are drawn.
        :param ignored: boxes of ignored detections.
        :returns: False if the window was closed.
        """
        if image is not None and self._blur:
            image = blur(image, as_boxes([track.box for track in tracks]), self._blur)
        if self._only:
            tracks = [track for track in tracks if track.id in self._only]
        events: list[Event] = []
        if image is not None:
            self._count_in(image.shape[1::-1])
        if self._counter:
            events = self._counter.follow(stamp, tracks, not self._offline)
            if self._zone:
                inside = self._counter.inside(self._zone)
                tracks = [track for track in tracks if track.id in inside]
        self.ids.update(track.id for track in tracks)
        if self._mot:
            self._mot.add(number, ((track.id, track.box, track.score) for track in tracks))
        if self._table:
            self._table.add(track_rows(stamp, number, tracks))
        if self._events:
            self._events.add(event_rows(events))
        if self._report:
            self._report.add(stamp, tracks, image, events)
        if image is None or not (self._video or self._window):
            return True
        trails = self._trails.update(tracks, stamp, self._drawing.trails, image)
        picture = draw(image, tracks, mean_time, self._drawing, mask, ignored, trails=trails)
        if self._counter:
            draw_zones(picture, self._counter)
        if self._video:
            self._video.write(picture, stamp)
        return not self._window or self._window.show(picture)

    def _count_in(self, size: tuple[int, int]) -> None:
        """Count in images of this size."""
        if self._counter:
            self._counter.fit(size)
            if self._report:
                self._report.zones = self._counter.zones
