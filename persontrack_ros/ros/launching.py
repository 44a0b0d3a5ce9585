"""What the launch files have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from posixpath import dirname, join
from typing import Any

import yaml
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from launch import Action, LaunchContext, LaunchDescription
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import PUBLISHER_PARAMETERS, camera_names
from persontrack_ros.core.config.settings import TF
from persontrack_ros.ros.launch_arguments import Argument

# Fast DDS 2 (up to Jazzy) reads the first one, Fast DDS 3 the second.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')

# What launch itself understands, whatever file it launches, and what actions of launch_ros leave.
_OF_LAUNCH = {
    *('emulate_tty', 'launch-prefix', 'launch-prefix-filter'),
    *('sigkill_timeout', 'sigterm_timeout'),
    *('global_params', 'ros_namespace', 'ros_remaps'),
}

# What config/persontrack.rviz shows.
_RVIZ_TOPICS = ('annotated_image', 'markers', 'target_point')


def description(file: str, arguments: Mapping[str, Argument]) -> LaunchDescription:
    """
    Return the description of a launch file, whose arguments decide what it starts.

    :param file: the launch file. Where it is launched itself, an argument that it does not have
        starts nothing, and all processes end when a node ends with an error; what an including
        file has and launches is its own affair.
    :param arguments: all that the file has, by name.
    """
    path = Path(file).resolve()
    config = path.parents[1] / 'config'
    words = sys.argv[1:]
    # By its path, or as `ros2 launch PACKAGE FILE`.
    launched = path in [Path(word).resolve() for word in words] or (
        ('persontrack_ros', path.name) in pairwise(words)
    )

    def start(context: LaunchContext) -> list[Action]:
        given = context.launch_configurations
        unknown = sorted(set(given) - {*arguments, *_OF_LAUNCH})
        if launched and unknown:
            raise SettingsError(
                f'{unknown[0]}: {path.name} has no such argument; it has {", ".join(arguments)}'
            )
        values = {name: given[name] for name in arguments}
        actions = _tracker(context, values, config)
        if 'source' in arguments:
            actions.append(_publisher(context, values))
        if launched and not _is_true(values['respawn']):
            actions.insert(0, RegisterEventHandler(OnProcessExit(on_exit=_end_after_an_error)))
        return actions

    declared = [
        DeclareLaunchArgument(
            name,
            default_value=one.default,
            description=one.description,
            choices=one.choices or None,
        )
        for name, one in arguments.items()
    ]
    return LaunchDescription([*declared, *_large_images(config), OpaqueFunction(function=start)])


def _end_after_an_error(event: ProcessExited, context: LaunchContext) -> None:
    """End all that was launched, with exit code 1, if a node of ours ended with an error."""
    error = event.returncode and not event.process_name.startswith('rviz2')
    if error and not context.is_shutdown:
        raise RuntimeError(f'{event.process_name} ended with exit code {event.returncode}')


def _large_images(config: Path) -> list[Action]:
    """Let the middleware pass large images, unless the user has configured it themselves."""
    values = {}
    if not any(os.environ.get(name) for name in _PROFILE_VARIABLES):
        profile = str(config / 'fastdds_large_images.xml')
        values = dict.fromkeys(_PROFILE_VARIABLES, profile)
    if not os.environ.get('CYCLONEDDS_URI'):
        values['CYCLONEDDS_URI'] = f'file://{config / "cyclonedds_large_images.xml"}'
    return [SetEnvironmentVariable(name, value) for name, value in values.items()]


def _tracker(context: LaunchContext, values: Mapping[str, str], config: Path) -> list[Action]:
    """Make the tracker, or those of the argument `cameras`, and rviz2 if it is wanted."""
    namespace, image, fixed = values['namespace'], _topic(values, 'image'), values['target_frame']
    parameters: dict[str, Any] = {
        flag: _is_true(values[flag]) for flag in ('use_sim_time', 'autostart') if values[flag]
    }
    for name in ('image_transport', 'target_frame', 'zones_file'):
        if values[name]:
            parameters[name] = _text(values[name])
    info = join(dirname(image), 'camera_info')
    if values['camera_info']:
        info = _topic(values, 'camera_info')
    remappings = [('image_raw', image), ('camera_info', info)]
    if values['depth']:
        parameters['depth'] = True
        remappings.append(('depth_image', _topic(values, 'depth')))
    if values['follow']:
        parameters |= {'target': _text(values['follow']), 'tracker.camera_motion': TF}
        remappings.append(('target_pose', 'goal_update'))
    namespaces, nodes = [namespace], ['person_tracker']
    if 'cameras' in values:
        parameters['cameras'] = _text(values['cameras'])
        names = camera_names(values['cameras'])
        namespaces = [f'{namespace.rstrip("/")}/{each}' if namespace else each for each in names]
        nodes = ['cameras', *(f'{each}/person_tracker' for each in names)]
    params_file = values['params_file']
    if params_file and not Path(params_file).is_file():
        raise SettingsError(f'params_file: there is no file {params_file!r}')
    node = Node(
        package='persontrack_ros',
        executable='cameras_node' if 'cameras' in values else 'tracker_node',
        name=None if 'cameras' in values else 'person_tracker',
        namespace=namespace,
        # No file unless it is wanted: it overrules what an including launch file sets.
        parameters=[*filter(None, (params_file, parameters))] or None,
        remappings=remappings,
        ros_arguments=_log_level(context, values, nodes),
        output='screen',
        respawn=_is_true(values['respawn']),
        respawn_delay=2.0,
    )
    if not _is_true(values['rviz']):
        return [node]
    frame = values['fixed_frame'] or fixed
    shown = config / ('persontrack_fixed.rviz' if fixed else 'persontrack.rviz')
    windows = [
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=each,
            arguments=[
                *('-d', str(shown), '-t', '{NAMESPACE} - persontrack'),
                *(('-f', frame) if frame else ()),
            ],
            # The configuration names topics without a namespace.
            remappings=[(f'/{topic}', topic) for topic in _RVIZ_TOPICS],
            output='screen',
        )
        for each in namespaces
    ]
    # First: where rviz2 is not installed, launch ends before it starts the node.
    return [*windows, node]


def _publisher(context: LaunchContext, values: Mapping[str, str]) -> Action:
    """Make the video_publisher, whose parameters are arguments too."""
    parameters = {}
    for one in PUBLISHER_PARAMETERS:
        text = values[one.name]
        value = one.check(text if one.type is str else yaml.safe_load(text))
        # Defaults would overrule what an including launch file sets.
        if value != one.default:
            parameters[one.name] = _text(value) if isinstance(value, str) else value
    return Node(
        package='persontrack_ros',
        executable='video_publisher',
        namespace=values['namespace'],
        parameters=[parameters] if parameters else None,
        remappings=[('image_raw', _topic(values, 'image'))],
        ros_arguments=_log_level(context, values, ['video_publisher']),
        output='screen',
    )


def _topic(values: Mapping[str, str], name: str) -> str:
    """Return a topic, below the name of the camera unless it begins with a slash."""
    return join(values['camera'], values[name])


def _is_true(value: str) -> bool:
    return value.lower() == 'true'


def _text(value: str) -> ParameterValue:
    """Keep launch from taking a text such as 0 for a number."""
    return ParameterValue(value, value_type=str)


def _log_level(context: LaunchContext, values: Mapping[str, str], nodes: list[str]) -> list[str]:
    """Return ROS arguments for the level of the loggers of nodes, not of what is below them."""
    base = context.launch_configurations.get('ros_namespace')
    full = make_namespace_absolute(prefix_namespace(base, values['namespace']))
    loggers = [f'{full}/{node}'.strip('/').replace('/', '.') for node in nodes]
    level = values['log_level']
    return [word for each in loggers for word in ('--log-level', f'{each}:={level}')]
