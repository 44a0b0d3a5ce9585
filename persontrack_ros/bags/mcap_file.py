"""Messages of .mcap files, also of files that are cut off or damaged."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Optional

import zstandard
from mcap.exceptions import McapError
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.well_known import MessageEncoding, SchemaEncoding
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
    Qos,
)
from rosbags.rosbag2 import metadata

from persontrack_ros.core.base.errors import SourceError

# The reason why topics of ROS 1 are left out.
ROS1 = 'those of ROS 1'

_TYPE = re.compile(r'[A-Za-z]\w*/(msg|srv|action)/[A-Za-z]\w*', re.ASCII)
_MAGIC = b'\x89MCAP0\r\n'
_FORMATS = {
    SchemaEncoding.ROS2: MessageDefinitionFormat.MSG,
    SchemaEncoding.ROS2IDL: MessageDefinitionFormat.IDL,
    SchemaEncoding.OMGIDL: MessageDefinitionFormat.IDL,
}

# The errors of the library mcap for damaged records; RuntimeError is that of lz4.
_DAMAGES = (
    *(McapError, zstandard.ZstdError, RuntimeError),
    *(struct.error, LookupError, ValueError, OverflowError, MemoryError),
)


class McapFile:
    """
    An .mcap file.

    :ivar connections: the topics of ROS 2, with the number of their messages.
    :ivar others: the topics that are left out, with their kind.
    :ivar announced: the number of messages of a topic according to the index.
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
        self._path = path
        self._report_damage = report_damage
        self._advice = f'`mcap recover {path.name} -o RECOVERED.mcap` may save more'
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self.announced: Mapping[int, int] = {}
        self._file = path.open('rb')
        try:
            if self._file.read(len(_MAGIC)) != _MAGIC:
                raise SourceError(
                    f'{path.name} is no .mcap file, or cut off before its first message'
                )
            self._index = self._read_index()
            counts = Counter(self.announced) if self._index else self._scan(report)
        except BaseException:
            self.close()
            raise
        self.connections: list[Connection] = []
        self.others: dict[str, str] = {}
        for channel in self._channels.values():
            schema = self._schemas.get(channel.schema_id)
            # Some writers leave out ``msg``, as in ROS 1.
            name = re.sub(r'^(\w+)/(\w+)$', r'\1/msg/\2', schema.name) if schema else ''
            if channel.message_encoding == MessageEncoding.ROS1:
                self.others[channel.topic] = ROS1
            elif channel.message_encoding != MessageEncoding.CDR:
                self.others[channel.topic] = channel.message_encoding or 'of no known encoding'
            elif schema is None or not _TYPE.fullmatch(name):
                self.others[channel.topic] = f'of the type {name!r}'
            else:
                encoding = _FORMATS.get(schema.encoding, MessageDefinitionFormat.NONE)
                definition = MessageDefinition(encoding, schema.data.decode(errors='replace'))
                qos = ConnectionExtRosbag2(channel.message_encoding, _parse_qos(channel))
                count = counts[channel.id]
                self.connections.append(
                    Connection(channel.id, channel.topic, name, definition, '', count, qos, self)
                )

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """
        Read the messages of some topics, up to any damage.

        With an index, they are in the order of their times, else in that of their chunks.
        """
        wanted = {connection.id: connection for connection in connections}
        topics = {one.topic for one in connections}
        found: Iterable[tuple[object, ...]] = (
            self._index.iter_messages(topics) if self._index else zip(self._records())
        )
        try:
            for *_, message in found:
                if isinstance(message, Message) and message.channel_id in wanted:
                    yield wanted[message.channel_id], message.log_time, message.data
        except _DAMAGES as error:
            # Without an index, it was reported by the scan.
            if self._index:
                self._report_damage(f'{self._path.name} is damaged ({error}). {self._advice}')

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_index(self) -> Optional[SeekingReader]:
        """Return a reader of the chunks in the index; None if it is missing or incomplete."""
        self._file.seek(0)
        reader = SeekingReader(self._file, validate_crcs=True)
        try:
            summary = reader.get_summary()
        except (*_DAMAGES, OSError):
            return None
        if summary is None or summary.statistics is None:
            return None
        # The number of messages is valid even without an index of chunks.
        self.announced = summary.statistics.channel_message_counts
        if not 0 < summary.statistics.chunk_count == len(summary.chunk_indexes):
            return None
        self._schemas, self._channels = summary.schemas, summary.channels
        return reader

    def _records(self) -> Iterator[McapRecord]:
        """Read the records one after the other, the messages of a chunk in order of time."""
        self._file.seek(0)
        for record in StreamReader(self._file, emit_chunks=True).records:
            if isinstance(record, Chunk):
                inner = breakup_chunk(record, validate_crc=True)
                yield from sorted(inner, key=lambda one: getattr(one, 'log_time', 0))
            else:
                yield record

    def _scan(self, report: Callable[[str], None]) -> Counter[int]:
        """Find the topics up to any damage; count messages by channel."""
        counts: Counter[int] = Counter()
        try:
            for record in self._records():
                if isinstance(record, Schema):
                    self._schemas.setdefault(record.id, record)
                elif isinstance(record, Channel):
                    self._channels.setdefault(record.id, record)
                elif isinstance(record, Message) and record.channel_id in self._channels:
                    counts[record.channel_id] += 1
        except _DAMAGES:
            self._file.seek(-len(_MAGIC), 2)
            whole = self._file.read() == _MAGIC
            (self._report_damage if whole else report)(
                f'{self._path.name} is {"damaged" if whole else "cut off"}; '
                f'{sum(counts.values())} messages before it can be read. {self._advice}'
            )
        return counts


def _parse_qos(channel: Channel) -> list[Qos]:
    """Return the recorded QoS of a topic; empty if unreadable: the default one is used then."""
    try:
        return metadata.parse_qos(channel.metadata.get('offered_qos_profiles', ''))
    except Exception:  # noqa: BLE001 - for any YAML
        return []
