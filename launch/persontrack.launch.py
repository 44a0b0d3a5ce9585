"""Start the tracker node."""

from persontrack_ros.ros.launch_arguments import TRACKER
from persontrack_ros.ros.launching import description


def generate_launch_description():
    """Describe the arguments and the node."""
    return description(__file__, TRACKER)
