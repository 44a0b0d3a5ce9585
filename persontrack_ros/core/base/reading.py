"""Reading of untrusted files with bounded resources."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from persontrack_ros.core.base.errors import SourceError

# Ten thousand lines take a second.
MAX_YAML = 1 << 20


def open_regular(path: Path) -> BinaryIO:
    """
    Open a regular file to read it; opening a pipe or device may wait for ever.

    :raises OSError: if it is no regular file or does not exist, with the reason in `strerror`.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, 'it is no regular file, but a folder, device or pipe')
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

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.YAMLError(f'a name occurs twice (line {node.start_mark.line + 1})')
        return mapping


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


def load_yaml(path: Path, what: str = 'file') -> Any:
    """
    Read a YAML file in UTF-8.

    :param what: kind of file, for errors.
    :raises SourceError: if it cannot be read or is no YAML; with the path.
    """
    content = read_bytes(path, MAX_YAML, what)
    try:
        return parse_yaml(content.decode('utf-8-sig'))
    except ValueError as error:
        raise SourceError(f'cannot read the {what} {path}: {error}') from error
