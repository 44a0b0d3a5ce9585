"""
Messages of .mcap files: whole, cut off or damaged.

The index at the end of a file says where its chunks are. Where there is none, the file is read
record by record; what is damaged is stepped over, as far as a next record can be found.

Source: MCAP format specification, https://mcap.dev/spec.
"""

from __future__ import annotations

import heapq
import mmap
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Footer, Schema, Statistics
from mcap.well_known import MessageEncoding, SchemaEncoding
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

from persontrack_ros.bags.compression import unpack
from persontrack_ros.bags.types import is_type_name, parse_qos
from persontrack_ros.core.errors import SourceError

# What is said of topics of ROS 1.
ROS1 = 'those of ROS 1'

_MAGIC = b'\x89MCAP0\r\n'
_HEAD = struct.Struct('<BQ')
_MESSAGE = struct.Struct('<HIQ')  # and the time of publication, and what is published
_FOOTER = _HEAD.size + 20

# The least lengths of records: what is shorter or of another kind is not taken for one where the
# beginning of the next record has to be found.
_LEAST: dict[int, int] = {
    Opcode.SCHEMA: 14,
    Opcode.CHANNEL: 16,
    Opcode.MESSAGE: 22,
    Opcode.CHUNK: 40,
    Opcode.MESSAGE_INDEX: 6,
    Opcode.CHUNK_INDEX: 64,
    Opcode.ATTACHMENT: 36,
    Opcode.ATTACHMENT_INDEX: 48,
    Opcode.STATISTICS: 46,
    Opcode.METADATA: 8,
    Opcode.METADATA_INDEX: 20,
    Opcode.SUMMARY_OFFSET: 17,
    Opcode.DATA_END: 4,
    Opcode.FOOTER: 20,
}
_CANDIDATE = re.compile(rb'(?=[\x02-\x0f].{5}\0\0\0)', re.DOTALL)
# So many records in a row are no accident.
_ROW = 3

_FORMATS = {
    SchemaEncoding.ROS2: MessageDefinitionFormat.MSG,
    SchemaEncoding.ROS2IDL: MessageDefinitionFormat.IDL,
    SchemaEncoding.OMGIDL: MessageDefinitionFormat.IDL,
}

_Buffer = Union[bytes, mmap.mmap]
# What the library mcap raises for records that are damaged.
_DAMAGES = (McapError, struct.error, ValueError, OverflowError, MemoryError)


class _Chunk(NamedTuple):
    """
    Where the records of a chunk lie, and how.

    `channels` is empty where they are not known; `cut` is of one that ends with the file.
    """

    time: int
    position: int
    size: int
    compression: str
    crc: int
    channels: frozenset[int] = frozenset()
    cut: bool = False


class _Message(NamedTuple):
    """A message; the first three fields are its place in the order of all."""

    time: int
    part: int
    number: int
    channel: int
    data: bytes


