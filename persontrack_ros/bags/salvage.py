"""
Messages from .db3 files that were cut off or damaged, as a crash or a full disk leaves them.

Source: SQLite file format, https://sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

from persontrack_ros.bags.types import parse_qos
from persontrack_ros.core.errors import SourceError

_FORMATS = {'ros2msg': MessageDefinitionFormat.MSG, 'ros2idl': MessageDefinitionFormat.IDL}


class _Entry(NamedTuple):
    """Where a message lies: at a position in the file, a row of that size."""

    time: int
    connection: int
    position: int
    size: int


class SalvagedSqlite:
    """
    A .db3 file that is not whole.

    :ivar connections: the topics, with the number of their messages that can be read.
    """

    def __init__(self, path: Path) -> None:
        """
        Find the messages in the file.

        The rows are taken from the pages one by one: the tree that leads to them is gone where an
        inner page of it lay in the part that is missing.

        :raises SourceError: if it is no .db3 file or its topics are missing.
        """
        self._file: BinaryIO = path.open('rb')
        header = self._file.read(100)
        self._page_size = _page_size(header)
        if not (header.startswith(b'SQLite format 3\0') and self._page_size):
            self._file.close()
            raise SourceError(f'{path.name} is no .db3 file, or cut off before its first message')
        self._usable = self._page_size - header[20]
        self._size = path.stat().st_size
        # The last one may be there in part.
        self._pages = -(-self._size // self._page_size)
        try:
            topics = self._read_topics(path)
        except (sqlite3.Error, LookupError, TypeError, ValueError) as error:
            self._file.close()
            raise SourceError(f'{path.name} is cut off before its topics end: {error}') from error
        rows: dict[int, _Entry] = {}
        for page in range(2, self._pages + 1):
            rows.update(self._rows_of(page))
        self._entries = sorted(one for one in rows.values() if one.connection in topics)
        counts = Counter(entry.connection for entry in self._entries)
        self.connections = [one._replace(msgcount=counts[one.id]) for one in topics.values()]

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Read the messages of some topics in the order of their times."""
        wanted = {connection.id: connection for connection in connections}
        for entry in self._entries:
            if entry.connection in wanted:
                yield wanted[entry.connection], entry.time, self._read(entry)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_topics(self, path: Path) -> dict[int, Connection]:
        with TemporaryDirectory() as directory:
            copy = Path(directory, path.name)
            # The topics come before the messages; SQLite opens the file once it states no more
            # pages than there are.
            with copy.open('wb') as file:
                self._file.seek(0)
                shutil.copyfileobj(self._file, file)
                pages = self._size // self._page_size
                file.truncate(pages * self._page_size)
                file.seek(28)
                file.write(struct.pack('>I', pages))
            with closing(sqlite3.connect(copy)) as database:
                return _topics_of(database, self)

    def _rows_of(self, page: int) -> Iterator[tuple[int, _Entry]]:
        """Find the rows of the table of messages on a page, by their number."""
        start = (page - 1) * self._page_size
        self._file.seek(start)
        data = self._file.read(self._page_size).ljust(self._page_size, b'\0')
        if data[0] != 0x0D:
            return
        (count,) = struct.unpack_from('>H', data, 3)
        for pointer in struct.unpack_from(f'>{min(count, self._usable // 4)}H', data, 8):
            # Most that is no such row shows by columns of other types, the rest by running over
            # the edge of the page.
            with suppress(IndexError, ValueError, EOFError, struct.error):
                size, start_of_row = _varint(data, pointer)
                row, start_of_row = _varint(data, start_of_row)
                kinds, offset = _columns(data, start_of_row)
                if not _is_message(kinds) or size > self._size:
                    continue
                values = []
                for kind in kinds[1:3]:
                    values.append(_integer(kind, data[offset : offset + _length(kind)]))
                    offset += _length(kind)
                entry = _Entry(values[1], values[0], start + start_of_row, size)
                complete = offset - start_of_row + _length(kinds[3]) == size
                pieces = list(self._pieces(entry))
                complete &= sum(length for _, length in pieces) == size
                complete &= all(place + length <= self._size for place, length in pieces)
                if complete:
                    yield row, entry

    def _read(self, entry: _Entry) -> bytes:
        parts = []
        for position, length in self._pieces(entry):
            self._file.seek(position)
            parts.append(self._file.read(length))
        payload = b''.join(parts)
        kinds, offset = _columns(payload, 0)
        return payload[offset + _length(kinds[1]) + _length(kinds[2]) :]

    def _pieces(self, entry: _Entry) -> Iterator[tuple[int, int]]:
        """Find the parts of a row, as far as they are there: on its page and in its overflow."""
        position, size = entry.position, entry.size
        usable = self._usable
        if size <= usable - 35:
            yield position, size
            return
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= usable - 35 else least
        yield position, local
        left = size - local
        self._file.seek(position + local)
        (page,) = _read_struct(self._file, '>I')
        while left > 0 and 0 < page <= self._pages:
            start = (page - 1) * self._page_size
            length = min(left, usable - 4)
            yield start + 4, length
            left -= length
            self._file.seek(start)
            (page,) = _read_struct(self._file, '>I')


