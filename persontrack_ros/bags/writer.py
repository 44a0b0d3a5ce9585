"""Writing of bags."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from typing import Literal
from typing import Optional
from typing import Union

from rosbags.interfaces import Connection
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.rosbag2 import WriterError

from persontrack_ros.bags.reader import is_bag
from persontrack_ros.bags.types import TYPES
from persontrack_ros.bags.types import define
from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.report import warn

# The newest version that Humble reads too; it differs from 9 in how QoS is written down.
_VERSION: Literal[8] = 8


def check_output(path: Path, force: bool, source: Optional[Path] = None) -> None:
    """
    See whether a file or bag may be written, before any work is done for it.

    :param source: the bag that is read meanwhile.
    :raises OutputError: if it exists and `force` is not given, is a folder but no bag, or the bag
        that is read.
    """
    if not (path.exists() or path.is_symlink()):
        return
    if source and path.resolve() in (source.resolve(), *source.resolve().parents):
        raise OutputError(f'{path} is what is read; write to another place')
    if not force:
        raise OutputError(f'{path} exists already; --force overwrites it')
    if path.is_dir() and any(path.iterdir()) and not is_bag(path):
        raise OutputError(f'{path} is a folder but no bag, and is not overwritten')


class _FirstPart:
    """Folder of a bag for rosbags, so that the file in it is named as the first of rosbag2."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = f'{folder.name}_0'

    def __truediv__(self, name: str) -> Path:
        return self._folder / name


class _Writer(Writer):
    """Writes FOLDER_0.mcap where rosbags itself writes FOLDER.mcap, which ros2 bag cannot mend."""

    STORAGE_PLUGINS: dict[StoragePlugin, Any] = {
        plugin: lambda folder, compression, kind=kind: kind(_FirstPart(folder), compression)
        for plugin, kind in Writer.STORAGE_PLUGINS.items()
    }


class BagWriter:
    """
    Writes a bag.

    A context manager; leaving it completes the bag, after an error as well.
    """

    def __init__(self, path: Path, storage: str, force: bool = False) -> None:
        """
        Create a bag.

        :param storage: ``mcap`` or ``sqlite3``.
        :param force: overwrite a bag that exists.
        :raises OutputError: if it exists or cannot be written.
        """
        check_output(path, force)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            self._writer = _Writer(
                path, version=_VERSION, storage_plugin=StoragePlugin[storage.upper()]
            )
            self._writer.open()
        except (OSError, WriterError) as error:
            raise OutputError(f'cannot write {path}: {error}') from error

    def add_topic(self, name: str, message_type: str) -> Connection:
        """Add a topic of one of our TYPES."""
        return self._writer.add_connection(name, message_type, typestore=TYPES)

    def copy_topic(self, topic: Connection, report: Callable[[str], None] = warn) -> Connection:
        """
        Add a topic of another bag, to copy its messages as they are.

        :param report: is called with a warning where nobody knows the type of the messages.
        """
        definition, type_hash, known = define(topic)
        assert isinstance(topic.ext, ConnectionExtRosbag2)
        if not known:
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
            raise OutputError(f'cannot write {self._writer.path}: {error}') from error

    def __enter__(self) -> BagWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Complete the bag."""
        try:
            self._writer.close()
        except (OSError, sqlite3.Error) as failure:
            raise OutputError(f'cannot write {self._writer.path}: {failure}') from failure
