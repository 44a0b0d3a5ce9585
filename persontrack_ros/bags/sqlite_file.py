"""Messages of .db3 files, up to any damage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from persontrack_ros.bags.types import is_type_name
from persontrack_ros.core.base.errors import SourceError


class SqliteFile:
    """
    A .db3 file.

    :ivar connections: the topics of ROS 2, with the number of their messages.
    :ivar others: the topics that are left out, with their kind.
    :ivar announced: the expected number of messages of a topic.
    :ivar count: the number of all messages.
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
        topics = self._reader.connections
        self.count = sum(one.msgcount for one in topics)
        self.announced = {one.id: one.msgcount for one in topics}
        self.others = {one.topic: reason for one in topics if (reason := _why_not_ros2(one))}
        self.connections = [one for one in topics if one.topic not in self.others]

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
    if 'missing tables' in reason:
        return f'{path.name} is no bag: it has no tables "topics" and "messages"'
    if 'malformed' in reason or 'not a database' in reason:
        return f'{path.name} is damaged ({reason}); {_advice(path)}'
    return f'{path.name} cannot be read: {reason}'


def _advice(path: Path) -> str:
    return f'`sqlite3 {path.name} .recover | sqlite3 RECOVERED.db3` may save messages of it'


def _why_not_ros2(topic: Connection) -> str:
    """Return the kind of a topic that is not of ROS 2; empty for a topic of ROS 2."""
    assert isinstance(topic.ext, ConnectionExtRosbag2)
    if topic.ext.serialization_format != 'cdr':
        return str(topic.ext.serialization_format)
    return '' if is_type_name(str(topic.msgtype)) else f'of the type {topic.msgtype!r}'
