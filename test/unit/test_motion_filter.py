"""Persons in a frame that stands still, seen by a moving camera in depth images with noise."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from persontrack_ros.core.space.depth import Place, Scene
from persontrack_ros.core.space.frames import Pose
from persontrack_ros.core.space.motion_filter import MAX_GAP, MotionFilter

WIDTH, HEIGHT, FOCAL = 640, 480, 300.0
INFO = SimpleNamespace(
    k=[FOCAL, 0, WIDTH / 2, 0, FOCAL, HEIGHT / 2, 0, 0, 1],
    d=[],
    distortion_model='plumb_bob',
    width=WIDTH,
    height=HEIGHT,
    roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
)
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
# In the middle of the camera's height.
TALL, WIDE, EYE = 1.7, 0.5, 0.85


def camera_at(position, yaw):
    turned = [[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    return Pose(np.array(turned) @ OPTICAL, np.array([*position, EYE]))


def see(person, camera, random):
    """
    Return the place of a person in an image, or None where they are out of sight.

    As docs/nodes/tracker_node.md says: 3 cm of noise, 65 % holes; boxes jitter by 1 %.
    """
    x, y, z = camera.rotation.T @ (np.array([*person, EYE]) - camera.position)
    if z < 0.5:
        return None
    size = np.array([WIDE, TALL]) * FOCAL / z
    box = np.concatenate([np.array([x, y]) / z * FOCAL + [WIDTH / 2, HEIGHT / 2] - size / 2, size])
    if box[0] < 0 or box[0] + box[2] > WIDTH:
        return None
    depth = np.full((HEIGHT, WIDTH), z + 0.4)
    left, top, right, bottom = np.clip(
        [box[0], box[1], box[0] + box[2], box[1] + box[3]], 0, [WIDTH, HEIGHT] * 2
    ).astype(int)
    depth[top:bottom, left:right] = z
    depth += 0.03 * random.standard_normal(depth.shape)
    depth[random.random(depth.shape) < 0.65] = np.nan
    message = SimpleNamespace(
        height=HEIGHT,
        width=WIDTH,
        encoding='32FC1',
        is_bigendian=0,
        step=4 * WIDTH,
        data=depth.astype(np.float32).tobytes(),
    )
    jitter = 0.01 * np.tile(box[2:], 2) * random.standard_normal(4)
    return Scene(message, INFO, (WIDTH, HEIGHT)).locate(box + jitter)


def follow(person_at, camera_at_time, rate, seconds=8):
    """Return times and velocities, as far as the person is seen."""
    random, motions = np.random.default_rng(3), MotionFilter()
    times, velocities = [], []
    for number in range(int(seconds * rate)):
        now = number / rate
        camera = camera_at_time(now)
        place = see(person_at(now), camera, random)
        places = {} if place is None else {7: camera.place(place)}
        found = motions.update([7], places, round(now * 1e9), camera.position)
        if found:
            times.append(now)
            velocities.append(found[7].motion.velocity)
    return np.array(times), np.array(velocities)


def to_and_fro(now):
    """Drive at 1 m/s and turn at 1 rad/s, each way in turns, with the person in sight."""
    phase = now % 1.0
    way = phase if phase < 0.5 else 1 - phase
    return camera_at([way, 0.3 * way], 2 * 0.25 - 0.5 + way - 0.25)


@pytest.mark.parametrize('rate', [10, 30])
def test_who_stands_has_no_speed(rate):
    """While the camera turns at 1 rad/s and drives at 1 m/s."""
    times, velocities = follow(lambda now: [4.0, 0.2], to_and_fro, rate)
    assert len(times) > 6 * rate
    assert np.sqrt((velocities**2).sum(axis=1).mean()) < 0.1


@pytest.mark.parametrize('rate', [10, 30])
def test_who_walks_has_their_speed_after_a_second(rate):
    walk = np.array([0.5, 1.3]) / np.hypot(0.5, 1.3) * 1.4

    times, velocities = follow(
        lambda now: np.array([4.0, -2.5]) + walk * now, to_and_fro, rate, seconds=4
    )
    late = times - times[0] >= 1
    assert late.sum() > rate
    errors = np.linalg.norm(velocities[late] - [*walk, 0], axis=1)
    assert errors.max() < 0.15


def test_boxes_are_upright_and_face_the_camera():
    camera = Pose(
        camera_at([0, 0], math.pi / 2).rotation
        @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]),
        np.array([1.0, 2.0, EYE]),
    )
    place = camera.place(Place(np.array([0.0, 0.0, 5.0]), np.array([0.5, 1.7, 0.2])))
    # Tilted by as much as the box is lower or higher.
    assert np.linalg.norm(place.position - camera.position) == pytest.approx(5)
    assert place.yaw == pytest.approx(math.pi / 2)
    assert place.size.tolist() == [0.2, 0.5, 1.7]


def test_quaternions():
    half = math.sqrt(0.5)
    pose = Pose.from_quaternion([1, 2, 3], [0, 0, half, half])
    assert pose.rotation @ [1, 0, 0] + pose.position == pytest.approx([1, 3, 3])
    mount = Pose.from_quaternion([0, 0, 0], [-0.5, 0.5, -0.5, 0.5])
    assert mount.rotation == pytest.approx(OPTICAL)


def test_certainty_grows_with_places_and_fades_without():
    motions = MotionFilter()
    place = Place(np.array([3.0, 0.0, 1.0]), np.ones(3), 0.0)
    traces = []
    for stamp in (0, 10**8, 2 * 10**8):
        found = motions.update([1], {1: place}, stamp, np.zeros(3))
        traces.append(np.trace(found[1].motion.covariance))
    assert traces == sorted(traces, reverse=True)
    now = motions.at(1, 2 * 10**8)
    later = motions.at(1, 10**9)
    assert np.trace(later.covariance) > np.trace(now.covariance)
    assert motions.at(1, round((0.3 + MAX_GAP) * 1e9)) is None
    motions.update([], {}, 3 * 10**8, np.zeros(3))
    assert motions.at(1, 3 * 10**8) is not None
    motions.update([], {}, round((0.3 + MAX_GAP) * 1e9), np.zeros(3))
    assert motions.at(1, 3 * 10**8) is None


def test_who_passes_in_front_is_not_believed_to_be_the_person():
    """Hidden for a moment, and then seen with the depth of who hides them; but not for ever."""
    motions, seconds = MotionFilter(), 0.0

    def see(x, ids=(1,)):
        nonlocal seconds
        seconds += 0.1
        place = Place(np.array([x, 0.0, 1.0]), np.ones(3), 0.0)
        return motions.update(ids, {1: place} if ids else {}, round(seconds * 1e9), np.zeros(3))

    for _ in range(20):
        see(3.0 + seconds)
    for _ in range(3):
        see(0.0, ids=())
    for _ in range(3):
        found = see(2.0)
        assert found[1].position[0] == pytest.approx(3.0 + seconds, abs=0.3)
        assert found[1].motion.velocity[0] == pytest.approx(1.0, abs=0.2)
    for _ in range(25):
        found = see(2.0)
    assert found[1].position[0] == pytest.approx(2.0, abs=0.05)
