"""Start the tracker node on a video file, a folder of images or a camera."""

from persontrack_ros.ros.launch_arguments import TRACKER, VIDEO
from persontrack_ros.ros.launching import description


def generate_launch_description():
    """Describe the arguments and both nodes."""
    return description(__file__, {**VIDEO, **TRACKER})
