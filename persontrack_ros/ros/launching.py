"""What the launch files have in common."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ament_index_python.packages import PackageNotFoundError
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.logging import get_logger
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from launch import Action, LaunchContext
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import PUBLISHER_PARAMETERS, camera_names
from persontrack_ros.core.config.settings import Parameter, Value
from persontrack_ros.ros.launch_arguments import Argument

# If one of them is set, the user has a profile of their own. Fast DDS 2 (up to Jazzy) reads the
# first one, Fast DDS 3 the second.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')

# What launch itself understands, whatever file it launches, and what actions of launch_ros leave.
_OF_LAUNCH = (
    *('emulate_tty', 'launch-prefix', 'launch-prefix-filter'),
    *('sigkill_timeout', 'sigterm_timeout'),
    *('global_params', 'ros_namespace', 'ros_remaps'),
)

# Makes processes of the values of the arguments; starts none.
Make = Callable[[LaunchContext, Mapping[str, str]], list[Action]]

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


def start(file: str, arguments: Sequence[Argument], *makers: Make) -> Action:
    """
    Start the processes that the makers make: all of them, or none where an argument is wrong.

    If the file is launched itself, all end when a node ends with an error. What else an including
    file launches goes on.

    :param file: the launch file.
    :param arguments: all that the file declares.
    """

    def make(context: LaunchContext) -> list[Action]:
        _check_names(context, file, arguments)
        values = {one.name: context.launch_configurations[one.name] for one in arguments}
        actions = [action for maker in makers for action in maker(context, values)]
        if _is_launched(Path(file)):
            actions.insert(0, RegisterEventHandler(OnProcessExit(on_exit=_end_after_an_error)))
        return actions

    return OpaqueFunction(function=make)


def tracker(share: Path, executable: str, name: Optional[str] = None) -> Make:
    """
    Return what makes the tracker, or those of the argument `cameras`, and rviz2 if it is wanted.

    :param share: folder with `config`.
    :raises SettingsError: when it is called, if there is no such parameter file or no rviz2, or
        the names of cameras are wrong.
    """

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
        _check_rviz(context)
        configuration = 'persontrack_fixed.rviz' if target else 'persontrack.rviz'
        frame = values['fixed_frame'] or target
        return [node, *(rviz(each, configuration, frame) for each in namespaces)]

    def rviz(namespace: str, configuration: str, frame: str) -> Node:
        # The configuration names topics without a namespace.
        return Node(
            package='rviz2',
            executable='rviz2',
            namespace=namespace,
            arguments=[
                *('-d', str(share / 'config' / configuration)),
                *('-t', '{NAMESPACE} - persontrack'),
                *(('-f', frame) if frame else ()),
            ],
            remappings=[(f'/{topic}', topic) for topic in RVIZ_TOPICS],
            output='screen',
        )

    return make


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


def _end_after_an_error(event: ProcessExited, context: LaunchContext) -> None:
    """
    End all that was launched if a node of ours ended with an error.

    :raises RuntimeError: then; launch ends all processes, and has the exit code 1.
    """
    error = event.returncode and not event.process_name.startswith('rviz2')
    if error and not context.is_shutdown:
        raise RuntimeError(f'{event.process_name} ended with exit code {event.returncode}')


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
    return [
        argument
        for node in nodes
        for argument in (
            '--log-level',
            f'{full}/{node}'.strip('/').replace('/', '.') + f':={level}',
        )
    ]


def _check_rviz(context: LaunchContext) -> None:
    try:
        ExecutableInPackage('rviz2', 'rviz2').perform(context)
    except (PackageNotFoundError, SubstitutionFailure):
        distribution = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
        raise SettingsError(
            'rviz:=true: rviz2 is not installed, and nothing was started; install it with '
            f'"sudo apt install ros-{distribution}-rviz2", or leave rviz out'
        ) from None


def _check_names(context: LaunchContext, file: str, arguments: Sequence[Argument]) -> None:
    """
    Check that the file has all arguments that it was given.

    A file that is launched itself gets what the user wrote. One that is included by another one
    also gets all arguments and configurations of that one, without a mark of which are meant for
    it: a warning names those that resemble an argument of this file that is not given.

    :raises SettingsError: if the file is launched itself, and there are such arguments.
    """
    given = context.launch_configurations
    defaults = {one.name: one.default for one in arguments}
    launched = _is_launched(Path(file))
    for name in given:
        if name in defaults or name in _OF_LAUNCH:
            continue
        near = difflib.get_close_matches(name, defaults, n=1, cutoff=0.6 if launched else 0.8)
        problem = f'{name}: {Path(file).name} has no such argument'
        if launched:
            hint = f'did you mean {near[0]}?' if near else f'it has {", ".join(defaults)}'
            raise SettingsError(f'{problem}; {hint}')
        if near and given[near[0]] == defaults[near[0]]:
            get_logger('persontrack_ros').warning(f'{problem}; was {near[0]} meant?')


def _is_launched(file: Path) -> bool:
    """Return whether the command names this file, by its path or as `ros2 launch PACKAGE FILE`."""
    words = sys.argv[1:]
    return file.resolve() in (Path(word).resolve() for word in words) or any(
        words[at : at + 2] == ['persontrack_ros', file.name] for at in range(len(words))
    )
