#!/usr/bin/env python3
"""
Let a simulated robot follow a person, and say how well it keeps the distance.

    . /opt/ros/jazzy/setup.bash
    scripts/env tools/follow_simulation.py one-by-one-person-detection.mp4

Persons are cut out of a video of a standing camera in front of which people come and go, and put
into the images of a robot's camera, with their depth and the robot's tf. The node person_tracker
detects and follows them (`target: nearest`), `docs/follow_controller.py` drives the robot, and
others walk through between the two. Each image waits for its answer: the simulated time does not
depend on the machine. Exit code 1 where the distance is wrong by more than 0.3 m after the first
5 seconds, or where somebody else is followed.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped, Twist
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.video.source import VideoSource
from persontrack_ros.ros.tools.node_process import NodeProcess

EXAMPLE = Path(__file__).resolve().parents[1] / 'docs' / 'follow_controller.py'

PERIOD = 0.1
DISTANCE = 1.5
WITHIN = 0.3
SETTLED = 5.0

# The camera: 640x480, level, in metres above the floor.
SIZE = (640, 480)
FOCAL = 380.0
CAMERA_HEIGHT = 0.9
PERSON_HEIGHT = 1.7
WALL = 8.0
NOISE = 0.01

# Seconds of the real clock until an answer is given up.
TIMEOUT = 60.0
RETRY = 3.0
PAUSE = 0.3


@dataclass
class Person:
    """
    Somebody who walks, as seen by the camera.

    :ivar picture: uint8 BGR and mask, shape ``(height, width, 4)``.
    :ivar place: x and y at a time.
    """

    picture: Any
    place: Callable[[float], FloatArray]


def cut_out(video: str, count: int) -> list[Any]:
    """Return pictures of persons with masks, from before a background that stands still."""
    found: list[Any] = []
    background, since = None, 0
    with VideoSource(video) as source:
        for frame in source:
            if background is None:
                background = frame.image.astype(np.int16)
            change = np.abs(frame.image.astype(np.int16) - background).max(axis=2) > 40
            mask = cv2.morphologyEx(change.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 15)))
            number, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
            best = 1 + int(stats[1:, 4].argmax()) if number > 1 else 0
            left, top, width, height, area = stats[best].tolist()
            whole = best and top > 4 and top + height < frame.image.shape[0] - 4
            if whole and 2 * width < height and area > 0.5 * width * height:
                since += 1
                if since == 60:
                    rows, columns = slice(top, top + height), slice(left, left + width)
                    seen = (labels[rows, columns] == best).astype(np.uint8)
                    found.append(np.dstack([frame.image[rows, columns], seen]))
                    if len(found) == count:
                        return found
            else:
                since = 0
    raise SystemExit(f'{video} shows fewer than {count} persons alone and whole')


class World:
    """A robot with a camera, and persons around it."""

    def __init__(self, persons: list[Person]) -> None:
        self.time = 0.0
        self.robot = np.array([0.0, 0.0, 0.0])
        self._persons = persons
        self._random = np.random.default_rng(1)

    @property
    def distance(self) -> float:
        """How far the first person is from the robot."""
        return float(np.linalg.norm(self._persons[0].place(self.time) - self.robot[:2]))

    def step(self, command: Twist) -> None:
        """Drive, and let the persons walk."""
        self.robot[2] += PERIOD * command.angular.z
        x, y = math.cos(self.robot[2]), math.sin(self.robot[2])
        self.robot[:2] += PERIOD * command.linear.x * np.array([x, y])
        self.time += PERIOD

    def look(self) -> tuple[Any, Any]:
        """Return what the camera sees: a picture, and its depth in metres."""
        width, height = SIZE
        rows = np.arange(height)[:, None] - height / 2
        floor = CAMERA_HEIGHT * FOCAL / np.maximum(rows, 1e-3)
        depth = np.broadcast_to(np.minimum(floor, WALL), (height, width)).astype(np.float32).copy()
        picture = np.full((height, width, 3), (200, 196, 190), np.uint8)
        picture[depth < WALL] = (60, 90, 130)
        seen = sorted(self._persons, key=lambda person: -self._before(person)[0])
        for person in seen:
            ahead, aside = self._before(person)
            if ahead > 0.4:
                self._paint(person.picture, ahead, aside, picture, depth)
        depth += NOISE * self._random.standard_normal(depth.shape).astype(np.float32)
        return picture, depth

    def _before(self, person: Person) -> tuple[float, float]:
        """Return how far ahead, and to the right, somebody is."""
        x, y = person.place(self.time) - self.robot[:2]
        yaw = self.robot[2]
        ahead = math.cos(yaw) * x + math.sin(yaw) * y
        return ahead, math.sin(yaw) * x - math.cos(yaw) * y

    def _paint(self, cutout: Any, ahead: float, aside: float, picture: Any, depth: Any) -> None:
        scale = FOCAL / ahead
        tall = round(PERSON_HEIGHT * scale)
        wide = round(tall * cutout.shape[1] / cutout.shape[0])
        scaled = cv2.resize(cutout, (wide, tall), interpolation=cv2.INTER_AREA)
        left = round(SIZE[0] / 2 + aside * scale - wide / 2)
        top = round(SIZE[1] / 2 + CAMERA_HEIGHT * scale) - tall
        first, last = max(left, 0), min(left + wide, SIZE[0])
        high, low = max(top, 0), min(top + tall, SIZE[1])
        if first >= last or high >= low:
            return
        part = scaled[high - top : low - top, first - left : last - left]
        mask = part[..., 3] > 0
        picture[high:low, first:last][mask] = part[..., :3][mask]
        depth[high:low, first:last][mask] = ahead


class Simulation(Node):
    """Publishes what the robot senses, and takes what it is told."""

    def __init__(self, world: World) -> None:
        super().__init__('simulation')
        self._world = world
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._clock = self.create_publisher(Clock, '/clock', 10)
        self._images = self.create_publisher(Image, 'image_raw', 1)
        self._depths = self.create_publisher(Image, 'depth_image', 10)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', 10)
        self._transforms = TransformBroadcaster(self, QoSProfile(depth=100))
        self._mount = StaticTransformBroadcaster(self)
        self.commands: list[Twist] = []
        self.poses: list[PoseStamped] = []
        self.tracks: list[Detection2DArray] = []
        self.create_subscription(Twist, 'cmd_vel', self.commands.append, 10)
        self.create_subscription(PoseStamped, 'target_pose', self.poses.append, 10)
        self.create_subscription(Detection2DArray, 'tracks', self.tracks.append, 10)
        mount = TransformStamped(child_frame_id='lens')
        mount.header.frame_id = 'base_link'
        mount.transform.translation.z = CAMERA_HEIGHT
        turn = mount.transform.rotation
        turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5
        self._mount.sendTransform(mount)

    def until(self, condition: Callable[[], Any], seconds: float = TIMEOUT) -> bool:
        """Spin until something holds; return whether it does."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.01)
        return True

    @property
    def is_complete(self) -> bool:
        """Whether everybody listens."""
        return bool(
            self._images.get_subscription_count()
            and self._depths.get_subscription_count()
            and self._infos.get_subscription_count()
            and self.count_publishers('cmd_vel')
            and self.count_subscribers('target_pose') > 1
        )

    def sense(self) -> Any:
        """Publish what there is at this moment; return its stamp."""
        now = Clock()
        stamp = round((self._world.time + 10.0) * 1e9)
        now.clock.sec, now.clock.nanosec = divmod(stamp, 10**9)
        self._clock.publish(now)
        pose = TransformStamped(child_frame_id='base_link')
        pose.header.frame_id, pose.header.stamp = 'odom', now.clock
        x, y, yaw = self._world.robot.tolist()
        pose.transform.translation.x, pose.transform.translation.y = x, y
        pose.transform.rotation.z, pose.transform.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
        self._transforms.sendTransform(pose)
        picture, depth = self._world.look()
        width, height = SIZE
        info = CameraInfo(width=width, height=height, distortion_model='plumb_bob', d=[0.0] * 5)
        info.k = [FOCAL, 0.0, width / 2, 0.0, FOCAL, height / 2, 0.0, 0.0, 1.0]
        image = _message(picture, 'bgr8')
        deep = _message(depth, '32FC1')
        for each in (info, deep, image):
            each.header.frame_id, each.header.stamp = 'lens', now.clock
        self._infos.publish(info)
        self._depths.publish(deep)
        self._images.publish(image)
        return now.clock

    def react(self) -> Twist:
        """Sense, and return what the robot is told to do."""
        # The first image may get lost, when the node does not know of its publisher yet.
        for _ in range(round(TIMEOUT / RETRY)):
            stamp = self.sense()
            if self.until(
                lambda stamp=stamp: self.tracks and self.tracks[-1].header.stamp == stamp, RETRY
            ):
                break
        else:
            raise SystemExit('no answer of person_tracker')
        known = self.until(lambda: self.poses and self.poses[-1].header.stamp == stamp, PAUSE)
        count = len(self.commands)
        if known:
            self.until(lambda: len(self.commands) > count, PAUSE)
        return self.commands[-1] if self.commands else Twist()


