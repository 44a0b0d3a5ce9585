"""Messages of .db3 files, up to any damage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from persontrack_ros.core.base.errors import SourceError


class SqliteFile:
    """
    A .db3 file.

    :ivar connections: the topics, with the number of their messages.
    :ivar others: the topics that are left out: none.
    :ivar announced: the expected number of messages of a topic.
    """

    def __init__(self, path: Path, report_damage: Callable[[str], None]) -> None:
        """
        Open the file.

        :param report_damage: called with damage found while messages are read.
        :raises SourceError: if it is no .db3 file or damaged.
        :raises OSError: if it cannot be read.
        """
        self._path = path
        self._report_damage = report_damage
        with path.open('rb') as file:
            header = file.read(18)
        if not header.startswith(b'SQLite format 3\0') or len(header) < 18:
            raise SourceError(f'{path.name} is no .db3 file, or cut off before its first message')
        # SQLite itself reads the missing part of a page as zeros.
        if path.stat().st_size % (int.from_bytes(header[16:], 'big') or 1):
            raise SourceError(f'{path.name} is cut off; {_advice(path)}')
        self._reader = Reader(path)
        try:
            self._reader.open()
        except Exception as error:
            raise SourceError(_explain(path, error)) from error
        self.connections = self._reader.connections
        self.announced = {one.id: one.msgcount for one in self.connections}
        self.others: dict[str, str] = {}

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Read the messages of some topics in the order of their times, up to any damage."""
        try:
            # For the library, an empty list means all topics.
            yield from self._reader.messages(connections) if connections else ()
        except Exception as error:  # noqa: BLE001 - SQLite and its wrapper raise various errors
            self._report_damage(_explain(self._path, error))

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def _explain(path: Path, error: Exception) -> str:
    """Return the fault of a file, with advice for a damaged one."""
    reason = ' '.join(str(error.__cause__ or error).split())
    if 'malformed' in reason or 'not a database' in reason:
        return f'{path.name} is damaged ({reason}); {_advice(path)}'
    return f'{path.name} cannot be read: {reason}'


def _advice(path: Path) -> str:
    return f'`sqlite3 {path.name} .recover | sqlite3 RECOVERED.db3` may save messages of it'