def is_whole_sqlite(path: Path) -> bool:
    """Tell whether a .db3 file ends with a page; SQLite itself would read zeros up to there."""
    with path.open('rb') as file:
        size = _page_size(file.read(100))
    return size > 0 and path.stat().st_size % size == 0


def _page_size(header: bytes) -> int:
    """Return the size of the pages that the 100 bytes before them state; 0 if it is none."""
    (size,) = struct.unpack_from('>H', header, 16) if len(header) == 100 else (0,)
    size = 65536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else 0


def _topics_of(database: sqlite3.Connection, owner: object) -> dict[int, Connection]:
    columns = [row[1] for row in database.execute('PRAGMA table_info(topics)')]
    definitions = {}
    with suppress(sqlite3.Error):
        definitions = {
            name: MessageDefinition(_FORMATS[encoding], text)
            for name, encoding, text in database.execute(
                'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
            )
            if encoding in _FORMATS
        }
    topics = {}
    for values in database.execute('SELECT * FROM topics'):
        row = dict(zip(columns, values))
        topics[row['id']] = Connection(
            row['id'],
            row['name'],
            row['type'],
            definitions.get(row['type'], MessageDefinition(MessageDefinitionFormat.NONE, '')),
            row.get('type_description_hash', ''),
            0,
            ConnectionExtRosbag2(
                row['serialization_format'], parse_qos(row.get('offered_qos_profiles', ''))
            ),
            owner,
        )
    return topics


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _read_struct(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, _read(file, struct.calcsize(layout)))


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return a number of variable length and the offset after it."""
    value = 0
    for index in range(8):
        byte = data[offset + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + index + 1
    return value << 8 | data[offset + 8], offset + 9


def _columns(data: bytes, offset: int) -> tuple[list[int], int]:
    """Return the kinds ("serial types") of the columns of a row, and where their values begin."""
    size, position = _varint(data, offset)
    end = offset + size
    kinds = []
    while position < end:
        kind, position = _varint(data, position)
        kinds.append(kind)
    return kinds, end


def _is_message(kinds: list[int]) -> bool:
    """Tell whether a row has the columns id (kept elsewhere), topic, time and data."""
    integers = (1, 2, 3, 4, 5, 6, 8, 9)
    return (
        len(kinds) == 4
        and kinds[0] == 0
        and kinds[1] in integers
        and kinds[2] in integers
        and kinds[3] >= 12
        and kinds[3] % 2 == 0
    )


def _length(kind: int) -> int:
    return (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind] if kind < 12 else (kind - 12) // 2


def _integer(kind: int, data: bytes) -> int:
    # The numbers 0 and 1 are kinds of their own.
    return kind - 8 if kind in (8, 9) else int.from_bytes(data, 'big', signed=True)
