"""What the launch files have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

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
from persontrack_ros.core.config.settings import Parameter, Value
from persontrack_ros.ros.launch_arguments import Argument

# Fast DDS 2 (up to Jazzy) reads the first one, Fast DDS 3 the second.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')

# What launch itself understands, whatever file it launches, and what actions of launch_ros leave.
_OF_LAUNCH = {
    *('emulate_tty', 'launch-prefix', 'launch-prefix-filter'),
    *('sigkill_timeout', 'sigterm_timeout'),
    *('global_params', 'ros_namespace', 'ros_remaps'),
}

# Makes processes of the values of the arguments; starts none.
Make = Callable[[LaunchContext, Mapping[str, str]], list[Action]]

# What config/persontrack.rviz shows.
RVIZ_TOPICS = ('annotated_image', 'markers')


def description(file: str, arguments: Sequence[Argument], *makers: Make) -> LaunchDescription:
    """
    Return the description of a launch file: the processes that the makers make.

    :param file: the launch file. Where it is launched itself, an argument that it does not have
        starts nothing, and all processes end when a node ends with an error; what an including
        file has and launches is its own affair.
    :param arguments: all that the file has.
    """
    launched = _is_launched(Path(file))

    def start(context: LaunchContext) -> list[Action]:
        given = context.launch_configurations
        names = [one.name for one in arguments]
        unknown = sorted(set(given) - {*names, *_OF_LAUNCH})
        if launched and unknown:
            raise SettingsError(
                f'{unknown[0]}: {Path(file).name} has no such argument; it has {", ".join(names)}'
            )
        values = {name: given[name] for name in names}
        actions = [action for maker in makers for action in maker(context, values)]
        if launched:
            actions.insert(0, RegisterEventHandler(OnProcessExit(on_exit=_end_after_an_error)))
        return actions

    declared = [
        DeclareLaunchArgument(
            one.name,
            default_value=one.default,
            description=one.description,
            choices=one.choices or None,
        )
        for one in arguments
    ]
    share = Path(file).resolve().parents[1]
    return LaunchDescription([*declared, *_large_images(share), OpaqueFunction(function=start)])


def _is_launched(file: Path) -> bool:
    """Return whether the command names this file, by its path or as `ros2 launch PACKAGE FILE`."""
    words = sys.argv[1:]
    return file.resolve() in (Path(word).resolve() for word in words) or any(
        words[at : at + 2] == ['persontrack_ros', file.name] for at in range(len(words))
    )


def _end_after_an_error(event: ProcessExited, context: LaunchContext) -> None:
    """
    End all that was launched if a node of ours ended with an error.

    :raises RuntimeError: then; launch ends all processes, and has the exit code 1.
    """
    error = event.returncode and not event.process_name.startswith('rviz2')
    if error and not context.is_shutdown:
        raise RuntimeError(f'{event.process_name} ended with exit code {event.returncode}')


def _large_images(share: Path) -> list[Action]:
    """Let the middleware pass large images, unless the user has configured it themselves."""
    values = {}
    if not any(os.environ.get(name) for name in _PROFILE_VARIABLES):
        profile = str(share / 'config' / 'fastdds_large_images.xml')
        values = dict.fromkeys(_PROFILE_VARIABLES, profile)
    if not os.environ.get('CYCLONEDDS_URI'):
        values['CYCLONEDDS_URI'] = f'file://{share / "config" / "cyclonedds_large_images.xml"}'
    return [SetEnvironmentVariable(name, value) for name, value in values.items()]


def tracker(file: str, executable: str, name: Optional[str] = None) -> Make:
    """
    Return what makes the tracker, or those of the argument `cameras`, and rviz2 if it is wanted.

    :param file: the launch file, beside whose folder `config` is.
    :raises SettingsError: when it is called, if there is no such parameter file, or the names of
        cameras are wrong.
    """
    config = Path(file).resolve().parents[1] / 'config'

    def make(context: LaunchContext, values: Mapping[str, str]) -> list[Action]:
        namespace = values['namespace']
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
        target = values['target_frame']
        if target:
            parameters['target_frame'] = _text(target)
        namespaces, nodes = [namespace], ['person_tracker']
        if 'cameras' in values:
            parameters['cameras'] = _text(values['cameras'])
            names = camera_names(values['cameras'])
            namespaces = [
                f'{namespace.rstrip("/")}/{each}' if namespace else each for each in names
            ]
            nodes = ['cameras', *(f'{each}/person_tracker' for each in names)]
        params_file = values['params_file']
        if params_file and not Path(params_file).is_file():
            raise SettingsError(f'params_file: there is no file {params_file!r}')
        node = Node(
            package='persontrack_ros',
            executable=executable,
            name=name,
            namespace=namespace,
            # No file unless it is wanted: it overrules what an including launch file sets.
            parameters=[*filter(None, (params_file, parameters))] or None,
            remappings=remappings,
            ros_arguments=_log_level(context, namespace, nodes, values['log_level']),
            output='screen',
        )
        if values['rviz'].lower() != 'true':
            return [node]
        shown = config / ('persontrack_fixed.rviz' if target else 'persontrack.rviz')
        frame = values['fixed_frame'] or target
        # First: where rviz2 is not installed, launch ends before it starts the node.
        return [*(_rviz(each, shown, frame) for each in namespaces), node]

    return make


def _rviz(namespace: str, shown: Path, frame: str) -> Node:
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=namespace,
        arguments=[
            *('-d', str(shown), '-t', '{NAMESPACE} - persontrack'),
            *(('-f', frame) if frame else ()),
        ],
        # The configuration names topics without a namespace.
        remappings=[(f'/{topic}', topic) for topic in RVIZ_TOPICS],
        output='screen',
    )


def publisher(context: LaunchContext, values: Mapping[str, str]) -> list[Action]:
    """
    Make the video_publisher, whose parameters are arguments too.

    :raises SettingsError: if the value of one is wrong.
    """
    namespace = values['namespace']
    parameters = {}
    for one in PUBLISHER_PARAMETERS:
        value = _parse(one, values[one.name])
        # Defaults would overrule what an including launch file sets.
        if value != one.default:
            parameters[one.name] = _text(value) if isinstance(value, str) else value
    return [
        Node(
            package='persontrack_ros',
            executable='video_publisher',
            namespace=namespace,
            parameters=[parameters] if parameters else None,
            remappings=[('image_raw', values['image'])],
            ros_arguments=_log_level(context, namespace, ['video_publisher'], values['log_level']),
            output='screen',
        )
    ]


def _text(value: str) -> ParameterValue:
    """Keep launch from taking a text such as 0 for a number."""
    return ParameterValue(value, value_type=str)


def _parse(parameter: Parameter, text: str) -> Value:
    """
    Return the value that an argument gives to a parameter.

    :raises SettingsError: if it is wrong.
    """
    value: Any = text
    if parameter.type is bool:
        value = text.lower() == 'true'
    else:
        with suppress(ValueError):  # the check reports it
            value = parameter.type(text)
    return parameter.check(value)


def _log_level(
    context: LaunchContext, namespace: str, nodes: Iterable[str], level: str
) -> list[str]:
    """Return ROS arguments for the level of the loggers of nodes, not of what is below them."""
    base = context.launch_configurations.get('ros_namespace')
    full = make_namespace_absolute(prefix_namespace(base, namespace))
    loggers = [f'{full}/{node}'.strip('/').replace('/', '.') for node in nodes]
    return [word for each in loggers for word in ('--log-level', f'{each}:={level}')]
