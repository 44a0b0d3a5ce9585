"""Reading of untrusted files with bounded resources."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from persontrack_ros.core.base.errors import SourceError

# Ten thousand lines take a second.
_MAX_YAML = 1 << 20


def check_regular(path: Path) -> None:
    """
    Refuse anything but a regular file: opening or reading a pipe or device may wait for ever.

    :raises OSError: if it is no regular file or does not exist, with the reason in `strerror`.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = 'a folder' if stat.S_ISDIR(mode) else 'a device, pipe or socket'
        raise OSError(errno.EINVAL, f'it is no regular file, but {kind}', str(path))


def open_regular(path: Path) -> BinaryIO:
    """
    Open a regular file to read it.

    :raises OSError: see :func:`check_regular`.
    """
    check_regular(path)
    return path.open('rb')


def read_bytes(path: Path, limit: int, what: str = 'file') -> bytes:
    """
    Read a file whole.

    :param limit: largest plausible size in bytes.
    :param what: kind of file, for errors.
    :raises SourceError: if it cannot be read, is larger, or is no regular file (a device or pipe
        may never end).
    """
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ValueError(f'it has more than {limit} bytes')
        return content
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise SourceError(f'cannot read the {what} {path}: {reason}') from error


class _PlainLoader(yaml.SafeLoader):
    """
    Reads YAML without aliases, huge numbers and names that occur twice.

    Nested aliases can make values of any size. ROS refuses aliases in parameter files, too.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('aliases (*) are not supported')
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value]
        again = next((name for name in names if names.count(name) > 1), None)
        if again is not None:
            raise yaml.YAMLError(f'{again} is there twice in{node.start_mark}')
        return super().construct_mapping(node, deep)


def _construct_integer(loader: _PlainLoader, node: Any) -> int:
    value = yaml.SafeLoader.construct_yaml_int(loader, node)
    if not -(2**63) <= value < 2**64:
        raise yaml.YAMLError(f'a number of {len(node.value)} digits is too large')
    return value


_PlainLoader.add_constructor('tag:yaml.org,2002:int', _construct_integer)


def parse_yaml(content: str) -> Any:
    """
    Return the content of a YAML text.

    :raises ValueError: if it is no YAML, or has aliases or huge numbers.
    """
    try:
        # A safe loader with fewer features.
        return yaml.load(content, _PlainLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(' '.join(str(error).split()) or type(error).__name__) from error


def read_yaml_text(path: Path, what: str = 'file') -> str:
    """
    Read a UTF-8 file of the size of a handwritten YAML file at most.

    :param what: kind of file, for errors.
    :raises SourceError: if it cannot be read; with the path.
    """
    try:
        return read_bytes(path, _MAX_YAML, what).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise SourceError(f'cannot read the {what} {path}: {error}') from error


def load_yaml(path: Path, what: str = 'file') -> Any:
    """
    Read a YAML file in UTF-8.

    :param what: kind of file, for errors.
    :raises SourceError: if it cannot be read or is no YAML; with the path.
    """
    content = read_yaml_text(path, what)
    try:
        return parse_yaml(content)
    except ValueError as error:
        raise SourceError(f'cannot read the {what} {path}: {error}') from error
