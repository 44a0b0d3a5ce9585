#!/usr/bin/env python3
"""Drive after the person of target_pose, 1.5 m away: an example, see docs/follow.md."""

from __future__ import annotations

import math
from contextlib import suppress

import rclpy
from geometry_msgs.msg import PoseStamped, Twist
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from tf2_ros import Buffer, TransformException, TransformListener

DISTANCE, GAIN, TURN_GAIN = 1.5, 1.5, 2.0  # metres, per second, per second
MAX_SPEED, MAX_TURN, PATIENCE = 1.2, 1.5, 0.5  # m/s, rad/s, seconds


class FollowController(Node):
    """Keeps the distance, faces the person, and stands still while there is no pose of them."""

    def __init__(self) -> None:
        super().__init__('follow_controller')
        self.base = self.declare_parameter('base_frame', 'base_link').value
        self.buffer = Buffer()
        self.listener = TransformListener(self.buffer, self)
        self.last = None
        self.velocity = [0.0, 0.0]  # of the person, smoothed
        self.commands = self.create_publisher(Twist, 'cmd_vel', 1)
        self.create_subscription(PoseStamped, 'target_pose', self.follow, 1)
        self.watchdog = self.create_timer(PATIENCE, self.stop)

    def stop(self) -> None:
        """Stand still: for half a second, there was no pose."""
        self.last, self.velocity = None, [0.0, 0.0]
        self.commands.publish(Twist())

    def follow(self, target: PoseStamped) -> None:
        """Drive as the newest pose asks for."""
        try:
            robot = self.buffer.lookup_transform(
                target.header.frame_id, self.base, rclpy.time.Time()
            ).transform
        except TransformException as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        self.watchdog.reset()
        now = target.header.stamp.sec + target.header.stamp.nanosec / 1e9
        place = target.pose.position.x, target.pose.position.y
        if self.last and now > self.last[0]:
            way = [new - old for new, old in zip(place, self.last[1])]
            self.velocity = [
                0.8 * old + 0.2 * step / (now - self.last[0])
                for old, step in zip(self.velocity, way)
            ]
        self.last = now, place
        x, y = place[0] - robot.translation.x, place[1] - robot.translation.y
        yaw = 2 * math.atan2(robot.rotation.z, robot.rotation.w)
        bearing = math.remainder(math.atan2(y, x) - yaw, 2 * math.pi)
        apart = math.hypot(x, y)
        away = (self.velocity[0] * x + self.velocity[1] * y) / max(apart, 0.1)
        command = Twist()
        speed = (GAIN * (apart - DISTANCE) + away) * max(0.0, math.cos(bearing))
        command.linear.x = min(max(speed, -0.3), MAX_SPEED)
        command.angular.z = min(max(TURN_GAIN * bearing, -MAX_TURN), MAX_TURN)
        self.commands.publish(command)


if __name__ == '__main__':
    rclpy.init()
    with suppress(ExternalShutdownException, KeyboardInterrupt):
        rclpy.spin(FollowController())
