"""ROS parameters from the declarations in :mod:`persontrack_ros.core.settings`."""

from __future__ import annotations

from collections.abc import Iterable

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from persontrack_ros.core.settings import Parameter


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """Describe a parameter as ``ros2 param describe`` shows it."""
    message = ParameterDescriptor(
        description=parameter.description,
        additional_constraints=f'one of: {parameter.allowed}' if parameter.choices else '',
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


def declare(node: Node, parameters: Iterable[Parameter]) -> dict[str, str]:
    """
    Declare parameters on a node.

    A value given at the start that ROS itself refuses must not end the node with a traceback: the
    parameter is declared with its default, and the caller decides what the problem means.

    :returns: what was wrong, by name of the parameter.
    """
    problems = {}
    for parameter in parameters:
        arguments = (parameter.name, parameter.default, descriptor(parameter))
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