def _message(pixels: Any, encoding: str) -> Image:
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.step = pixels[0].nbytes
    message.data = array('B', np.ascontiguousarray(pixels).tobytes())
    return message


def scene(pictures: list[Any], seconds: float) -> World:
    """Let the first person walk in a figure of eight, and others between them and the robot."""

    def walk(when: float) -> FloatArray:
        # At 0.4 to 0.8 m/s, beginning straight ahead of the robot.
        phase = 2 * math.pi * when / 60
        return np.array([DISTANCE + 4 * math.sin(phase), 2 * math.sin(2 * phase)])

    world = World([Person(pictures[0], walk)])

    def crossing(middle: float) -> Callable[[float], FloatArray]:
        """Return a way across that of the robot to the person, at a time."""
        line: list[FloatArray] = []

        def place(when: float) -> FloatArray:
            if when < middle - 3:
                return np.array([0.0, 100.0])
            if not line:
                # Where the two will be: the robot is where the person was before.
                ahead, behind = walk(middle), walk(middle - DISTANCE / 0.7)
                along = (ahead - behind) / np.linalg.norm(ahead - behind)
                line.extend([ahead - 0.7 * along, np.array([-along[1], along[0]])])
            return line[0] + 1.2 * (when - middle) * line[1]

        return place

    others = [20.0, 40.0]
    world._persons += [
        Person(picture, crossing(middle))
        for picture, middle in zip(pictures[1:], others)
        if middle < seconds
    ]
    return world


