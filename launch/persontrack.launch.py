"""Start the tracker node."""

from pathlib import Path

from launch import LaunchDescription
from persontrack_ros.ros.launch_arguments import TRACKER
from persontrack_ros.ros.launching import declare, start, tracker, use_large_images

SHARE = Path(__file__).resolve().parents[1]


def generate_launch_description():
    """Declare the arguments and the node."""
    return LaunchDescription(
        [
            *declare(TRACKER),
            *use_large_images(SHARE),
            start(__file__, TRACKER, tracker(SHARE, 'tracker_node', 'person_tracker')),
        ]
    )
