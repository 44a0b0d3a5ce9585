"""Start the tracker node with a parameter file."""

from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription


def generate_launch_description():
    """Declare the arguments and the node."""
    default_params = PathJoinSubstitution(
        [FindPackageShare('persontrack_ros'), 'config', 'persontrack.yaml']
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of the node and its topics.'
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=default_params,
                description='Parameter file (YAML) of the node.',
            ),
            DeclareLaunchArgument(
                'image',
                default_value='image_raw',
                description='Topic of the images, for example /camera/image_raw.',
            ),
            DeclareLaunchArgument(
                'autostart',
                default_value='true',
                choices=['true', 'false'],
                description='Configure and activate the node at the start.',
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='false',
                choices=['true', 'false'],
                description='Take the time from /clock.',
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description='Log messages of this level and above.',
            ),
            Node(
                package='persontrack_ros',
                executable='tracker_node',
                name='person_tracker',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    LaunchConfiguration('params_file'),
                    {
                        'autostart': LaunchConfiguration('autostart'),
                        'use_sim_time': LaunchConfiguration('use_sim_time'),
                    },
                ],
                remappings=[('image_raw', LaunchConfiguration('image'))],
                arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
                output='screen',
            ),
        ]
    )
