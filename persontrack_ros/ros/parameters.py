"""ROS parameters from the declarations in :mod:`persontrack_ros.core.config.settings`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import rclpy
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import CAMERAS, DECLARED, Configuration, target_id
from persontrack_ros.core.config.parameter_file import FOREIGN
from persontrack_ros.core.config.settings import Parameter, no_such_parameter
from persontrack_ros.ros.compat import overrides


def descriptor(parameter: Parameter, read_only: bool) -> ParameterDescriptor:
    """Describe a parameter as ``ros2 param describe`` shows it."""
    constraints = [f'one of: {parameter.allowed}'] if parameter.choices else []
    if not (parameter.runtime or read_only):
        constraints.append('takes effect in configure')
    message = ParameterDescriptor(
        description=parameter.description,
        additional_constraints='; '.join(constraints),
        read_only=read_only,
        # 5 may be 5.0 or the text '5' where that is wanted; our own check refuses other types.
        dynamic_typing=True,
    )
    low, high = parameter.limits
    if parameter.type is int:
        message.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    elif parameter.type is float:
        message.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return message


def declare(
    node: Node,
    parameters: Iterable[Parameter],
    read_only: bool = False,
    beside: Iterable[str] = (),
) -> dict[str, str]:
    """
    Declare parameters on a node, and warn of unknown ones that it was given.

    A value given at the start that is wrong must not end the node with a traceback: the parameter
    is declared with its default, and the caller decides what the problem means.

    :param read_only: they are read at the start only.
    :param beside: names that other nodes of the process declare.
    :returns: what was wrong, by name of the parameter.
    """
    problems = {}
    given = overrides(node)
    known = []
    for parameter in parameters:
        value = parameter.default
        if parameter.name in given:
            try:
                value = parameter.check(given[parameter.name].value)
            except SettingsError as error:
                problems[parameter.name] = str(error)
        node.declare_parameter(
            parameter.name, value, descriptor(parameter, read_only), ignore_override=True
        )
        known.append(parameter.name)
    for name in sorted(set(given) - {*known, *beside}):
        if not name.startswith(FOREIGN):
            node.get_logger().warning(no_such_parameter(name, known))
    return problems


class NodeParameters:
    """
    The parameters of the node `person_tracker`, which change as a whole or not at all.

    :ivar current: the values in use; replaced as a whole, so that any thread can take them.
    :ivar configured: whether the structural ones are in use, and must stay as they are.
    """

    def __init__(self, node: Node, check: Callable[[Mapping[str, Any]], None]) -> None:
        """
        Declare them.

        :param check: called with values that are to be set, by name; raises SettingsError where
            the node cannot take them now.
        """
        self._node = node
        self._allow = check
        self._problems = declare(node, DECLARED.values(), beside=[CAMERAS])
        self.configured = False
        self.current = Configuration()
        with suppress(SettingsError):  # configure reports it
            self.current = self.current.changed(self._values())
        node.add_on_set_parameters_callback(self._change)

    def configure(self) -> None:
        """
        Take the structural ones into use.

        :raises SettingsError: if a value is wrong.
        """
        for problem in self._problems.values():
            raise SettingsError(problem)
        self.current = self.current.changed(self._values())
        self.configured = True

    def end_target(self) -> None:
        """Empty the target if it is an id: ids begin anew, and another person may get it."""
        target = self.current.options['target']
        if target_id(target) is not None and self._node.context.ok():
            self._node.get_logger().warning(
                f'target {target} ends with its ids: target is empty now'
            )
            self._node.set_parameters([rclpy.Parameter('target', value='')])

    def _values(self) -> dict[str, Any]:
        return {name: self._node.get_parameter(name).value for name in DECLARED}

    def _change(self, parameters: Sequence[rclpy.Parameter]) -> SetParametersResult:
        """Refuse new values, or take all of them."""
        changes = {one.name: one.value for one in parameters if one.name in DECLARED}
        try:
            # rclpy takes an empty name for declared.
            if any(not one.name for one in parameters):
                raise SettingsError('a parameter has no name')
            changes = {name: DECLARED[name].check(value) for name, value in changes.items()}
            before = self.current.values
            for name, value in changes.items():
                if self.configured and not DECLARED[name].runtime and value != before[name]:
                    raise SettingsError(
                        f'{name} takes effect in configure: deactivate and cleanup the node first'
                    )
            changed = self.current.changed(changes)
            self._allow(changes)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in changes:
            self._problems.pop(name, None)
        # The worker uses them from its next image on.
        self.current = changed
        return SetParametersResult(successful=True)
