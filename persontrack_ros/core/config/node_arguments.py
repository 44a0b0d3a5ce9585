"""The command line of ROS nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Union


def node_arguments(
    parameters: Mapping[str, Union[bool, int, float, str]], remappings: Iterable[str] = ()
) -> list[str]:
    """
    Return the arguments that give a node parameters and remappings (``OLD:=NEW``).

    Strings stay strings: the source '0' does not become an integer.
    """
    arguments = ['--ros-args']
    for name, value in parameters.items():
        text = str(value)
        if isinstance(value, bool):
            text = text.lower()
        elif isinstance(value, str):
            text = "'" + text.replace("'", "''") + "'"
        arguments += ['-p', f'{name}:={text}']
    for remapping in remappings:
        arguments += ['-r', remapping]
    return arguments
