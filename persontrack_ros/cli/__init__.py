"""The command line ``persontrack``: the tracker without ROS."""
