"""
Parameter files of ROS: YAML, read by the rules of rcl without ROS.

Source: parse.c of rcl_yaml_param_parser and node.cpp of rclpy, which are the same from Humble on.
Nodes, wildcards and types work as in ROS. Corner cases of rcl (octal and hexadecimal fractions,
numbers out of range, a parameter twice with two types) do not; in a node, rcl decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import yaml

from persontrack_ros.core.base.errors import SettingsError, SourceError
from persontrack_ros.core.base.reading import read_yaml_text
from persontrack_ros.core.config.node_options import DECLARED, Configuration
from persontrack_ros.core.config.settings import REPLACED, Settings, no_such_parameter

DEFAULT_NODE = '/person_tracker'

# Parameters that rclpy and diagnostic_updater declare on every node, or on some.
_FOREIGN = ('use_sim_time', 'start_type_description_service')
_FOREIGN_GROUPS = ('qos_overrides.', 'diagnostic_updater.')

_KEY = 'ros__parameters'
_EXAMPLE = 'write for example "/**: {ros__parameters: {tracker: {max_age: 70}}}"'
_TEXT_TAG = 'tag:yaml.org,2002:str'
_TRUE = ('y', 'yes', 'true', 'on')
_FALSE = ('n', 'no', 'false', 'off')
_INTEGER = re.compile(r'[+-]?(0x[0-9a-f]+|0|[1-9]\d*)', re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(
    r'[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|\.?inf|\.?nan)', re.IGNORECASE | re.ASCII
)
_NAME = re.compile(r'[A-Za-z_]\w*|\*\*?', re.ASCII)


def is_foreign(name: str) -> bool:
    """Return whether ROS itself may declare a parameter on a node."""
    return name in _FOREIGN or name.startswith(_FOREIGN_GROUPS)


class ParameterFile:
    """
    The content of a parameter file.

    :ivar entries: values by dotted name, by the name of the node they are for, which may have the
        wildcards ``*`` and ``**``; in the order in which the names come first.
    """

    def __init__(self, path: Path) -> None:
        """
        Read a file.

        :raises SettingsError: if it cannot be read, or is no parameter file.
        """
        self.path = path
        self.entries: dict[str, dict[str, Any]] = {}
        try:
            loader = _Loader(read_yaml_text(path, 'parameter file'))
            while loader.check_node():
                self._read_nodes(loader.get_node(), '')
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else '?'
            raise SettingsError(
                f'cannot read the parameter file {path}: {error.problem} (line {line}); {_EXAMPLE}'
            ) from error
        except SourceError as error:
            raise SettingsError(str(error)) from error
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            reason = ' '.join(str(error).split())
            raise SettingsError(f'cannot read the parameter file {path}: {reason}') from error
        if not self.entries:
            raise SettingsError(f'{path} is no ROS parameter file: no node is in it; {_EXAMPLE}')

    def applies(self, entry: str, node: str) -> bool:
        """Return whether an entry applies to a node, given by its full name."""
        pattern = _full_name(entry).replace('/*', r'(/\w+)')
        return re.fullmatch(pattern, node, re.ASCII) is not None

    def values(self, node: str) -> dict[str, Any]:
        """Return the values for a node, by dotted name; of several entries, the last one wins."""
        values: dict[str, Any] = {}
        for entry, parameters in self.entries.items():
            if self.applies(entry, node):
                values.update(parameters)
        return values

    def _read_nodes(self, tree: Any, name: str) -> None:
        previous = ''
        for key, value in self._pairs(tree, f'{name or "all"}: {_KEY} is missing'):
            if previous == _KEY:
                raise self._refusal(key, f'{key.value} follows {_KEY}, which has to be the last')
            previous = key.value
            if key.value != _KEY:
                if name and '/' in key.value:
                    # rcl drops only the last part of it, and misreads the names that follow.
                    raise self._refusal(
                        key, f'{key.value} has a / below {name}; write the whole name at the top'
                    )
                separator = '/' if name and not name.endswith('/') else ''
                self._read_nodes(value, name + separator + key.value)
                continue
            if not name:
                raise self._refusal(key, f'no node is named above {_KEY}')
            if not all(_NAME.fullmatch(part) for part in _full_name(name)[1:].split('/')):
                raise self._refusal(key, f'{name!r} is no valid node name')
            self._read_parameters(value, '', self.entries.setdefault(name, {}))

    def _read_parameters(self, tree: Any, prefix: str, found: dict[str, Any]) -> None:
        for key, value in self._pairs(tree, f'{prefix[:-1] or _KEY}: no parameters are in it'):
            name = prefix + key.value
            if isinstance(value, yaml.MappingNode) and value.value:
                self._read_parameters(value, f'{name}.', found)
                continue
            found[name] = self._value(name, value)

    def _value(self, name: str, tree: Any) -> Any:
        if isinstance(tree, yaml.ScalarNode):
            if not tree.value and tree.style is None:
                raise self._refusal(tree, f'{name} has no value')
            return _scalar(tree)
        if isinstance(tree, yaml.SequenceNode) and all(
            isinstance(each, yaml.ScalarNode) for each in tree.value
        ):
            values = [_scalar(each) for each in tree.value]
            if len({type(each) for each in values}) > 1:
                raise self._refusal(tree, f'the values in {name} are of several types')
            return values or None
        raise self._refusal(tree, f'{name} has no value')

    def _pairs(self, tree: Any, problem: str) -> list[tuple[Any, Any]]:
        """Return keys and values of a mapping; SettingsError for other nodes of YAML."""
        if not isinstance(tree, yaml.MappingNode):
            raise self._refusal(tree, problem)
        for key, _ in tree.value:
            if not isinstance(key, yaml.ScalarNode) or not key.value:
                raise self._refusal(key, 'a name is missing')
        return list(tree.value)

    def _refusal(self, tree: Any, what: str) -> SettingsError:
        line = tree.start_mark.line + 1
        return SettingsError(
            f'{self.path} is no ROS parameter file: {what} (line {line}); {_EXAMPLE}'
        )


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
    named = dict.fromkeys(_full_name(entry) for entry in file.entries if '*' not in entry)
    namesakes = [name for name in named if name.endswith(DEFAULT_NODE)]
    if node is None:
        if any(file.applies(entry, DEFAULT_NODE) for entry in file.entries):
            node = DEFAULT_NODE
        elif len(namesakes) > 1:
            raise SettingsError(
                f'{path} is for {" and ".join(namesakes)}: choose one of them with --node'
            )
        else:
            node = namesakes[0] if namesakes else DEFAULT_NODE
    if not any(file.applies(entry, node) for entry in file.entries):
        report(f'{path} has nothing for {node}, only for {", ".join(file.entries)}')
    elif left := [name for name in namesakes if name != node]:
        report(f'{path}: what it has for {" and ".join(left)} is left out, see --node')
    values = file.values(node)
    for name in [each for each in values if each not in DECLARED]:
        del values[name]
        if name in REPLACED:
            raise SettingsError(f'{path}: {no_such_parameter(name, DECLARED)}')
        if not is_foreign(name):
            report(f'{path}: {no_such_parameter(name, DECLARED)}')
    return Configuration().changed(values).settings


def _full_name(entry: str) -> str:
    return entry if entry.startswith('/') else f'/{entry}'


class _Loader(yaml.SafeLoader):
    """Composes nodes with the tags as written, without aliases."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return ''

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, 'ROS takes no aliases', mark)
        return super().compose_node(parent, index)


def _scalar(node: Any) -> Any:
    """Return the value of a scalar, converted as in rcl."""
    text: str = node.value
    if node.tag == _TEXT_TAG or node.style in ("'", '"'):
        return text
    if text.lower() in _TRUE + _FALSE and text in (text.lower(), text.title(), text.upper()):
        return text.lower() in _TRUE
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text, 0) < 2**63:
        return int(text, 0)
    if _NUMBER.fullmatch(text):
        return float(re.sub('[.](?=[in])', '', text, flags=re.IGNORECASE))
    return text
