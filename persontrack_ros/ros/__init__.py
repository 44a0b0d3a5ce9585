"""Thin ROS 2 nodes over :mod:`persontrack_ros.core`."""
