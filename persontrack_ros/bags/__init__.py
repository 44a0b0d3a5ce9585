"""
Bags of ROS 2, read and written without ROS.

This package needs the libraries mcap and rosbags, which other commands do not.
"""

from persontrack_ros.core.base.errors import OutputError

try:
    import mcap  # noqa: F401 - whether it is installed
    import rosbags  # noqa: F401 - whether it is installed
except ImportError as error:
    raise OutputError(
        'bags need the packages mcap and rosbags: pip install mcap rosbags'
    ) from error
