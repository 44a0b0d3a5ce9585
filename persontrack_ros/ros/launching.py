"""What the launch files have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from typing import Optional

from launch.actions import DeclareLaunchArgument
from launch.actions import OpaqueFunction
from launch.actions import SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import Action
from launch import LaunchContext
from persontrack_ros.ros.launch_arguments import TRACKER
from persontrack_ros.ros.launch_arguments import Argument

# Whoever has set one of them has a profile of their own. Fast DDS 2 (up to Jazzy) reads the first
# one, Fast DDS 3 the second.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')

# What config/persontrack.rviz shows.
RVIZ_TOPICS = ('annotated_image', 'markers')


def declare(arguments: Iterable[Argument]) -> list[Action]:
    """Declare arguments of a launch file."""
    return [
        DeclareLaunchArgument(
            one.name,
            default_value=one.default,
            description=one.description,
            choices=one.choices or None,
        )
        for one in arguments
    ]


def use_large_images(share: Path) -> list[Action]:
    """Let the middleware pass large images, unless the user has configured it themselves."""
    values = {}
    if not any(os.environ.get(name) for name in _PROFILE_VARIABLES):
        profile = str(share / 'config' / 'fastdds_large_images.xml')
        values = dict.fromkeys(_PROFILE_VARIABLES, profile)
    if not os.environ.get('CYCLONEDDS_URI'):
        values['CYCLONEDDS_URI'] = f'file://{share / "config" / "cyclonedds_large_images.xml"}'
    return [SetEnvironmentVariable(name, value) for name, value in values.items()]


def start_tracker(
    share: Path, executable: str, name: Optional[str] = None, cameras: bool = False
) -> Action:
    """
    Start the tracker, and rviz2 if it is wanted, when the arguments in TRACKER are known.

    :param share: folder with `config`.
    :param cameras: whether there are several, named by the argument of that name.
    """

    def start(context: LaunchContext) -> list[Action]:
        values = {one.name: LaunchConfiguration(one.name).perform(context) for one in TRACKER}
        parameters: dict[str, Any] = {
            flag: values[flag].lower() == 'true'
            for flag in ('use_sim_time', 'autostart')
            if values[flag]
        }
        if values['image_transport']:
            parameters['image_transport'] = values['image_transport']
        image, depth = values['image'], values['depth']
        info = values['camera_info'] or ''.join((*image.rpartition('/')[:2], 'camera_info'))
        remappings = [('image_raw', image), ('camera_info', info)]
        if depth:
            parameters['depth'] = True
            remappings.append(('depth_image', depth))
        namespaces = [values['namespace']]
        if cameras:
            names = LaunchConfiguration('cameras').perform(context)
            parameters['cameras'] = names
            namespaces = [f'{values["namespace"]}/{name}'.lstrip('/') for name in names.split()]
        tracker = Node(
            package='persontrack_ros',
            executable=executable,
            name=name,
            namespace=values['namespace'],
            parameters=[
                values['params_file'] or str(share / 'config' / 'persontrack.yaml'),
                parameters,
            ],
            remappings=remappings,
            arguments=['--ros-args', '--log-level', values['log_level']],
            output='screen',
        )
        return [tracker, *(map(rviz, namespaces) if values['rviz'].lower() == 'true' else [])]

    def rviz(namespace: str) -> Node:
        # The configuration names topics without a namespace.
        return Node(
            package='rviz2',
            executable='rviz2',
            namespace=namespace,
            arguments=['-d', str(share / 'config' / 'persontrack.rviz')],
            remappings=[(f'/{topic}', topic) for topic in RVIZ_TOPICS],
            output='screen',
        )

    return OpaqueFunction(function=start)
