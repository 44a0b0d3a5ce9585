"""
Messages from bag files that were cut off, as a crash or a full disk leaves them.

A :class:`Salvage` reads a file record by record, or page by page, without the index that a
complete file has.

Sources: MCAP format specification, https://mcap.dev/spec; SQLite file format,
https://sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import shutil
import sqlite3
import struct
import sys
from collections.abc import Collection
from collections.abc import Iterator
from contextlib import closing
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from typing import NamedTuple

from lz4.frame import LZ4FrameDecompressor
from rosbags.interfaces import Connection
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.interfaces import MessageDefinition
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.interfaces import Qos
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from persontrack_ros.core.errors import SourceError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FORMATS = {'ros2msg': MessageDefinitionFormat.MSG, 'ros2idl': MessageDefinitionFormat.IDL}


class _Entry(NamedTuple):
    """
    Where a message lies: at a position in the file.

    `offset` is the place in the chunk there, if there is one, or the length of the row of SQLite.
    """

    time: int
    connection: int
    position: int
    offset: int = -1


class Salvage:
    """
    The messages that can still be read from a file.

    :ivar connections: the topics, with the number of their messages that can be read.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.connections: list[Connection] = []
        self._entries: list[_Entry] = []

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

    def _read(self, entry: _Entry) -> bytes:
        """Read one message."""
        raise NotImplementedError

    def _finish(self, topics: dict[int, Connection]) -> None:
        """Order the messages and count them."""
        self._entries = sorted(entry for entry in self._entries if entry.connection in topics)
        counts = dict.fromkeys(topics, 0)
        for entry in self._entries:
            counts[entry.connection] += 1
        self.connections = [
            topic._replace(msgcount=counts[number]) for number, topic in topics.items()
        ]


class SalvagedMcap(Salvage):
    """An .mcap file, with or without an index, whole or cut off."""

    def __init__(self, path: Path) -> None:
        """
        Find the messages in the file.

        :raises SourceError: if it is no .mcap file.
        """
        super().__init__()
        self._schemas: dict[int, tuple[str, MessageDefinition]] = {}
        self._topics: dict[int, Connection] = {}
        self._chunk = (-1, b'')
        self._file: BinaryIO = path.open('rb')
        if self._file.read(8) != b'\x89MCAP0\r\n':
            self._file.close()
            raise SourceError(f'{path.name} is no .mcap file, or cut off before its first message')
        with suppress(EOFError):
            self._scan()
        self._finish(self._topics)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _scan(self) -> None:
        while True:
            position = self._file.tell()
            code, size = _read_struct(self._file, '<BQ')
            if code == 0x06:
                self._scan_chunk(position)
            elif code in (0x03, 0x04, 0x05):
                self._note(code, self._file, size, position)
            elif code == 0x0F:
                return  # the end of the data; what follows is the index
            self._file.seek(position + 9 + size)

    def _scan_chunk(self, position: int) -> None:
        chunk = BytesIO(self._load_chunk(position))
        with suppress(EOFError):
            while True:
                offset = chunk.tell()
                code, size = _read_struct(chunk, '<BQ')
                self._note(code, chunk, size, position, offset)
                chunk.seek(offset + 9 + size)

    def _note(self, code: int, file: BinaryIO, size: int, position: int, offset: int = -1) -> None:
        """Take a record into the index; raise EOFError if it is cut off."""
        if code == 0x03:
            record = BytesIO(_read(file, size))
            (number,) = _read_struct(record, '<H')
            name, encoding, text = (_read_text(record) for _ in range(3))
            definition = MessageDefinition(
                _FORMATS.get(encoding, MessageDefinitionFormat.NONE), text
            )
            self._schemas[number] = (name, definition)
        elif code == 0x04:
            record = BytesIO(_read(file, size))
            number, schema = _read_struct(record, '<HH')
            topic, serialisation = _read_text(record), _read_text(record)
            qos = _find_qos(BytesIO(_read(record, *_read_struct(record, '<I'))))
            name, definition = self._schemas[schema]
            self._topics.setdefault(
                number,
                Connection(
                    number,
                    topic,
                    name,
                    definition,
                    '',
                    0,
                    ConnectionExtRosbag2(serialisation, qos),
                    self,
                ),
            )
        elif code == 0x05:
            connection, _, time, _ = _read_struct(file, '<HIQQ')
            # Is its last byte there?
            file.seek(size - 22 - 1, 1)
            _read(file, 1)
            self._entries.append(_Entry(time, connection, position, offset))

    def _read(self, entry: _Entry) -> bytes:
        if entry.offset < 0:
            file = self._file
            file.seek(entry.position)
        else:
            file = BytesIO(self._load_chunk(entry.position))
            file.seek(entry.offset)
        _, size = _read_struct(file, '<BQ')
        return _read(file, size)[22:]

    def _load_chunk(self, position: int) -> bytes:
        """Return what can be read of the records in the chunk at a position."""
        if self._chunk[0] != position:
            self._file.seek(position)
            _, size, _, _, _, _ = _read_struct(self._file, '<BQQQQI')
            compression = _read_text(self._file)
            _read_struct(self._file, '<Q')
            data = self._file.read(size - 40 - len(compression))
            self._chunk = (position, _decompress(data, compression))
        return self._chunk[1]


class SalvagedSqlite(Salvage):
    """A .db3 file whose end is missing."""

    def __init__(self, path: Path) -> None:
        """
        Find the messages in the file.

        The rows are taken from the pages one by one: the tree that leads to them is gone where an
        inner page of it lay in the part that is missing.

        :raises SourceError: if it is no .db3 file or its topics are missing.
        """
        super().__init__()
        self._file: BinaryIO = path.open('rb')
        header = self._file.read(100)
        if len(header) < 100 or not header.startswith(b'SQLite format 3\0'):
            self._file.close()
            raise SourceError(f'{path.name} is no .db3 file, or cut off before its first message')
        (size,) = struct.unpack_from('>H', header, 16)
        self._page_size = 65536 if size == 1 else size
        self._usable = self._page_size - header[20]
        self._size = path.stat().st_size
        # The last one may be there in part.
        self._pages = -(-self._size // self._page_size)
        try:
            topics = self._read_topics(path)
        except sqlite3.Error as error:
            self._file.close()
            raise SourceError(f'{path.name} is cut off before its topics end: {error}') from error
        rows: dict[int, _Entry] = {}
        for page in range(2, self._pages + 1):
            rows.update(self._rows_of(page))
        self._entries = list(rows.values())
        self._finish(topics)

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
                if not _is_message(kinds):
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
        position, size = entry.position, entry.offset
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
        header = file.read(18)
    (size,) = struct.unpack_from('>H', header, 16) if len(header) == 18 else (0,)
    return size > 0 and path.stat().st_size % (65536 if size == 1 else size) == 0


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


def _decompress(data: bytes, compression: str) -> bytes:
    """Decompress as much as there is."""
    decompressor = {'zstd': zstd.ZstdDecompressor, 'lz4': LZ4FrameDecompressor}.get(compression)
    if decompressor is None:
        return data
    try:
        return decompressor().decompress(data)
    except (zstd.ZstdError, RuntimeError):
        return b''


def _find_qos(metadata: BytesIO) -> list[Qos]:
    with suppress(EOFError, ReaderError, KeyError):
        while True:
            key, value = _read_text(metadata), _read_text(metadata)
            if key == 'offered_qos_profiles':
                return parse_qos(value)
    return []


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _read_struct(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, _read(file, struct.calcsize(layout)))


def _read_text(file: BinaryIO) -> str:
    return _read(file, *_read_struct(file, '<I')).decode()


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
