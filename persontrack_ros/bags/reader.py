"""Reading of bags: folders or single files, compressed or not, complete or cut off."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any
from typing import Optional
from typing import Union

import yaml
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import McapReader

from persontrack_ros.bags.salvage import Salvage
from persontrack_ros.bags.salvage import SalvagedMcap
from persontrack_ros.bags.salvage import SalvagedSqlite
from persontrack_ros.bags.salvage import is_whole_sqlite
from persontrack_ros.bags.types import COMPRESSED_IMAGE
from persontrack_ros.bags.types import IMAGE
from persontrack_ros.core.errors import SourceError
from persontrack_ros.core.report import warn

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Where both kinds of files are, rosbag2 itself takes what the metadata names.
STORAGES = {'.mcap': 'mcap', '.db3': 'sqlite3'}
_ZSTD_SUFFIX = '.zstd'
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


def is_bag(path: Path) -> bool:
    """Tell a bag from another file or folder, by the names of its files."""
    if path.is_dir():
        return any(
            file.name == 'metadata.yaml' or _suffix(file) in STORAGES for file in path.iterdir()
        )
    return _suffix(path) in STORAGES


class BagReader:
    """
    Reads the messages of a bag.

    A context manager. A bag that is cut off gives all messages that can be read, with a warning.

    :ivar connections: the topics; one that stands in several files is there once.
    :ivar storage: ``mcap`` or ``sqlite3``.
    """

    def __init__(self, path: Path, report: Callable[[str], None] = warn) -> None:
        """
        Open a bag.

        :param path: its folder, or one of its files (.mcap, .db3, or these with .zstd).
        :param report: is called with every warning.
        :raises SourceError: if it is no bag, or nothing of it can be read.
        """
        self.path = path
        self._report = report
        self._sources: list[Union[Reader, Salvage]] = []
        with ExitStack() as stack:
            metadata = self._read_metadata()
            files = self._find_files(metadata)
            self.storage = STORAGES[_suffix(files[0])]
            for file in files:
                try:
                    source = self._open(file, stack)
                except (OSError, SourceError) as error:
                    if len(files) == 1:
                        raise SourceError(f'{path} cannot be read: {error}') from error
                    self._report(f'{file.name}, a part of {path}, cannot be read: {error}')
                    continue
                stack.callback(source.close)
                self._sources.append(source)
            self.connections = self._merge_connections(metadata)
            count = sum(connection.msgcount for connection in self.connections)
            told = metadata.get('message_count', count)
            if count != told:
                self._report(f'{path} should have {told} messages, but {count} can be read')
            self._stack = stack.pop_all()

    def messages(
        self, topics: Optional[Collection[str]] = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """
        Read messages with their topics and times (in nanoseconds), file by file in time's order.

        Damage that shows only now ends the file it is in, with a warning.

        :param topics: names of those wanted; None means all.
        """
        known = {(one.topic, one.msgtype): one for one in self.connections}
        for source in self._sources:
            wanted = [one for one in source.connections if topics is None or one.topic in topics]
            if not wanted:
                continue
            try:
                for connection, time, data in source.messages(wanted):
                    if data[:4] == _ZSTD_MAGIC:
                        data = zstd.decompress(data)
                    yield known[connection.topic, connection.msgtype], time, data
            except Exception as error:  # noqa: BLE001 - three libraries, each with errors of its own
                reason = ' '.join(str(error).split())
                self._report(f'{self.path} is damaged, what follows is not read: {reason}')

    def choose_image_topic(self, name: Optional[str] = None) -> Connection:
        """
        Find the topic of the images.

        :param name: of the topic; None where there should be only one.
        :raises SourceError: naming those there are, if there is none or a choice is needed.
        """
        # compressedDepth pictures have a header of their own, and no colours.
        images = {
            one.topic: one
            for one in self.connections
            if one.msgtype in (IMAGE, COMPRESSED_IMAGE)
            and not one.topic.endswith('/compressedDepth')
        }
        there = (
            f'its image topics are {", ".join(images)}'
            if images
            else (
                'it has no image topic, only '
                + (', '.join(sorted(one.topic for one in self.connections)) or 'no topics at all')
            )
        )
        if name is None:
            if len(images) != 1:
                choice = '; choose one with --image-topic' if images else ''
                raise SourceError(f'{self.path}: {there}{choice}')
            (name,) = images
        topic = images.get(name) or images.get(f'/{name}')
        if topic is None:
            raise SourceError(f'{self.path} has no image topic {name}; {there}')
        if not topic.msgcount:
            raise SourceError(f'{self.path} has no image on the topic {topic.topic}')
        return topic

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __enter__(self) -> BagReader:
        """Return the reader."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Close the files."""
        self.close()

    def _read_metadata(self) -> dict[str, Any]:
        file = self.path / 'metadata.yaml'
        if not self.path.is_dir():
            return {}
        try:
            metadata = yaml.safe_load(file.read_text())['rosbag2_bagfile_information']
            if isinstance(metadata, dict):
                return metadata
            raise ValueError('it holds something else')
        except FileNotFoundError:
            reason = 'it is missing'
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            reason = ' '.join(str(error).split())
        if self._files_in_folder():
            self._report(f'{self.path} is read without its metadata.yaml: {reason}')
        return {}

    def _files_in_folder(self) -> list[Path]:
        files = [file for file in self.path.iterdir() if _suffix(file) in STORAGES]
        # Numbers count: the tenth part follows the ninth.
        return sorted(files, key=lambda file: (_suffix(file), len(file.name), file.name))

    def _find_files(self, metadata: dict[str, Any]) -> list[Path]:
        if not self.path.exists():
            raise SourceError(f'there is no bag {self.path}')
        if not self.path.is_dir():
            if _suffix(self.path) not in STORAGES:
                raise SourceError(f'{self.path} is no bag: neither a folder, nor .mcap or .db3')
            return [self.path]
        named = [self.path / Path(name).name for name in metadata.get('relative_file_paths', [])]
        files = [file for file in named if file.is_file()] or self._files_in_folder()
        if not files:
            raise SourceError(f'{self.path} is no bag: there is no .mcap or .db3 file in it')
        for file in named:
            if not file.is_file():
                self._report(f'{file.name}, a part of {self.path}, is missing')
        return files

    def _open(self, file: Path, stack: ExitStack) -> Union[Reader, Salvage]:
        """Open a file, as it should be or else for what can still be read."""
        name = file.name
        if file.suffix == _ZSTD_SUFFIX:
            file = self._decompress(file, stack)
        if file.suffix == '.db3' and file.with_name(f'{file.name}-wal').exists():
            file = _with_write_ahead_log(file, stack)
        kind = SalvagedMcap if file.suffix == '.mcap' else SalvagedSqlite
        with suppress(Exception):
            if kind is SalvagedMcap or is_whole_sqlite(file):
                reader = Reader(file)
                reader.open()
                if not (isinstance(reader.storage, McapReader) and not reader.storage.chunks):
                    return reader
                # Without an index, the library reads only what lies in the order of time.
                reader.close()
                return SalvagedMcap(file)
        salvage = kind(file)
        count = sum(connection.msgcount for connection in salvage.connections)
        self._report(f'{name} is cut off or damaged; {count} messages of it can be read')
        return salvage

    def _decompress(self, file: Path, stack: ExitStack) -> Path:
        target = Path(stack.enter_context(TemporaryDirectory()), file.stem)
        with file.open('rb') as packed, target.open('wb') as unpacked:
            try:
                with zstd.open(packed) as content:
                    shutil.copyfileobj(content, unpacked, 1 << 16)
            except (EOFError, zstd.ZstdError) as error:
                self._report(f'{file.name} is cut off or damaged: {error}')
        return target

    def _merge_connections(self, metadata: dict[str, Any]) -> list[Connection]:
        """Make one list of the topics of all files, with what only the metadata knows."""
        hashes = {}
        for topic in metadata.get('topics_with_message_count', ()):
            details = topic['topic_metadata']
            hashes[details['name'], details['type']] = details.get('type_description_hash') or ''
        merged: dict[tuple[str, str], Connection] = {}
        for source in self._sources:
            for one in source.connections:
                key = (one.topic, one.msgtype)
                count = one.msgcount + (merged[key].msgcount if key in merged else 0)
                merged[key] = merged.get(key, one)._replace(
                    id=len(merged), msgcount=count, digest=one.digest or hashes.get(key, '')
                )
        return list(merged.values())


def _suffix(file: Path) -> str:
    return Path(file.name.removesuffix(_ZSTD_SUFFIX)).suffix


def _with_write_ahead_log(file: Path, stack: ExitStack) -> Path:
    """Take in what a recorder that was killed had not moved into its file yet, in a copy."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    for name in (file.name, f'{file.name}-wal'):
        shutil.copyfile(file.with_name(name), folder / name)
    with closing(sqlite3.connect(folder / file.name)) as database:
        database.execute('PRAGMA journal_mode=DELETE')
    return folder / file.name
