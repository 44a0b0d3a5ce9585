"""
Messages of .mcap files, also of files that are cut off or damaged.

The index at the end of a file has the positions of its chunks. Without an index, the file is read
record by record up to the first incomplete one.

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
from dataclasses import replace
from pathlib import Path
from typing import Optional

from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile, McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import breakup_chunk
from mcap.well_known import MessageEncoding, SchemaEncoding
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

from persontrack_ros.bags.compression import unpack
from persontrack_ros.bags.types import is_type_name, parse_qos
from persontrack_ros.core.base.errors import SourceError

# The reason why topics of ROS 1 are left out.
ROS1 = 'those of ROS 1'

_MAGIC = b'\x89MCAP0\r\n'
_HEAD_SIZE = 9
_FORMATS = {
    SchemaEncoding.ROS2: MessageDefinitionFormat.MSG,
    SchemaEncoding.ROS2IDL: MessageDefinitionFormat.IDL,
    SchemaEncoding.OMGIDL: MessageDefinitionFormat.IDL,
}

# The errors of the library mcap for damaged records.
_DAMAGES = (McapError, struct.error, LookupError, ValueError, OverflowError, MemoryError)


class McapFile:
    """
    An .mcap file.

    :ivar connections: the topics of ROS 2, with the number of their messages.
    :ivar others: the topics that are left out, with their kind.
    :ivar announced: the number of messages of a topic according to the index.
    :ivar count: the number of all messages, as announced or found.
    """

    def __init__(
        self, path: Path, report: Callable[[str], None], report_damage: Callable[[str], None]
    ) -> None:
        """
        Find the topics and messages.

        :param report: called if the end is missing, as after a recorder was killed.
        :param report_damage: called with all other damage.
        :raises SourceError: if it is no .mcap file.
        """
        self._name = path.name
        self._report = report
        self._report_damage = report_damage
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        # Time of the first message in a chunk, position of the chunk, channels (none: not known).
        self._chunks: list[tuple[int, int, frozenset[int]]] = []
        # Time and position of messages outside of chunks.
        self._loose: list[tuple[int, int]] = []
        self.announced: Mapping[int, int] = {}
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
        """Read the messages of some topics in the order of their times; report damage."""
        wanted = {connection.id: connection for connection in connections}
        parts = [
            self._messages_in(time, position)
            for time, position, channels in self._chunks
            if not channels or channels & wanted.keys()
        ]
        loose = ((time, start, self._message(start)) for time, start in sorted(self._loose))
        for time, _, message in heapq.merge(loose, *parts, key=lambda one: one[:2]):
            if message and message.channel_id in wanted:
                yield wanted[message.channel_id], time, message.data

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def _read_index(self) -> Optional[Counter[int]]:
        """Read the index; return messages by channel, None without a valid index of chunks."""
        try:
            data = self._data
            reader = SeekingReader(data, record_size_limit=len(data))  # type: ignore[arg-type]
            summary = reader.get_summary()
        except _DAMAGES:
            return None
        if summary is None or summary.statistics is None:
            return None
        indexes = summary.chunk_indexes
        # The number of messages is valid even without an index of chunks.
        self.announced = summary.statistics.channel_message_counts
        if not 0 < summary.statistics.chunk_count == len(indexes):
            return None
        self._schemas = dict(summary.schemas)
        self._channels = dict(summary.channels)
        self._chunks = [
            (
                one.message_start_time,
                one.chunk_start_offset + _HEAD_SIZE,
                frozenset(one.message_index_offsets),
            )
            for one in indexes
        ]
        return Counter(self.announced)

    def _scan(self) -> Counter[int]:
        """Read record by record up to the first incomplete one; count messages by channel."""
        data, stream = self._data, ReadDataStream(self._data)  # type: ignore[arg-type]
        counts: Counter[int] = Counter()
        end = len(_MAGIC)
        code = 0
        try:
            while code != Opcode.FOOTER:
                data.seek(end)
                code, size = stream.read1(), stream.read8()
                start = data.tell()
                if not code or start + size > len(data):
                    raise EndOfFile
                if code == Opcode.CHUNK:
                    counts += self._scan_chunk(start)
                elif code == Opcode.MESSAGE:
                    message = self._message(start)
                    self._loose.append((message.log_time, start))
                    counts[message.channel_id] += 1
                elif code == Opcode.SCHEMA:
                    self._note(Schema.read(stream))
                elif code == Opcode.CHANNEL:
                    self._note(Channel.read(stream))
                end = start + size
            if data[end:] != _MAGIC:
                raise EndOfFile
        except _DAMAGES:
            whole = data[-len(_MAGIC) :] == _MAGIC
            (self._report_damage if whole else self._report)(
                f'{self._name} is {"damaged" if whole else "cut off"} at byte {end} of '
                f'{len(data)}; {sum(counts.values())} messages before it can be read. '
                + self._advice()
            )
        return Counter({number: counts[number] for number in counts if number in self._channels})

    def _scan_chunk(self, position: int) -> Counter[int]:
        """Add a chunk with its topics; count messages by channel."""
        counts: Counter[int] = Counter()
        times = []
        for record in self._records_in(position):
            if isinstance(record, Message):
                counts[record.channel_id] += 1
                times.append(record.log_time)
            else:
                self._note(record)
        if times:
            self._chunks.append((min(times), position, frozenset(counts)))
        return counts

    def _note(self, record: McapRecord) -> None:
        """Record the description of a topic."""
        if isinstance(record, Schema):
            self._schemas.setdefault(record.id, record)
        elif isinstance(record, Channel):
            self._channels.setdefault(record.id, record)

    def _messages_in(
        self, time: int, position: int
    ) -> Iterator[tuple[int, int, Optional[Message]]]:
        """Read the messages of a chunk in the order of their times."""
        # Read the chunk only when its time is reached.
        yield time, position, None
        found = [one for one in self._records_in(position) if isinstance(one, Message)]
        for message in sorted(found, key=lambda one: one.log_time):
            yield message.log_time, position, message

    def _records_in(self, position: int) -> list[McapRecord]:
        """Return the records of a chunk; report a damaged one and return none."""
        try:
            self._data.seek(position)
            chunk = Chunk.read(ReadDataStream(self._data))  # type: ignore[arg-type]
            content, whole = unpack(chunk.data, chunk.compression)
            if whole and chunk.uncompressed_crc in (0, zlib.crc32(content)):
                return breakup_chunk(replace(chunk, compression='', data=content))
        except _DAMAGES:
            pass
        self._report_damage(
            f'{self._name} is damaged in the chunk at byte {position - _HEAD_SIZE}: the messages '
            f'in it are left out. {self._advice()}'
        )
        return []

    def _message(self, position: int) -> Message:
        self._data.seek(position - 8)
        stream = ReadDataStream(self._data)  # type: ignore[arg-type]
        return Message.read(stream, stream.read8())

    def _advice(self) -> str:
        return f'`mcap recover {self._name} -o RECOVERED.mcap` may save more'

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
    """Return the kind of a topic that is not of ROS 2; empty for a topic of ROS 2."""
    if channel.message_encoding == MessageEncoding.ROS1:
        return ROS1
    if channel.message_encoding != MessageEncoding.CDR:
        return channel.message_encoding or 'of no known encoding'
    if schema is None:
        return 'without a type'
    return '' if is_type_name(_full_name(schema)) else f'of the type {schema.name!r}'


def _full_name(schema: Schema) -> str:
    """Return the name of a type; some writers leave out ``msg``, as in ROS 1."""
    return re.sub(r'^(\w+)/(\w+)$', r'\1/msg/\2', schema.name)
