#!/usr/bin/env python3
"""
Let a simulated robot follow a person, and say how well it keeps the distance.

    . /opt/ros/jazzy/setup.bash
    scripts/env tools/follow_simulation.py one-by-one-person-detection.mp4
    scripts/env tools/follow_simulation.py --faults 50

The node person_tracker follows the nearest person, and `examples/follow_controller.py` drives the
robot. Each step waits for its answers: the simulated time does not depend on the machine.

With a video, persons are cut out of it, of a standing camera in front of which people come and go,
and put into the images of the robot's camera; they are detected, and others walk through between
the person and the robot. Exit code 1 where the distance is wrong by more than 0.3 m after the
first 5 seconds, or where another person is followed.

With --faults, the camera pans, the node gets the detections, and images, depth, detections, tf or
poses stop at random moments, or tf is late, or the person is nearer than the camera measures
depth. The person stands still from then on. Exit code 1 where the robot comes nearer than 0.8 m.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from follow_world import CAMERA_HEIGHT, OPTICAL, TICK, World, cut_out, scene, stroll
from geometry_msgs.msg import PoseStamped, TransformStamped, Twist
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from persontrack_ros.ros.tools.node_process import NodeProcess

EXAMPLE = Path(__file__).resolve().parents[1] / 'examples' / 'follow_controller.py'

# Seconds between two images.
PERIOD = 0.1
DISTANCE = 1.5
WITHIN = 0.3
SETTLED = 5.0

# What can fail, for how long (seconds), and how near the robot may come then.
FAULTS = ('image', 'depth', 'detections', 'tf', 'pose', 'late tf', 'near')
FAULT_TIME = 3.0
LATE = 0.5
NEAR = 1.7  # metres from which on there is depth while it is `near`
CLEARANCE = 0.8
# Seconds until a robot that lost the person is turned to them.
PATIENCE = 8.0

# Seconds of the real clock until an answer is given up.
TIMEOUT = 60.0
RETRY = 3.0
PAUSE = 0.3


class Simulation(Node):
    """
    Publishes what the robot senses, and takes its commands.

    :ivar faults: what has failed at this moment, of `FAULTS`.
    """

    def __init__(self, world: World) -> None:
        super().__init__('simulation')
        self._world = world
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._clock = self.create_publisher(Clock, '/clock', 10)
        self._images = self.create_publisher(Image, 'image_raw', 1)
        self._depths = self.create_publisher(Image, 'depth_image', 10)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', 10)
        self._detections = self.create_publisher(Detection2DArray, 'detections', 10)
        self._followed = self.create_publisher(PoseStamped, 'followed_pose', 10)
        self._transforms = TransformBroadcaster(self, QoSProfile(depth=100))
        self._late: deque[list[TransformStamped]] = deque()
        self._mount = StaticTransformBroadcaster(self)
        self.faults: set[str] = set()
        self.commands: list[Twist] = []
        self.poses: list[PoseStamped] = []
        self.tracks: list[Detection2DArray] = []
        self.create_subscription(Twist, 'cmd_vel', self.commands.append, 10)
        self.create_subscription(PoseStamped, 'target_pose', self._relay, 10)
        self.create_subscription(Detection2DArray, 'tracks', self.tracks.append, 10)
        self._mount.sendTransform(self._transform('pan', 'lens', 0, OPTICAL))

    def _relay(self, pose: PoseStamped) -> None:
        self.poses.append(pose)
        if 'pose' not in self.faults:
            self._followed.publish(pose)

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
        """Whether all subscriptions are there."""
        return bool(
            self._images.get_subscription_count()
            and self._depths.get_subscription_count()
            and self._infos.get_subscription_count()
            and self._followed.get_subscription_count()
            and self.count_publishers('cmd_vel')
            and self.count_publishers('target_pose')
        )

    @property
    def _now(self) -> Any:
        return Time(nanoseconds=round((self._world.time + 10.0) * 1e9)).to_msg()

    def _transform(
        self, parent: str, child: str, yaw: float, turn: Any = None, at: Any = (0.0, 0.0, 0.0)
    ) -> TransformStamped:
        message = TransformStamped(child_frame_id=child)
        message.header.frame_id, message.header.stamp = parent, self._now
        to, by = message.transform.translation, message.transform.rotation
        to.x, to.y, to.z = at
        by.x, by.y, by.z, by.w = turn or (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
        return message

    def tick(self) -> Twist:
        """Tell the time and where the robot is; return its command."""
        x, y, yaw = self._world.robot.tolist()
        pan = self._transform('base_link', 'pan', self._world.pan, at=(0.0, 0.0, CAMERA_HEIGHT))
        self._late.append([self._transform('odom', 'base_link', yaw, at=(x, y, 0.0)), pan])
        if 'tf' in self.faults:
            self._late.clear()
        while len(self._late) > (LATE / TICK if 'late tf' in self.faults else 0):
            self._transforms.sendTransform(self._late.popleft())
        count = len(self.commands)
        # The first one may get lost, too.
        for _ in range(round(TIMEOUT / RETRY)):
            self._clock.publish(Clock(clock=self._now))
            if self.until(lambda: len(self.commands) > count, RETRY):
                return self.commands[-1]
        raise SystemExit('no command of the controller')

    def sense(self) -> None:
        """Publish what the camera sees, and wait for what comes of it."""
        self._world.near = NEAR if 'near' in self.faults else 0.3
        picture, depth, boxes = self._world.look()
        width, height = self._world.size
        focal = self._world.focal
        info = CameraInfo(width=width, height=height, distortion_model='plumb_bob', d=[0.0] * 5)
        info.k = [focal, 0.0, width / 2 - 0.5, 0.0, focal, height / 2 - 0.5, 0.0, 0.0, 1.0]
        image, deep = _message(picture, 'bgr8'), _message(depth, '32FC1')
        found = Detection2DArray(detections=[_detection(*box) for box in boxes])
        for each in (info, deep, image, found):
            each.header.frame_id, each.header.stamp = 'lens', self._now
        self._infos.publish(info)
        # The first image may get lost, when the node does not know of its publisher yet.
        for _ in range(round(TIMEOUT / RETRY)):
            for fault, publisher, message in (
                ('depth', self._depths, deep),
                ('image', self._images, image),
                ('detections', self._detections, found),
            ):
                if fault not in self.faults:
                    publisher.publish(message)
            if self.faults & {'image', 'detections'}:
                self.until(lambda: False, 0.01)
                return
            if self.until(
                lambda: self.tracks and self.tracks[-1].header.stamp == image.header.stamp, RETRY
            ):
                break
        else:
            raise SystemExit('no answer of person_tracker')
        self.until(
            lambda: self.poses and self.poses[-1].header.stamp == image.header.stamp,
            0.01 if self.faults else PAUSE,
        )

    def advance(self, walking: bool = True) -> None:
        """Sense, and drive until the next image."""
        for number in range(round(PERIOD / TICK)):
            command = self.tick()
            if number == 0:
                self.sense()
            self._world.step(command, walking)


def _detection(left: int, top: int, width: int, height: int) -> Detection2D:
    detection = Detection2D(results=[ObjectHypothesisWithPose()])
    detection.results[0].hypothesis.class_id = 'person'
    detection.results[0].hypothesis.score = 0.9
    centre = detection.bbox.center.position
    centre.x, centre.y = left + width / 2, top + height / 2
    detection.bbox.size_x, detection.bbox.size_y = float(width), float(height)
    return detection


def _message(pixels: Any, encoding: str) -> Image:
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.step = pixels[0].nbytes
    message.data = array('B', np.ascontiguousarray(pixels).tobytes())
    return message


def follow_with_faults(node: Simulation, world: World, count: int) -> int:
    """Let things fail at random moments, and others with them; return the exit code."""
    random = np.random.default_rng(3)
    worst = math.inf
    for number in range(count):
        fault = FAULTS[number % len(FAULTS)]
        faults = {fault: 0.0}
        if number >= len(FAULTS):
            faults.setdefault(str(random.choice(FAULTS)), random.uniform(0, 1))
        moment = world.walked + random.uniform(1, 6)
        started = world.time
        while world.walked < moment:
            # The person waits for a robot that lost them, and then leads it back.
            node.advance(world.distance < 2.5)
            if world.time - started > PATIENCE:
                started = world.time
                world.face()
        since, nearest = world.time, math.inf
        while world.time < since + FAULT_TIME:
            node.faults = {each for each, late in faults.items() if world.time >= since + late}
            node.advance(walking=False)
            nearest = min(nearest, world.distance)
        node.faults = set()
        print(f'{" and ".join(faults)} at {since:.1f} s: {nearest:.2f} m at least', flush=True)
        worst = min(worst, nearest)
    print(f'{count} faults in {world.time:.0f} s; never nearer than {worst:.2f} m')
    return int(worst < CLEARANCE)


def follow_persons(node: Simulation, world: World, seconds: float) -> int:
    """Measure how the distance is kept; return the exit code."""
    errors, lost = [], 0
    while world.time < seconds:
        count = len(node.poses)
        node.advance()
        lost += len(node.poses) == count
        if world.time > SETTLED:
            errors.append(world.distance - DISTANCE)
    worst = float(np.abs(errors).max())
    rms = float(np.sqrt(np.mean(np.square(errors))))
    print(
        f'{seconds:g} s, {len(node.poses)} poses, {lost} images without one; '
        f'distance wrong by {rms:.2f} m (rms), {worst:.2f} m at most'
    )
    return int(worst > WITHIN)


def main() -> int:
    """Simulate; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('video', nargs='?')
    parser.add_argument('--faults', type=int, metavar='N', help='let N times something fail')
    parser.add_argument('--seconds', type=float, default=60.0, help='simulated (default: 60)')
    options = parser.parse_args()
    if bool(options.video) == bool(options.faults):
        parser.error('either a video or --faults')
    parameters = {
        'use_sim_time': True,
        'depth': True,
        'target_frame': 'odom',
        'target': 'nearest',
        'tracker.camera_motion': 'tf',
    }
    if options.video:
        world = scene(cut_out(options.video, 3), options.seconds)
    else:
        world = World([stroll()], scale=0.25, pan_rate=1.0)
        unused = {'detector.model': 'none', 'reid.model': 'none'}
        parameters |= {'input': 'image+detections', **unused}
    rclpy.init()
    node = Simulation(world)
    example = [sys.executable, str(EXAMPLE), '--ros-args', '-p', 'use_sim_time:=true']
    example += ['-r', 'target_pose:=followed_pose']
    with NodeProcess('tracker_node', parameters), subprocess.Popen(example) as driver:
        try:
            if not node.until(lambda: node.is_complete):
                raise SystemExit('person_tracker or the example did not start')
            if options.faults:
                code = follow_with_faults(node, world, options.faults)
            else:
                code = follow_persons(node, world, options.seconds)
        finally:
            driver.terminate()
    rclpy.shutdown()
    return code


if __name__ == '__main__':
    sys.exit(main())