class McapFile:
    """
    An .mcap file.

    :ivar connections: the topics of ROS 2, with the number of their messages that the file
        announces or, where it cannot be asked, that are found in it.
    :ivar others: the topics that are left out, with what they are instead.
    :ivar announced: the number of messages that a topic should have, where the file tells it.
    :ivar count: the number of all messages, as announced or found.
    """

    def __init__(
        self, path: Path, report: Callable[[str], None], report_damage: Callable[[str], None]
    ) -> None:
        """
        Find the topics and messages.

        :param report: is told if the end is missing, as of a file whose recorder was killed.
        :param report_damage: is told of all else that is damaged.
        :raises SourceError: if it is no .mcap file.
        """
        self._name = path.name
        self._report = report
        self._report_damage = report_damage
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._chunks: list[_Chunk] = []
        self._loose: list[tuple[int, int, int]] = []
        self._statistics: Optional[Statistics] = None
        with path.open('rb') as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise SourceError(
                    f'{path.name} is no .mcap file, or cut off before its first message'
                )
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            counts = self._read_index() or self._scan()
        except BaseException:
            self.close()
            raise
        told = self._statistics
        self.announced: Mapping[int, int] = told.channel_message_counts if told else {}
        self.count = sum(counts.values())
        self.connections: list[Connection] = []
        self.others: dict[str, str] = {}
        for channel in self._channels.values():
            schema = self._schemas.get(channel.schema_id)
            if reason := _why_not_ros2(channel, schema):
                self.others[channel.topic] = reason
            elif schema is not None:
                self.connections.append(self._connect(channel, schema, counts[channel.id]))

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Read the messages of some topics in the order of their times; report what is damaged."""
        wanted = {connection.id: connection for connection in connections}
        parts = [
            self._messages_in(part, chunk)
            for part, chunk in enumerate(self._chunks)
            if not chunk.channels or chunk.channels & wanted.keys()
        ]
        loose = (_message(self._data, position, size) for _, position, size in self._loose)
        for message in heapq.merge(loose, *parts):
            if message.channel in wanted:
                yield wanted[message.channel], message.time, message.data

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def _read_index(self) -> Optional[Counter[int]]:
        """
        Read what stands at the end of a whole file.

        :returns: the number of messages by channel; None where there is no index of chunks, or it
            is damaged.
        """
        data = self._data
        footer = len(data) - _FOOTER - len(_MAGIC)
        if footer < len(_MAGIC) or data[-len(_MAGIC) :] != _MAGIC:
            return None
        try:
            end = _parse(Footer, data[footer + _HEAD.size : -len(_MAGIC)])
            start = end.summary_start
            if _HEAD.unpack_from(data, footer) != (Opcode.FOOTER, 20) or not 0 < start < footer:
                return None
            # The sum is of all but itself, which stands at the end of the footer.
            if end.summary_crc and end.summary_crc != zlib.crc32(data[start : -len(_MAGIC) - 4]):
                return None
            gaps: list[int] = []
            for code, position, size in _records(data, start, footer, gaps):
                self._note(code, data[position : position + size])
                if code == Opcode.CHUNK_INDEX:
                    self._add_indexed_chunk(_parse(ChunkIndex, data[position : position + size]))
        except _DAMAGES:
            gaps = [0]
        told = self._statistics
        if (
            gaps
            or told is None
            or not 0 < told.chunk_count == len(self._chunks)
            or told.message_count != sum(told.channel_message_counts.values())
        ):
            self._chunks = []
            return None
        return Counter(told.channel_message_counts)

    def _add_indexed_chunk(self, index: ChunkIndex) -> None:
        end = index.chunk_start_offset + index.chunk_length
        position = end - index.compressed_size
        if not len(_MAGIC) < index.chunk_start_offset < position <= end < len(self._data):
            raise ValueError('a chunk lies outside of the file')
        # Behind its record's head and three numbers of 8 bytes.
        (crc,) = struct.unpack_from('<I', self._data, index.chunk_start_offset + _HEAD.size + 24)
        self._chunks.append(
            _Chunk(
                index.message_start_time,
                position,
                index.compressed_size,
                index.compression,
                crc,
                frozenset(index.message_index_offsets),
            )
        )

    def _scan(self) -> Counter[int]:
        """Read the file record by record; return the number of messages by channel."""
        data = self._data
        gaps: list[int] = []
        counts: Counter[int] = Counter()
        last = 0
        for code, position, size in _records(data, len(_MAGIC), len(data), gaps):
            if code == Opcode.CHUNK:
                cut = gaps[-1:] == [position - _HEAD.size]
                counts += self._scan_chunk(position, size, cut)
            elif code == Opcode.MESSAGE and size >= _LEAST[code]:
                channel, _, time = _MESSAGE.unpack_from(data, position)
                self._loose.append((time, position, size))
                counts[channel] += 1
            elif code in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.STATISTICS):
                self._note(code, data[position : position + size])
            last = position
        self._loose.sort()
        known = Counter({number: counts[number] for number in counts if number in self._channels})
        count = sum(known.values())
        if (gaps and gaps[0] + _HEAD.size < last) or known != counts:
            self._report_damage(f'{self._name} is damaged; {count} messages of it can be read')
        elif gaps or data[-len(_MAGIC) :] != _MAGIC:
            self._report(f'{self._name} is cut off; {count} messages of it can be read')
        return known

    def _scan_chunk(self, position: int, size: int, cut: bool) -> Counter[int]:
        """Take in a chunk whose record is not in an index, and what is described in it."""
        record = self._data[position : position + size]
        try:
            chunk = _parse(Chunk, record)
        except _DAMAGES:
            self._report_damage(f'{self._name} is damaged in the chunk at byte {position}')
            return Counter()
        start = position + _LEAST[Opcode.CHUNK] + len(chunk.compression)
        place = (start, len(chunk.data), chunk.compression)
        found = _Chunk(0, *place, chunk.uncompressed_crc, cut=cut)
        counts: Counter[int] = Counter()
        times = []
        content = self._unpack(found)[0]
        for code, start, length in _records(content, 0, len(content), []):
            if code == Opcode.MESSAGE and length >= _LEAST[code]:
                channel, _, time = _MESSAGE.unpack_from(content, start)
                counts[channel] += 1
                times.append(time)
            elif code in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._note(code, content[start : start + length])
        self._chunks.append(found._replace(time=min(times, default=0), channels=frozenset(counts)))
        return counts

    def _note(self, code: int, record: bytes) -> None:
        """Take in what a record describes, if it is whole."""
        kinds = {
            Opcode.SCHEMA: Schema,
            Opcode.CHANNEL: Channel,
            Opcode.STATISTICS: Statistics,
        }
        if code not in kinds:
            return
        try:
            described = _parse(kinds[Opcode(code)], record)
        except _DAMAGES:
            return
        if isinstance(described, Schema):
            self._schemas.setdefault(described.id, described)
        elif isinstance(described, Channel):
            self._channels.setdefault(described.id, described)
        else:
            self._statistics = described

    def _messages_in(self, part: int, chunk: _Chunk) -> Iterator[_Message]:
        """Read the messages of a chunk in the order of their times."""
        # Nothing is read before its time has come.
        yield _Message(chunk.time, part, -1, -1, b'')
        content, whole = self._unpack(chunk)
        gaps: list[int] = []
        found = [
            _message(content, position, size, part)
            for code, position, size in _records(content, 0, len(content), gaps)
            if code == Opcode.MESSAGE and size >= _LEAST[code]
        ]
        if (gaps or not whole) and not chunk.cut:
            self._report_damage(
                f'{self._name} is damaged in the chunk at byte {chunk.position}: messages of it '
                'are missing, or have wrong contents'
            )
        yield from sorted(found)

    def _unpack(self, chunk: _Chunk) -> tuple[bytes, bool]:
        """Return the records of a chunk as far as they can be unpacked, and whether all are."""
        packed = self._data[chunk.position : chunk.position + chunk.size]
        content, whole = unpack(packed, chunk.compression)
        return content, whole and (not chunk.crc or chunk.crc == zlib.crc32(content))

    def _connect(self, channel: Channel, schema: Schema, count: int) -> Connection:
        qos = parse_qos(channel.metadata.get('offered_qos_profiles', ''))
        encoding = _FORMATS.get(schema.encoding, MessageDefinitionFormat.NONE)
        return Connection(
            channel.id,
            channel.topic,
            _full_name(schema),
            MessageDefinition(encoding, schema.data.decode(errors='replace')),
            '',
            count,
            ConnectionExtRosbag2(channel.message_encoding, qos),
            self,
        )


def _why_not_ros2(channel: Channel, schema: Optional[Schema]) -> str:
    """Return what a topic is instead of one of ROS 2; empty if it is one."""
    if channel.message_encoding == MessageEncoding.ROS1:
        return ROS1
    if channel.message_encoding != MessageEncoding.CDR:
        return channel.message_encoding or 'of no known encoding'
    if schema is None:
        return 'without a type'
    return '' if is_type_name(_full_name(schema)) else f'of the type {schema.name!r}'


def _full_name(schema: Schema) -> str:
    """Return the name of a type; some writers leave out what ROS 1 has not."""
    return re.sub(r'^(\w+)/(\w+)$', r'\1/msg/\2', schema.name)


def _parse(kind: Any, record: bytes) -> Any:
    """Return what a record holds; raise one of _DAMAGES if it is damaged."""
    return kind.read(ReadDataStream(BytesIO(record)))


def _message(data: _Buffer, position: int, size: int, part: int = -1) -> _Message:
    channel, _, time = _MESSAGE.unpack_from(data, position)
    start = position + _LEAST[Opcode.MESSAGE]
    return _Message(time, part, position, channel, data[start : position + size])


def _records(
    data: _Buffer, start: int, end: int, gaps: list[int]
) -> Iterator[tuple[int, int, int]]:
    """
    Go from record to record.

    :param gaps: gets the places where there is none, though there should be.
    :returns: kind of each, position and size of its content; a chunk that is cut off comes with
        what is left of it.
    """
    position = start
    while end - position >= _HEAD.size:
        code, size = _HEAD.unpack_from(data, position)
        left = end - position - _HEAD.size
        if code and size <= left:
            yield code, position + _HEAD.size, size
            position += _HEAD.size + size
            continue
        gaps.append(position)
        if code == Opcode.CHUNK and _is_chunk(data, position + _HEAD.size, left, size):
            yield code, position + _HEAD.size, left
            return
        following = _find_record(data, position + 1, end)
        if following is None:
            return
        position = following
    if data[position:end] not in (b'', _MAGIC):
        gaps.append(position)


def _is_chunk(data: _Buffer, position: int, left: int, size: int) -> bool:
    """Tell whether what is left of a chunk agrees with its record on the size."""
    if left < _LEAST[Opcode.CHUNK] + 4:
        return False
    (name,) = struct.unpack_from('<I', data, position + 28)
    if name > 4:
        return False
    (packed,) = struct.unpack_from('<Q', data, position + 32 + name)
    return bool(_LEAST[Opcode.CHUNK] + name + packed == size)


def _find_record(data: _Buffer, start: int, end: int) -> Optional[int]:
    """Return the position of the next record that others follow."""
    for match in _CANDIDATE.finditer(data, start, end):
        position = match.start()
        for _ in range(_ROW):
            if end - position < _HEAD.size:
                if data[position:end] in (b'', _MAGIC):
                    return match.start()
                break
            code, size = _HEAD.unpack_from(data, position)
            if not _LEAST.get(code, end) <= size <= end - position - _HEAD.size:
                break
            position += _HEAD.size + size
        else:
            return match.start()
    return None
