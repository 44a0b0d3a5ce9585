"""Tables of tracks and events: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Union

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.report.events import Event
from persontrack_ros.core.tracking.track import Track

TABLE_SUFFIXES = ('.csv', '.jsonl', '.parquet')
_BOX = ('left', 'top', 'width', 'height')
TRACK_COLUMNS = ('time', 'frame', 'id', *_BOX, 'score', 'state', 'measured')
EVENT_COLUMNS = ('time', 'id', 'kind', 'name', 'event', 'x', 'y')

Cell = Union[str, int, float, bool]


def track_rows(stamp: int, frame: int, tracks: Iterable[Track]) -> list[tuple[Cell, ...]]:
    """Return a row of TRACK_COLUMNS per track: time in seconds, box in pixels."""
    rows: list[tuple[Cell, ...]] = []
    for track in tracks:
        box = (round(side, 2) for side in track.box.tolist())
        state, measured = track.state.name.lower(), track.detection is not None
        rows.append(
            (stamp / SECOND, frame, track.id, *box, round(track.score, 4), state, measured)
        )
    return rows


def event_rows(events: Iterable[Event]) -> list[tuple[Cell, ...]]:
    """Return a row of EVENT_COLUMNS per event: time in seconds, x and y in the unit of zones."""
    rows: list[tuple[Cell, ...]] = []
    for event in events:
        x, y = (round(each, 2) for each in event.position)
        rows.append((event.stamp / SECOND, event.id, event.kind, event.name, event.event, x, y))
    return rows


class TableWriter(OutputFile):
    """Writes rows to a file, whose suffix, one of TABLE_SUFFIXES, says the format."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """
        Create the file.

        :raises OutputError: if it cannot be written, or it is .parquet and pandas or its Parquet
            writer is not installed.
        """
        suffix = path.suffix.lower()
        # Standard output and devices have another.
        self._suffix = suffix if suffix in TABLE_SUFFIXES else '.csv'
        if self._suffix == '.parquet' and not all(map(find_spec, ('pandas', 'pyarrow'))):
            raise OutputError(
                f'cannot write {path}: "pip install pandas pyarrow" first, or write .csv'
            )
        super().__init__(path)
        self._columns = columns
        self._rows: list[tuple[Cell, ...]] = []
        if self._suffix == '.csv':
            self.add([tuple(columns)])

    def add(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        """
        Append rows.

        :raises OutputError: if they cannot be written.
        """
        if self._suffix == '.csv':
            text = io.StringIO()
            csv.writer(text, lineterminator='\n').writerows(rows)
            self.write(text.getvalue().encode())
        elif self._suffix == '.jsonl':
            lines = (json.dumps(dict(zip(self._columns, row))) + '\n' for row in rows)
            self.write(''.join(lines).encode())
        else:
            self._rows += rows

    def commit(self) -> None:
        """
        Complete the file.

        :raises OutputError: if it could not be written; there is no file then.
        """
        if self._suffix == '.parquet':
            import pandas as pd

            self.write(pd.DataFrame(self._rows, columns=self._columns).to_parquet(index=False))
        super().commit()
