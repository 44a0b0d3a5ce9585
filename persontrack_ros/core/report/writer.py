"""The file of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Optional

import numpy as np

from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.config.settings import Value
from persontrack_ros.core.report.events import Event
from persontrack_ros.core.report.observations import Observations
from persontrack_ros.core.report.page import make_page
from persontrack_ros.core.report.zones import Zones
from persontrack_ros.core.tracking.track import Track


class ReportWriter:
    """
    Writes a page that shows who was there, and when.

    A context manager; leaving it completes the file. If there was an error, there is none.

    :ivar seen: the data of the page.
    :ivar zones: in pixels of the images; None without lines and zones.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        settings: Mapping[str, Value],
        size: Optional[tuple[int, int]] = None,
        note: str = '',
        pictures: bool = True,
    ) -> None:
        """
        Create the file.

        :param name: name of the source.
        :param settings: the parameters, by name.
        :param size: width and height of the images, if no image is given.
        :param note: more text for the head of the page.
        :param pictures: show pictures of persons and of the scene.
        :raises OutputError: if it cannot be written.
        """
        self._file = OutputFile(path)
        self._name, self._settings, self._note = name, settings, note
        self.seen = Observations(size, pictures)
        self.zones: Optional[Zones] = None

    def add(
        self,
        stamp: int,
        tracks: Iterable[Track],
        image: Optional[BgrImage] = None,
        events: Sequence[Event] = (),
    ) -> None:
        """
        Record the persons in the next image.

        :param stamp: time of the image in nanoseconds.
        :param image: uint8 BGR, shape ``(height, width, 3)``; None without an image.
        :param events: found in this image.
        """
        tracks = list(tracks)
        boxes = np.array([track.box for track in tracks], dtype=np.float64).reshape(-1, 4)
        scores = [0.0 if track.detection is None else track.score for track in tracks]
        self.seen.add(stamp, [track.id for track in tracks], boxes, scores, image, events)

    def __enter__(self) -> ReportWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Complete the file, or remove it after an error."""
        try:
            if kind is None:
                page = make_page(self.seen, self._name, self._settings, self._note, self.zones)
                # File names need not be UTF-8.
                self._file.write(page.encode(errors='replace'))
                self._file.commit()
        finally:
            self._file.discard()
