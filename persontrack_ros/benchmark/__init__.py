"""The measurements of ``persontrack benchmark``, without ROS."""
