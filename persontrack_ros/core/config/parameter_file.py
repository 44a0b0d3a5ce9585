"""
Parameter files of ROS, read without ROS.

Names of nodes and wildcards are those of rcl, the values those of YAML 1.1. They differ in corner
cases: 1e3 without a dot is a text here, and 010 is octal. In a node, rcl decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.config.node_options import DECLARED, Configuration
from persontrack_ros.core.config.settings import Settings, no_such_parameter

DEFAULT_NODE = '/person_tracker'

# Parameters that rclpy declares, by how they begin.
FOREIGN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')

_KEY = 'ros__parameters'
_EXAMPLE = 'write for example "/**: {ros__parameters: {tracker: {max_age: 70}}}"'
_NAME = re.compile(r'(/([A-Za-z_]\w*|\*\*?))+', re.ASCII)


class ParameterFile:
    """
    The content of a parameter file.

    :ivar entries: values by dotted name, by the full name of the node they are for, which may have
        the wildcards ``*`` and ``**``.
    """

    def __init__(self, path: Path) -> None:
        """
        Read a file.

        :raises SettingsError: if it cannot be read, or is no parameter file.
        """
        self.path = path
        self.entries: dict[str, dict[str, Any]] = {}
        try:
            self._read(load_yaml(path, 'parameter file'), '/')
        except SourceError as error:
            raise SettingsError(f'{error}; {_EXAMPLE}') from error

    def applies(self, entry: str, node: str) -> bool:
        """Return whether an entry applies to a node, given by its full name."""
        return re.fullmatch(entry.replace('/*', r'(/\w+)'), node, re.ASCII) is not None

    def values(self, node: str) -> dict[str, Any]:
        """Return the values for a node, by dotted name; of several entries, the last one wins."""
        values: dict[str, Any] = {}
        for entry, parameters in self.entries.items():
            if self.applies(entry, node):
                values.update(parameters)
        return values

    def _read(self, tree: Any, node: str) -> None:
        if not isinstance(tree, dict) or not tree:
            raise self._refusal(f'{node}: {_KEY} is missing')
        for key, value in tree.items():
            if key != _KEY:
                self._read(value, '/' + f'{node}/{key}'.strip('/'))
                continue
            if not _NAME.fullmatch(node):
                raise self._refusal(f'{node!r} above {_KEY} is no valid node name')
            if not isinstance(value, dict):
                raise self._refusal(f'{node}: no parameters are in it')
            self.entries.setdefault(node, {}).update(_flatten(value))

    def _refusal(self, problem: str) -> SettingsError:
        return SettingsError(f'{self.path} is no ROS parameter file: {problem}; {_EXAMPLE}')


def _flatten(tree: dict[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def read_settings(
    path: Path, report: Callable[[str], None], node: Optional[str] = None
) -> Settings:
    """
    Return the parameters of a file for a tracker.

    :param report: called with a line for each unknown name, and for entries that are left out.
    :param node: full name of the node. None is ``/person_tracker`` or, if the file has nothing for
        that, its only other person_tracker.
    :raises SettingsError: as the node refuses the file or a value, or if `node` is needed.
    """
    file = ParameterFile(path)
    trackers = [one for one in file.entries if one.endswith(DEFAULT_NODE) and '*' not in one]
    if node is None:
        node = DEFAULT_NODE
        if not any(file.applies(entry, node) for entry in file.entries) and trackers:
            node, *others = trackers
            if others:
                names = ' and '.join(trackers)
                raise SettingsError(f'{path} is for {names}: choose one of them with --node')
    values = file.values(node)
    others = [name for name in trackers if name != node]
    if not any(file.applies(entry, node) for entry in file.entries):
        report(f'{path} has nothing for {node}, only for {", ".join(file.entries)}')
    elif others:
        report(f'{path}: what it has for {" and ".join(others)} is left out, see --node')
    for name in [each for each in values if each not in DECLARED]:
        del values[name]
        if not name.startswith(FOREIGN):
            report(f'{path}: {no_such_parameter(name, DECLARED)}')
    return Configuration().changed(values).settings
