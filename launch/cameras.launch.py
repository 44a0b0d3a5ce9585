"""Start the trackers of several cameras in one process."""

from pathlib import Path

from launch import LaunchDescription
from persontrack_ros.ros.launch_arguments import CAMERAS, TRACKER
from persontrack_ros.ros.launching import declare, start, tracker, use_large_images

SHARE = Path(__file__).resolve().parents[1]
ARGUMENTS = (*CAMERAS, *TRACKER)


def generate_launch_description():
    """Declare the arguments and the process."""
    return LaunchDescription(
        [
            *declare(ARGUMENTS),
            *use_large_images(SHARE),
            start(__file__, ARGUMENTS, tracker(SHARE, 'cameras_node')),
        ]
    )
