"""
Bags of ROS 2, read and written without ROS.

All of it is built on the library rosbags, which the other commands do without.
"""

from persontrack_ros.core.errors import OutputError

try:
    import rosbags as rosbags
except ImportError as error:
    raise OutputError('bags need the package rosbags: pip install rosbags') from error
