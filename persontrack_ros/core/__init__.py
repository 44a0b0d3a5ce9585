"""The tracker without ROS: nothing below this package imports rclpy or a message."""
