"""The world of tools/follow_simulation.py: a robot with a camera that pans, and persons."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import Twist

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.media.source import VideoSource

# Seconds of a step of the robot and the persons.
TICK = 0.05
# How far ahead the person is at the start, and how fast they stroll: metres, metres per second.
START = 1.5
SPEED = 1.2

# The camera, level: pixels, and metres above the floor.
SIZE = (640, 480)
FOCAL = 380.0
PAN = 0.3  # radians to each side
CAMERA_HEIGHT = 0.9
PERSON_HEIGHT = 1.7
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
WALL = 8.0
NOISE = 0.01


@dataclass
class Person:
    """
    A person who walks, as seen by the camera.

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
    """A robot with a camera that pans, by so many radians per second, and persons around it."""

    def __init__(self, persons: list[Person], scale: float = 1.0, pan_rate: float = 0.0) -> None:
        self.time = 0.0
        self.walked = 0.0  # the time of the persons, who may stand still
        self.robot = np.array([0.0, 0.0, 0.0])
        self.size = (round(scale * SIZE[0]), round(scale * SIZE[1]))
        self.focal = scale * FOCAL
        self.near = 0.3
        self._pan_rate = pan_rate
        self._persons = persons
        self._random = np.random.default_rng(1)

    @property
    def pan(self) -> float:
        """How the camera is turned to the left."""
        return PAN * math.sin(self._pan_rate / PAN * self.time)

    @property
    def distance(self) -> float:
        """How far the first person is from the robot."""
        return float(np.linalg.norm(self._persons[0].place(self.walked) - self.robot[:2]))

    def face(self) -> None:
        """Turn the robot to the first person."""
        x, y = self._persons[0].place(self.walked) - self.robot[:2]
        self.robot[2] = math.atan2(y, x)

    def step(self, command: Twist, walking: bool = True) -> None:
        """Drive, and let the persons walk."""
        self.robot[2] += TICK * command.angular.z
        x, y = math.cos(self.robot[2]), math.sin(self.robot[2])
        self.robot[:2] += TICK * command.linear.x * np.array([x, y])
        self.time += TICK
        self.walked += TICK * walking

    def look(self) -> tuple[Any, Any, list[tuple[int, ...]]]:
        """Return what the camera sees: a picture, its depth in metres, and boxes of persons."""
        width, height = self.size
        rows = np.arange(height)[:, None] - height / 2
        floor = CAMERA_HEIGHT * self.focal / np.maximum(rows, 1e-3)
        depth = np.broadcast_to(np.minimum(floor, WALL), (height, width)).astype(np.float32).copy()
        picture = np.full((height, width, 3), (200, 196, 190), np.uint8)
        picture[depth < WALL] = (60, 90, 130)
        boxes = []
        for person in sorted(self._persons, key=lambda person: -self._before(person)[0]):
            ahead, aside = self._before(person)
            if ahead > 0.3:
                boxes += self._paint(person.picture, ahead, aside, picture, depth)
        depth += NOISE * self._random.standard_normal(depth.shape).astype(np.float32)
        depth[depth < self.near] = np.nan
        return picture, depth, boxes

    def _before(self, person: Person) -> tuple[float, float]:
        """Return how far ahead, and to the right, a person is."""
        x, y = person.place(self.walked) - self.robot[:2]
        yaw = self.robot[2] + self.pan
        ahead = math.cos(yaw) * x + math.sin(yaw) * y
        return ahead, math.sin(yaw) * x - math.cos(yaw) * y

    def _paint(
        self, cutout: Any, ahead: float, aside: float, picture: Any, depth: Any
    ) -> list[tuple[int, ...]]:
        scale = self.focal / ahead
        tall = round(PERSON_HEIGHT * scale)
        wide = round(tall * cutout.shape[1] / cutout.shape[0])
        scaled = cv2.resize(cutout, (wide, tall), interpolation=cv2.INTER_AREA)
        left = round(self.size[0] / 2 + aside * scale - wide / 2)
        top = round(self.size[1] / 2 + CAMERA_HEIGHT * scale) - tall
        first, last = max(left, 0), min(left + wide, self.size[0])
        high, low = max(top, 0), min(top + tall, self.size[1])
        if last - first < wide / 2 or high >= low:
            return []
        part = scaled[high - top : low - top, first - left : last - left]
        mask = part[..., 3] > 0
        picture[high:low, first:last][mask] = part[..., :3][mask]
        depth[high:low, first:last][mask] = ahead
        return [(first, high, last - first, low - high)]


def scene(pictures: list[Any], seconds: float) -> World:
    """Let the first person walk in a figure of eight, and others between them and the robot."""

    def walk(when: float) -> FloatArray:
        # At 0.4 to 0.8 m/s, beginning straight ahead of the robot.
        phase = 2 * math.pi * when / 60
        return np.array([START + 4 * math.sin(phase), 2 * math.sin(2 * phase)])

    persons = [Person(pictures[0], walk)]

    def crossing(middle: float) -> Callable[[float], FloatArray]:
        """Return a way across that of the robot to the person, at a time."""
        line: list[FloatArray] = []

        def place(when: float) -> FloatArray:
            if when < middle - 3:
                return np.array([0.0, 100.0])
            if not line:
                # Where the two will be: the robot is where the person was before.
                ahead, behind = walk(middle), walk(middle - START / 0.7)
                along = (ahead - behind) / np.linalg.norm(ahead - behind)
                line.extend([ahead - 0.7 * along, np.array([-along[1], along[0]])])
            return line[0] + 1.2 * (when - middle) * line[1]

        return place

    others = [20.0, 40.0]
    persons += [
        Person(picture, crossing(middle))
        for picture, middle in zip(pictures[1:], others)
        if middle < seconds
    ]
    return World(persons)


def stroll() -> Person:
    """Return a person who stands, walks, turns and stops, over and over."""
    places, heading = [np.array([START, 0.0])], 0.0
    for number in range(round(600 / TICK)):
        phase = number * TICK % 15
        heading += TICK * (2.0 * (7 < phase < 8) - 1.0 * (11 < phase < 12))
        step = SPEED * TICK * (phase > 2) * np.array([math.cos(heading), math.sin(heading)])
        places.append(places[-1] + step)
    picture = np.zeros((340, 100, 4), np.uint8)
    picture[:, 25:75] = 90
    return Person(picture, lambda when: places[min(round(when / TICK), len(places) - 1)])
