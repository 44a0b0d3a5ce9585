"""
What differs between the distributions of ROS 2, from Humble on.

All differences are here and in docs/distributions.md; the rest of the package knows of none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Optional

import rclpy
from rclpy._rclpy_pybind11 import RCLError, UnknownROSArgsError
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

try:
    from rclpy import event_handler as events
except ImportError:  # Humble
    from rclpy import qos_event as events

from persontrack_ros.core.base.errors import SettingsError

__all__ = ['events']


def init(arguments: Optional[Sequence[str]]) -> None:
    """
    Initialise ROS without handlers of signals.

    :raises SettingsError: if there is something wrong with the arguments, in one line.
    """
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except UnknownROSArgsError as error:
        raise SettingsError(f'ROS does not know the arguments {error}') from error
    except RCLError as error:
        # What follows are lines of rcl's source.
        raise SettingsError(f'ROS does not start: {str(error).split(", at ")[0]}') from error


def not_installed(parameter: str, package: str) -> SettingsError:
    """Return the error of a parameter that needs a package of ROS which is not installed."""
    distribution = os.environ.get('ROS_DISTRO', '<distribution>')
    return SettingsError(
        f'{parameter} needs {package}, which is not installed: '
        f'sudo apt install ros-{distribution}-{package.replace("_", "-")}'
    )


def overrides(node: Node) -> dict[str, rclpy.Parameter]:
    """Return the parameters that files and arguments give a node, whether it has them or not."""
    # There is no public way to those that are not declared.
    return dict(node._parameter_overrides)


def take_waiting(subscription: Subscription) -> Iterator[bytes]:
    """Take the messages of a subscription that wait in the middleware, serialised."""
    with subscription.handle:
        # As an executor does.
        while taken := subscription.handle.take_message(subscription.msg_type, True):
            yield taken[0]


def local_discovery() -> dict[str, str]:
    """Return the variables that keep ROS on this machine; the second is all that Humble knows."""
    variables = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    if os.environ.get('ROS_DISTRO') == 'humble':
        variables['ROS_LOCALHOST_ONLY'] = '1'
    return variables
