"""Messages of .db3 files: whole, cut off or damaged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Optional, Union

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from persontrack_ros.bags.salvage import SalvagedSqlite, is_whole_sqlite
from persontrack_ros.bags.types import is_type_name
from persontrack_ros.core.errors import SourceError


class SqliteFile:
    """
    A .db3 file.

    :ivar connections: the topics of ROS 2, with the number of their messages.
    :ivar others: the topics that are left out, with what they are instead.
    :ivar announced: the number of messages that a topic should have, where that is known.
    :ivar count: the number of all messages.
    """

    def __init__(self, path: Path, report_damage: Callable[[str], None]) -> None:
        """
        Open the file, as it should be or else for what can still be read.

        :param report_damage: is told what is damaged.
        :raises SourceError: if it is no .db3 file, or nothing of it can be read.
        """
        self._path = path
        self._report_damage = report_damage
        self._source: Optional[Union[Reader, SalvagedSqlite]] = None
        # The library has an error of its own for some kinds of damage, and SQLite's for others.
        with suppress(Exception):
            if is_whole_sqlite(path):
                reader = Reader(path)
                reader.open()
                self._source = reader
        if self._source is None:
            self._source = SalvagedSqlite(path)
        topics = self._source.connections
        self.count = sum(one.msgcount for one in topics)
        if isinstance(self._source, SalvagedSqlite):
            report_damage(f'{path.name} is damaged; {self.count} messages of it can be read')
        self.announced = {one.id: one.msgcount for one in topics}
        self.others = {one.topic: reason for one in topics if (reason := _why_not_ros2(one))}
        self.connections = [one for one in topics if not _why_not_ros2(one)]

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """
        Read the messages of some topics in the order of their times.

        Where SQLite comes upon damage, the rest is taken from the pages that are left.
        """
        assert self._source is not None
        newest = -(2**63)
        seen: set[int] = set()
        try:
            for connection, time, data in self._source.messages(connections):
                if time != newest:
                    newest, seen = time, set()
                seen.add(connection.id)
                yield connection, time, data
            return
        except Exception as error:  # noqa: BLE001 - the library's errors and SQLite's, as above
            reason = ' '.join(str(error).split())
            self._report_damage(f'{self._path.name} is damaged: {reason}')
        try:
            rest = SalvagedSqlite(self._path)
        except SourceError as error:
            self._report_damage(str(error))
            return
        for connection, time, data in rest.messages(connections):
            if time > newest or (time == newest and connection.id not in seen):
                yield connection, time, data
        rest.close()

    def close(self) -> None:
        """Close the file."""
        if self._source is not None:
            self._source.close()


def _why_not_ros2(topic: Connection) -> str:
    """Return what a topic is instead of one of ROS 2; empty if it is one."""
    assert isinstance(topic.ext, ConnectionExtRosbag2)
    if topic.ext.serialization_format != 'cdr':
        return str(topic.ext.serialization_format)
    return '' if is_type_name(str(topic.msgtype)) else f'of the type {topic.msgtype!r}'
