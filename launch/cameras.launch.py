"""Start the trackers of several cameras in one process."""

from persontrack_ros.ros.launch_arguments import CAMERAS, TRACKER
from persontrack_ros.ros.launching import description


def generate_launch_description():
    """Describe the arguments and the process."""
    return description(__file__, {**CAMERAS, **TRACKER})
