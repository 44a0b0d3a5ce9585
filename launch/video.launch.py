"""Start the tracker node on a video file, a folder of images or a camera."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

# Arguments that are parameters of the video_publisher: name, default, type, description.
PUBLISHER_ARGUMENTS = (
    ('source', '0', str, 'Video file, folder of images, or number of a camera.'),
    ('rate', '0.0', float, 'Images per second; 0 means as fast as the source says.'),
    ('loop', 'false', bool, 'Start again at the end of a file or folder.'),
    ('flip', 'false', bool, 'Mirror the images left to right.'),
    ('skip_frames', '0', int, 'Number of first images to leave out.'),
    ('frame_id', 'camera', str, 'The frame_id of the images.'),
    ('stamps', 'clock', str, "Stamp of the images: 'clock', or the time of the 'source'."),
    ('wait_for_tracker', 'false', bool, 'Drop no image, however slow the tracker is.'),
)


def generate_launch_description():
    """Declare the arguments and both nodes."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, _, description in PUBLISHER_ARGUMENTS
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of the nodes and topics.'
            ),
            # Its own arguments (params_file, log_level, ...) are arguments of this file too.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(
                    str(Path(__file__).resolve().with_name('persontrack.launch.py'))
                )
            ),
            Node(
                package='persontrack_ros',
                executable='video_publisher',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    {
                        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                        for name, _, kind, _ in PUBLISHER_ARGUMENTS
                    }
                ],
                remappings=[('image_raw', LaunchConfiguration('image'))],
                output='screen',
            ),
        ]
    )
