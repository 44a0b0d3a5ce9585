"""ROS parameters from the declarations in :mod:`persontrack_ros.core.settings`."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from typing import NamedTuple

import rclpy
from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.settings import PARAMETERS
from persontrack_ros.core.settings import Parameter
from persontrack_ros.core.settings import Settings
from persontrack_ros.ros.compat import on_parameters_set
from persontrack_ros.ros.options import NODE_PARAMETERS
from persontrack_ros.ros.options import check_options


def descriptor(parameter: Parameter, read_only: bool) -> ParameterDescriptor:
    """Describe a parameter as ``ros2 param describe`` shows it."""
    constraints = [f'one of: {parameter.allowed}'] if parameter.choices else []
    if not (parameter.runtime or read_only):
        constraints.append('takes effect in configure')
    message = ParameterDescriptor(
        description=parameter.description,
        additional_constraints='; '.join(constraints),
        read_only=read_only,
        # ROS reads the text 0 (a camera's number) as an integer and would refuse it.
        dynamic_typing=parameter.type is str,
    )
    if parameter.minimum is not None and parameter.maximum is not None:
        if parameter.type is int:
            message.integer_range = [
                IntegerRange(
                    from_value=int(parameter.minimum), to_value=int(parameter.maximum), step=1
                )
            ]
        else:
            message.floating_point_range = [
                FloatingPointRange(
                    from_value=float(parameter.minimum), to_value=float(parameter.maximum)
                )
            ]
    return message


def declare(
    node: Node, parameters: Iterable[Parameter], read_only: bool = False
) -> dict[str, str]:
    """
    Declare parameters on a node.

    A value given at the start that ROS itself refuses must not end the node with a traceback: the
    parameter is declared with its default, and the caller decides what the problem means.

    :param read_only: they are read at the start only.
    :returns: what was wrong, by name of the parameter.
    """
    problems = {}
    for parameter in parameters:
        arguments = (parameter.name, parameter.default, descriptor(parameter, read_only))
        try:
            node.declare_parameter(*arguments)
        except InvalidParameterTypeException as error:
            problems[parameter.name] = ' '.join(str(error).split())
        except InvalidParameterValueException:
            problems[parameter.name] = (
                f'{parameter.name}: the value given is not in the range {parameter.allowed}'
            )
        if parameter.name in problems:
            node.declare_parameter(*arguments, ignore_override=True)
    return problems


class Configuration(NamedTuple):
    """
    The values of all parameters of the node `person_tracker`, checked together.

    :ivar settings: those of the tracker.
    :ivar options: those of the node alone, by dotted name.
    """

    settings: Settings
    options: Mapping[str, Any]

    def changed(self, values: Mapping[str, Any]) -> Configuration:
        """
        Return a configuration with other values, by dotted name.

        :raises SettingsError: if one is not allowed, or they contradict each other.
        """
        own = {one.name: one for one in NODE_PARAMETERS}
        options = {
            **self.options,
            **{name: own[name].check(value) for name, value in values.items() if name in own},
        }
        check_options(options)
        others = {name: value for name, value in values.items() if name not in own}
        return Configuration(Settings.from_values(others, base=self.settings), options)

    @property
    def values(self) -> dict[str, Any]:
        """All values by dotted name."""
        return {**self.options, **self.settings.values()}


class NodeParameters:
    """
    The parameters of the node `person_tracker`, which change as a whole or not at all.

    :ivar current: the values in use; replaced as a whole, so that any thread can take them.
    :ivar configured: whether the structural ones are in use, and must stay as they are.
    """

    def __init__(self, node: Node) -> None:
        """Declare them."""
        self._node = node
        self._declared = {one.name: one for one in (*NODE_PARAMETERS, *PARAMETERS)}
        self._problems = declare(node, self._declared.values())
        self.configured = False
        self.current = Configuration(
            Settings(), {one.name: one.default for one in NODE_PARAMETERS}
        )
        values = self._values()
        for name, value in list(values.items()):
            try:
                self._declared[name].check(value)
            except SettingsError as error:
                self._problems[name] = str(error)
                del values[name]
        with suppress(SettingsError):  # configure says it
            self.current = self.current.changed(values)
        on_parameters_set(node, self._check, self._take)

    def configure(self) -> None:
        """
        Take the structural ones into use.

        :raises SettingsError: if a value is wrong.
        """
        for problem in self._problems.values():
            raise SettingsError(problem)
        self.current = self.current.changed(self._values())
        self.configured = True

    def _values(self) -> dict[str, Any]:
        return {name: self._node.get_parameter(name).value for name in self._declared}

    def _changes(self, parameters: Sequence[rclpy.Parameter]) -> dict[str, Any]:
        return {one.name: one.value for one in parameters if one.name in self._declared}

    def _check(self, parameters: Sequence[rclpy.Parameter]) -> SetParametersResult:
        changes = self._changes(parameters)
        try:
            self.current.changed(changes)
            for name, value in changes.items():
                fixed = self.configured and not self._declared[name].runtime
                if fixed and value != self.current.values[name]:
                    raise SettingsError(
                        f'{name} takes effect in configure: deactivate and cleanup the node first'
                    )
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take(self, parameters: Sequence[rclpy.Parameter]) -> None:
        changes = self._changes(parameters)
        for name in changes:
            self._problems.pop(name, None)
        # The worker uses them from its next image on.
        self.current = self.current.changed(changes)
