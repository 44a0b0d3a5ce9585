"""Start the tracker node on a video file, a folder of images or a camera."""

from pathlib import Path

from launch import LaunchDescription
from persontrack_ros.ros.launch_arguments import TRACKER, VIDEO
from persontrack_ros.ros.launching import declare, publisher, start, tracker, use_large_images

SHARE = Path(__file__).resolve().parents[1]
ARGUMENTS = (*VIDEO, *TRACKER)


def generate_launch_description():
    """Declare the arguments and both nodes."""
    return LaunchDescription(
        [
            *declare(ARGUMENTS),
            *use_large_images(SHARE),
            start(
                __file__, ARGUMENTS, tracker(SHARE, 'tracker_node', 'person_tracker'), publisher
            ),
        ]
    )
