"""Writing of bags."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Union

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.rosbag2.storage_mcap import McapWriter

from persontrack_ros.bags.reader import is_bag
from persontrack_ros.bags.types import TYPES, define
from persontrack_ros.core.base.errors import OutputError, warn
from persontrack_ros.core.base.output import temporary_name


class _McapWriter(McapWriter):
    """Writes the CRC of each chunk, which rosbags leaves out; see https://mcap.dev/spec."""

    # Behind the head of the record and three numbers of 8 bytes.
    _CRC = 9 + 24

    def close_chunk(self) -> None:
        crc = zlib.crc32(self.chunk.bio.getbuffer())
        start = self.bio.tell()
        super().close_chunk()
        end = self.bio.tell()
        self.bio.seek(start + self._CRC)
        self.bio.write(struct.pack('<I', crc))
        self.bio.seek(end)


class _Writer(Writer):
    STORAGE_PLUGINS = {**Writer.STORAGE_PLUGINS, StoragePlugin.MCAP: _McapWriter}


class BagWriter(AbstractContextManager['BagWriter']):
    """
    Writes a bag.

    A context manager; leaving it completes the bag. Until then it has another name in the same
    folder; if there was an error, there is none, and one that was there stays.
    """

    def __init__(self, path: Path, storage: str, force: bool = False) -> None:
        """
        Create a bag.

        :param storage: ``mcap`` or ``sqlite3``.
        :param force: replace a bag that exists.
        :raises OutputError: if it exists, is a folder but no bag, or cannot be written.
        """
        if path.exists() and not force:
            raise OutputError(f'{path} exists already')
        if path.is_dir() and any(path.iterdir()) and not is_bag(path):
            raise OutputError(f'{path} is a folder but no bag, and is not overwritten')
        # Normalised, because of a name such as `..` there is no other in the same folder.
        self._path = Path(os.path.abspath(path))
        self._folder = temporary_name(self._path)
        try:
            self._folder.mkdir()
            # The file in it is named as its folder; rosbag2 needs the number of the part.
            self._writer = _Writer(
                self._folder / f'{self._path.name}_0',
                # The newest one that Humble reads too; 9 writes the QoS in another way.
                version=8,
                storage_plugin=StoragePlugin[storage.upper()],
            )
            self._writer.open()
        except (OSError, WriterError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise self._problem(error) from error

    def add_topic(self, name: str, message_type: str) -> Connection:
        """Add a topic of one of our TYPES."""
        return self._writer.add_connection(name, message_type, typestore=TYPES)

    def copy_topic(self, topic: Connection, report: Callable[[str], None] = warn) -> Connection:
        """
        Add a topic of another bag, to copy its messages as they are.

        :param report: called with a warning if the type of the messages is unknown.
        """
        definition, type_hash = define(topic)
        assert isinstance(topic.ext, ConnectionExtRosbag2)
        if not definition:
            report(
                f'{topic.topic} is copied without a definition of its type {topic.msgtype}, '
                'which the bag does not have'
            )
        return self._writer.add_connection(
            topic.topic,
            topic.msgtype,
            msgdef=definition,
            rihs01=type_hash,
            serialization_format=topic.ext.serialization_format,
            offered_qos_profiles=topic.ext.offered_qos_profiles,
        )

    def write(self, topic: Connection, time: int, data: Union[bytes, memoryview]) -> None:
        """
        Append a serialised message.

        :param time: when it was recorded, in nanoseconds.
        :raises OutputError: if it cannot be written.
        """
        try:
            self._writer.write(topic, time, data)
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from error

    def __exit__(self, *error: object) -> None:
        """Complete the bag, or leave none."""
        try:
            self._writer.close()
            if error[0] is None:
                if self._path.is_dir() and not self._path.is_symlink():
                    shutil.rmtree(self._path)
                else:
                    self._path.unlink(missing_ok=True)
                self._writer.path.rename(self._path)
        except (OSError, sqlite3.Error) as failure:
            # Of what failed before, it would fail here again.
            if error[0] is None:
                raise self._problem(failure) from failure
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _problem(self, error: Exception) -> OutputError:
        return OutputError(
            f'cannot write {self._path}: {getattr(error, "strerror", None) or error}'
        )