def main() -> int:
    """Simulate; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('video')
    parser.add_argument('--seconds', type=float, default=60.0, help='simulated (default: 60)')
    parser.add_argument('--picture', type=Path, help='write an image of the camera at 2 s')
    options = parser.parse_args()
    world = scene(cut_out(options.video, 3), options.seconds)
    rclpy.init()
    node = Simulation(world)
    parameters = {
        'use_sim_time': True,
        'depth': True,
        'target_frame': 'odom',
        'target': 'nearest',
    }
    example = [sys.executable, str(EXAMPLE), '--ros-args', '-p', 'use_sim_time:=true']
    errors, lost, poses = [], 0, 0
    with NodeProcess('tracker_node', parameters), subprocess.Popen(example) as driver:
        try:
            if not node.until(lambda: node.is_complete):
                raise SystemExit('person_tracker or the example did not start')
            while world.time < options.seconds:
                count = len(node.poses)
                command = node.react()
                if options.picture and abs(world.time - 2.0) < PERIOD / 2:
                    cv2.imwrite(str(options.picture), world.look()[0])
                lost += len(node.poses) == count
                poses = len(node.poses)
                if world.time > SETTLED:
                    errors.append(world.distance - DISTANCE)
                world.step(command)
        finally:
            driver.terminate()
    rclpy.shutdown()
    worst = float(np.abs(errors).max())
    rms = float(np.sqrt(np.mean(np.square(errors))))
    print(
        f'{options.seconds:g} s, {poses} poses, {lost} images without one; '
        f'distance wrong by {rms:.2f} m (rms), {worst:.2f} m at most'
    )
    return int(worst > WITHIN)


if __name__ == '__main__':
    sys.exit(main())
