#!/usr/bin/env python3
"""Drive after the person of target_pose, 1.5 m away: an example, see docs/follow.md."""

from __future__ import annotations

import math
from contextlib import suppress

import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped, Twist
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

DISTANCE, GAIN, TURN_GAIN = 1.5, 1.5, 2.0  # metres, per second, per second
MAX_SPEED, MAX_TURN, PERSON_SPEED = 1.2, 1.5, 2.0  # m/s, rad/s, m/s
# Seconds: of what is older, of poses and of tf, nothing is believed.
MAX_AGE = 0.3
# No faster than it can stop, after so many seconds, so many metres before the person.
REACTION, NEAREST = 0.5, 1.0
PERIOD = 0.05  # seconds between two commands


class FollowController(Node):
    """Keeps the distance and faces the person, and stands still without a fresh pose and tf."""

    def __init__(self) -> None:
        super().__init__('follow_controller')
        self.base = self.declare_parameter('base_frame', 'base_link').value
        self.buffer = Buffer()
        self.listener = TransformListener(self.buffer, self)
        self.target: PoseStamped | None = None
        self.velocity = [0.0, 0.0]  # of the person, smoothed
        self.commands = self.create_publisher(Twist, 'cmd_vel', 1)
        self.create_subscription(PoseStamped, 'target_pose', self.take, 1)
        self.create_timer(PERIOD, self.drive)

    def age(self, message: PoseStamped | TransformStamped) -> float:
        """Return the age of a message in seconds; of one from the future, too."""
        age = self.get_clock().now() - Time.from_msg(message.header.stamp)
        return abs(age.nanoseconds) / 1e9

    def take(self, target: PoseStamped) -> None:
        """Take a pose, and how fast the person goes by it and the one before."""
        last, self.target = self.target, target
        if last is None:
            return
        seconds = (
            Time.from_msg(target.header.stamp) - Time.from_msg(last.header.stamp)
        ).nanoseconds / 1e9
        if not 0 < seconds <= MAX_AGE:
            self.velocity = [0.0, 0.0]
            return
        new, old = target.pose.position, last.pose.position
        step = [(new.x - old.x) / seconds, (new.y - old.y) / seconds]
        if math.hypot(*step) > PERSON_SPEED:
            step = [0.0, 0.0]  # the frame jumped
        self.velocity = [0.8 * before + 0.2 * now for before, now in zip(self.velocity, step)]

    def drive(self) -> None:
        """Command the robot: to stand still unless everything is known of this moment."""
        command = Twist()
        if self.target is not None and self.age(self.target) <= MAX_AGE:
            with suppress(TransformException):
                robot = self.buffer.lookup_transform(
                    self.target.header.frame_id, self.base, Time()
                )
                if self.age(robot) <= MAX_AGE:
                    self.follow(robot, command)
        self.commands.publish(command)

    def follow(self, robot: TransformStamped, command: Twist) -> None:
        """Fill a command."""
        at, turn, person = robot.transform.translation, robot.transform.rotation, self.target.pose
        x, y = person.position.x - at.x, person.position.y - at.y
        yaw = 2 * math.atan2(turn.z, turn.w)
        bearing = math.remainder(math.atan2(y, x) - yaw, 2 * math.pi)
        apart = math.hypot(x, y)
        away = (self.velocity[0] * x + self.velocity[1] * y) / max(apart, 0.1)
        speed = (GAIN * (apart - DISTANCE) + away) * max(0.0, math.cos(bearing))
        limit = min(MAX_SPEED, max(0.0, (apart - NEAREST) / REACTION))
        command.linear.x = min(max(speed, -0.3), limit)
        command.angular.z = min(max(TURN_GAIN * bearing, -MAX_TURN), MAX_TURN)


if __name__ == '__main__':
    rclpy.init()
    with suppress(ExternalShutdownException, KeyboardInterrupt):
        rclpy.spin(FollowController())
