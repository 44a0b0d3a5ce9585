"""Person tracking in ROS 2 images with OpenVINO and Deep SORT."""
