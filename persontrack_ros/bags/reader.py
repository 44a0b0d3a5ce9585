"""Reading of bags: folders or single files, compressed or not, complete or cut off."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional, Union

import zstandard
from rosbags.interfaces import Connection

from persontrack_ros.bags.mcap_file import ROS1, McapFile
from persontrack_ros.bags.sqlite_file import SqliteFile
from persontrack_ros.bags.types import COMPRESSED_IMAGE, IMAGE
from persontrack_ros.core.base.errors import SourceError, warn
from persontrack_ros.core.base.reading import load_yaml

# With both kinds of files in a folder, rosbag2 reads those in the metadata.
STORAGES = {'.mcap': 'mcap', '.db3': 'sqlite3'}
_ZSTD_SUFFIX = '.zstd'
_ROS1_ADVICE = (
    'holds messages of ROS 1; convert the .bag to ROS 2: '
    'rosbags-convert --src OLD.bag --dst NEW_BAG'
)


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag, by the names of its files."""
    if path.is_dir():
        return any(
            file.name == 'metadata.yaml' or _suffix(file) in STORAGES for file in path.iterdir()
        )
    return _suffix(path) in STORAGES


class BagReader(AbstractContextManager['BagReader']):
    """
    Reads the messages of a bag.

    A context manager. Of a damaged or truncated file, the messages before the damage are read,
    with a warning.

    :ivar connections: the topics of ROS 2; a topic in several files is listed once.
    :ivar others: the other topics, which are left out, with their kind.
    :ivar storage: ``mcap`` or ``sqlite3``.
    :ivar damages: damaged or missing parts so far.
    """

    def __init__(self, path: Path, report: Callable[[str], None] = warn) -> None:
        """
        Open a bag.

        :param path: its folder, or one of its files (.mcap, .db3, or these with .zstd).
        :param report: called with every warning.
        :raises SourceError: if it is no bag, a bag of ROS 1, or completely unreadable.
        """
        self.path = path
        self.damages: list[str] = []
        self._report = report
        self._sources: list[Union[McapFile, SqliteFile]] = []
        with ExitStack() as stack:
            files = self._find_files()
            self.storage = STORAGES[_suffix(files[0])]
            for file in files:
                try:
                    source = self._open(file, stack)
                except (OSError, SourceError) as error:
                    if len(files) == 1:
                        raise SourceError(f'{path} cannot be read: {error}') from error
                    self._damage(f'{file.name}, a part of {path}, cannot be read: {error}')
                    continue
                stack.callback(source.close)
                self._sources.append(source)
            merged: dict[tuple[str, str], Connection] = {}
            for one in (one for source in self._sources for one in source.connections):
                key = (one.topic, one.msgtype)
                known = merged.setdefault(key, one._replace(id=len(merged), msgcount=0))
                merged[key] = known._replace(msgcount=known.msgcount + one.msgcount)
            self.connections = list(merged.values())
            self.others = {
                topic: kind for source in self._sources for topic, kind in source.others.items()
            }
            if not self.connections and ROS1 in self.others.values():
                raise SourceError(f'{path} {_ROS1_ADVICE}')
            for topic, kind in self.others.items():
                self._report(f'{topic} is left out: its messages are {kind}, not of ROS 2')
            self._stack = stack.pop_all()

    def messages(
        self, topics: Optional[Collection[str]] = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """
        Read messages with topic and time (in nanoseconds), file by file in the order of time.

        Damaged and missing messages are skipped, with a warning.

        :param topics: names of topics; None means all.
        """
        known = {(one.topic, one.msgtype): one for one in self.connections}
        missing: Counter[str] = Counter()
        for source in self._sources:
            wanted = [one for one in source.connections if topics is None or one.topic in topics]
            found: Counter[int] = Counter()
            for connection, time, data in source.messages(wanted):
                if data[:4] == zstandard.FRAME_HEADER:
                    try:
                        data = zstandard.decompress(data)
                    except (MemoryError, zstandard.ZstdError):
                        continue
                found[connection.id] += 1
                yield known[connection.topic, connection.msgtype], time, data
            for one in wanted:
                missing[one.topic] += max(0, source.announced.get(one.id, 0) - found[one.id])
        for topic in +missing:
            self._damage(f'{missing[topic]} messages on {topic} are missing in {self.path}')

    def check_whole(self) -> None:
        """
        Check that everything read was undamaged.

        :raises SourceError: if something was damaged.
        """
        if self.damages:
            raise SourceError(
                f'{self.path} is damaged (see the warnings): only its readable part was used'
            )

    def choose_image_topic(self, name: Optional[str] = None) -> Connection:
        """
        Find the topic of the images.

        :param name: name of the topic; None for the only one that is not annotated.
        :raises SourceError: with the existing topics, if there is none or a choice is needed.
        """
        # compressedDepth images have their own format, and no colours.
        images = {
            one.topic: one
            for one in self.connections
            if one.msgtype in (IMAGE, COMPRESSED_IMAGE)
            and not one.topic.endswith('/compressedDepth')
        }
        if images:
            there = f'its image topics are {", ".join(images)}; choose one with --image-topic'
        else:
            topics = [f'{one.topic} ({one.msgtype})' for one in self.connections]
            topics += [f'{topic} ({kind})' for topic, kind in self.others.items()]
            there = f'it has no image topic (of {IMAGE} or {COMPRESSED_IMAGE}), only ' + (
                ', '.join(sorted(topics)) or 'no topics at all'
            )
        if name is None:
            # `bag track --annotated` adds one.
            cameras = [one for one in images if '/annotated_image' not in one]
            if len(cameras) != 1:
                raise SourceError(f'{self.path}: {there}')
            (name,) = cameras
        topic = images.get(name) or images.get(f'/{name}')
        if topic is None:
            raise SourceError(f'{self.path} has no image topic {name}; {there}')
        if not topic.msgcount:
            raise SourceError(f'{self.path} has no image on the topic {topic.topic}')
        return topic

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __exit__(self, *error: object) -> None:
        """Close the files."""
        self.close()

    def _damage(self, text: str) -> None:
        """Record damage; report it the first time."""
        if text not in self.damages:
            self.damages.append(text)
            self._report(text)

    def _find_files(self) -> list[Path]:
        """Return the files of the bag."""
        if not self.path.exists():
            raise SourceError(f'there is no bag {self.path}')
        if self.path.suffix == '.bag':
            raise SourceError(f'{self.path} {_ROS1_ADVICE}')
        # A pipe or device of such a name may never end.
        if self.path.is_file() and is_bag(self.path):
            return [self.path]
        found = [file for file in self.path.glob('*') if file.is_file()]
        found = [file for file in found if _suffix(file) in STORAGES]
        if not found:
            raise SourceError(
                f'{self.path} is no bag: no .mcap or .db3 file, nor a folder of them'
            )
        try:
            content = load_yaml(self.path / 'metadata.yaml')['rosbag2_bagfile_information']
            named = [self.path / Path(name).name for name in content['relative_file_paths']]
            named = [file for file in named if _suffix(file) in STORAGES]
        except (LookupError, SourceError, TypeError, ValueError) as error:
            self._report(f'{self.path} is read without its metadata.yaml: {error}')
            named = []
        for file in named:
            if file not in found:
                self._damage(f'{file.name}, a part of {self.path}, is missing')
        # Numbers count: the tenth part follows the ninth.
        found.sort(key=lambda file: (_suffix(file), len(file.name), file.name))
        return [file for file in named if file in found] or found

    def _open(self, file: Path, stack: ExitStack) -> Union[McapFile, SqliteFile]:
        """Open a file, if possible also a damaged one."""
        if file.suffix == _ZSTD_SUFFIX:
            packed, file = file, Path(stack.enter_context(TemporaryDirectory()), file.stem)
            try:
                with zstandard.open(packed, 'rb') as content, file.open('wb') as unpacked:
                    shutil.copyfileobj(content, unpacked)
            except zstandard.ZstdError as error:
                self._damage(f'{packed.name} is damaged: {error}')
        if file.with_name(f'{file.name}-wal').exists():
            raise SourceError(
                f'messages are in the log {file.name}-wal, as a killed recorder leaves it; move '
                f'them: `sqlite3 {file.name} "PRAGMA journal_mode=DELETE"`'
            )
        if file.suffix == '.mcap':
            return McapFile(file, self._report, self._damage)
        return SqliteFile(file, self._damage)


def _suffix(file: Path) -> str:
    return Path(file.name.removesuffix(_ZSTD_SUFFIX)).suffix
