"""
Start a camera, the frames of a robot, and the tracker: an example, see docs/launch.md.

    ros2 launch examples/robot.launch.py driver:=realsense target_frame:=odom follow:=nearest

Arguments of persontrack.launch.py are passed on. Odometry and Nav2 are started elsewhere.
"""

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

# The topics of each driver, as arguments of persontrack.launch.py. The drivers of depth cameras
# publish their frames below camera_link, optical ones among them.
TOPICS = {
    # realsense2_camera 4.55 and later; before, the camera was /camera.
    'realsense': {
        'camera': '/camera/camera',
        'image': 'color/image_raw',
        'depth': 'aligned_depth_to_color/image_raw',
    },
    # depthai_ros_driver, and of DepthAI v3 as well.
    'oak': {'camera': '/oak', 'image': 'rgb/image_raw', 'depth': 'stereo/image_raw'},
    'usb': {'camera': '/camera', 'image': 'image_raw'},
}


def include(package, file, **arguments):
    """Include a launch file of another package."""
    path = [FindPackageShare(package), '/launch/', file]
    return IncludeLaunchDescription(path, launch_arguments=arguments.items())


def start_driver(driver):
    """Return the action that starts a driver."""
    if driver == 'realsense':
        return include('realsense2_camera', 'rs_launch.py', **{'align_depth.enable': 'true'})
    if driver == 'oak':
        # DepthAI v3: driver.launch.py, in depthai_ros_driver_v3 on Humble and Jazzy.
        return include('depthai_ros_driver', 'camera.launch.py', parent_frame='camera_link')
    return Node(
        package='usb_cam',
        executable='usb_cam_node_exe',
        namespace='camera',
        parameters=[{'frame_id': 'camera_optical_frame'}],
        output='screen',
    )


def start(context):
    """Return all actions for the driver that was chosen."""
    driver = context.launch_configurations['driver']
    urdf = Path(__file__).with_name('robot.urdf').read_text()
    return [
        # Arguments of the same name, such as params_file, are not those of the tracker.
        GroupAction([start_driver(driver)], forwarding=False),
        Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            parameters=[{'robot_description': urdf}],
            output='screen',
        ),
        include('persontrack_ros', 'persontrack.launch.py', **TOPICS[driver]),
    ]


def generate_launch_description():
    """Describe the argument and all that is started."""
    choice = DeclareLaunchArgument(
        'driver', choices=list(TOPICS), description='The camera, and its driver.'
    )
    return LaunchDescription([choice, OpaqueFunction(function=start)])
