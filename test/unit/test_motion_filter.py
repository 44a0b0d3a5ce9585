"""Persons in a frame that stands still, measured with noise by a moving camera."""

import math
from dataclasses import replace

import numpy as np
import pytest

from persontrack_ros.core.tracks3d.depth import MAX_AGE, Box3D
from persontrack_ros.core.tracks3d.frames import Pose
from persontrack_ros.core.tracks3d.motion_filter import Motion, MotionFilter

OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
EYE = 0.85


def camera_at(position, yaw):
    turned = [[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    return Pose(np.array(turned) @ OPTICAL, np.array([*position, EYE]))


def follow(person_at, rate, seconds=8):
    """
    Return times and velocities of a person before a camera that drives back and forth.

    Boxes jitter by 1 % of their size, and their depths, of many pixels each, by 1 cm.
    """
    random, motions = np.random.default_rng(3), MotionFilter()
    times, velocities = [], []
    for number in range(int(seconds * rate)):
        now = number / rate
        camera = to_and_fro(now)
        position = camera.rotation.T @ (np.array([*person_at(now), EYE]) - camera.position)
        position += random.standard_normal(3) * [0.005, 0.017, 0.01]
        box = camera.transform(Box3D.measured(position, np.array([0.5, 1.7, 0.2]), 0.1))
        times.append(now)
        velocities.append(motions.update([7], {7: box}, round(now * 1e9))[7].velocity)
    return np.array(times), np.array(velocities)


def to_and_fro(now):
    """Drive at 1 m/s and turn at 1 rad/s, each way in turns."""
    phase = now % 1.0
    way = phase if phase < 0.5 else 1 - phase
    return camera_at([way, 0.3 * way], way - 0.25)


@pytest.mark.parametrize('rate', [10, 30])
def test_speeds_before_a_camera_that_turns_and_drives(rate):
    """At 1 rad/s and 1 m/s: of a person who stands, and of one who walks after a second."""
    _, velocities = follow(lambda now: [4.0, 0.2], rate)
    assert np.sqrt((velocities**2).sum(axis=1).mean()) < 0.1
    way = np.array([0.5, 1.3]) / np.hypot(0.5, 1.3) * 1.4
    times, velocities = follow(lambda now: np.array([4.0, -2.5]) + way * now, rate, seconds=4)
    assert np.linalg.norm(velocities[times >= 1] - [*way, 0], axis=1).max() < 0.15


def measured(x, y=0.0, camera=(0.0, 0.0)):
    """Return a person at the height of the camera, in the frame that stands still."""
    position = np.array([x, y, EYE])
    box = Box3D.measured(position - [*camera, EYE], np.ones(3), 0.1)
    return replace(box, position=position, yaw=0.0)


def test_boxes_are_upright_and_face_the_camera():
    camera = Pose(
        camera_at([0, 0], math.pi / 2).rotation
        @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]),
        np.array([1.0, 2.0, EYE]),
    )
    box = camera.transform(
        Box3D.measured(np.array([0.0, 0.0, 5.0]), np.array([0.5, 1.7, 0.2]), 0.1)
    )
    # Tilted by as much as the box is lower or higher.
    assert np.linalg.norm(box.position - camera.position) == pytest.approx(5)
    assert box.yaw == pytest.approx(math.pi / 2)
    assert box.size.tolist() == [0.2, 0.5, 1.7]
    # Least certain across the ray, which points along y.
    assert math.sqrt(box.covariance[0, 0]) == pytest.approx(0.11, abs=0.01)
    assert math.sqrt(box.covariance[1, 1]) < 0.09


def test_quaternions():
    mount = Pose.from_quaternion([1, 2, 3], [-0.5, 0.5, -0.5, 0.5])
    assert mount.rotation == pytest.approx(OPTICAL)
    assert mount.position.tolist() == [1, 2, 3]


def tilted(rotation, pitch=0.0, roll=0.0):
    """Turn a camera whose x points forward, z up, before its own frame."""
    down = [
        [math.cos(pitch), 0, math.sin(pitch)],
        [0, 1, 0],
        [-math.sin(pitch), 0, math.cos(pitch)],
    ]
    side = [[1, 0, 0], [0, math.cos(roll), -math.sin(roll)], [0, math.sin(roll), math.cos(roll)]]
    return Pose(np.array(down) @ side @ rotation, np.zeros(3))


@pytest.mark.parametrize('pitch', [-0.6, 0.0, 0.8])
def test_frames_of_links(pitch):
    assert tilted(np.eye(3), pitch).is_of_link
    # Optical frames, also of a camera upside down, on its side, or above persons.
    for roll in (0.0, math.pi / 2, math.pi):
        assert not tilted(OPTICAL, pitch, roll).is_of_link
    assert not tilted(OPTICAL, math.pi / 2).is_of_link


def test_a_prediction_in_two_steps_is_that_in_one():
    start = Motion(np.array([1.0, 2, 3]), np.array([0.5, 0, -1]), np.diag(np.arange(1.0, 7)))
    once, twice = start.predicted(3.0), start.predicted(1.0).predicted(2.0)
    np.testing.assert_allclose(twice.position, once.position)
    np.testing.assert_allclose(twice.covariance, once.covariance)


def test_certainty_grows_with_measurements_and_fades_without():
    motions = MotionFilter()
    traces = []
    for time in (0, 10**8, 2 * 10**8):
        found = motions.update([1], {1: measured(3.0)}, time)
        traces.append(np.trace(found[1].covariance))
    assert traces == sorted(traces, reverse=True)
    now = motions.at(1, 2 * 10**8)
    later = motions.at(1, 4 * 10**8)
    assert np.trace(later.covariance) > np.trace(now.covariance)
    assert motions.at(1, round((0.21 + MAX_AGE) * 1e9)) is None
    # Where the person was is known for longer, to judge the next measurement.
    motions.update([], {}, 10**9)
    assert not motions.update([1], {1: measured(1.0)}, 11 * 10**8)


def walk(rate, person_at, seconds=8, shift=lambda now: np.zeros(2), seed=1):
    """Return times, errors in metres and in standard deviations; of frames without a box: NaN."""
    random, motions, rows = np.random.default_rng(seed), MotionFilter(), []
    for number in range(seconds * rate):
        now = number / rate
        truth = np.array(person_at(now)) + shift(now)
        noisy = truth + 0.04 * random.standard_normal(2)
        box = measured(*noisy, camera=shift(now))
        found = motions.update([1], {1: box}, round(now * 1e9)).get(1)
        if found is None:
            rows.append((now, math.nan, math.nan))
            continue
        error = found.position[:2] - truth
        apart = error @ np.linalg.solve(found.covariance[:2, :2], error)
        rows.append((now, np.linalg.norm(error), math.sqrt(apart)))
    return np.array(rows).T


@pytest.mark.parametrize('rate', [5, 10, 30])
@pytest.mark.parametrize('direction', [0.0, math.pi / 2, math.pi])
@pytest.mark.parametrize('turn', [0.05, 0.3, 1.0])
def test_who_turns_about_is_believed(rate, direction, turn):
    """Away from the camera, across and towards it, within up to a second."""
    way = np.array([math.cos(direction), math.sin(direction)])

    def person_at(now):
        late = np.clip(now - 4, 0, turn)
        gone = 1.6 * (min(now, 4) + late - late**2 / turn - max(0, now - 4 - turn))
        return np.array([9.0 if direction == math.pi else 3.0, 0.0]) + gone * way

    _, errors, deviations = walk(rate, person_at)
    assert np.isfinite(errors).all()
    assert errors.max() < 0.5
    assert deviations.max() < 5


@pytest.mark.parametrize('rate', [5, 10, 30])
@pytest.mark.parametrize('direction', [0.0, math.pi / 2, math.pi])
@pytest.mark.parametrize('speed', [0.0, 1.0])
def test_a_frame_that_jumps_is_believed(rate, direction, speed):
    """As map does when a robot finds where it is: the camera jumps with the persons."""
    jump = 1.5 * np.array([math.cos(direction), math.sin(direction)])
    times, errors, deviations = walk(
        rate, lambda now: [3 + speed * now, 0.5], shift=lambda now: jump * (now >= 4)
    )
    without = np.isnan(errors)
    assert np.nanmax(errors) < 0.2
    assert np.nanmax(deviations) < 5
    assert without.sum() <= 2
    assert (times[without] >= 4).all()
    assert (times[without] <= 4.3).all()


@pytest.mark.parametrize('rate', [10, 30])
@pytest.mark.parametrize('distance', [0.7, 1.0, 2.0])
def test_who_passes_in_front_is_not_believed_to_be_the_person(rate, distance):
    """With the depth of those who hide them, who go along; but not for ever."""
    motions = MotionFilter()

    def see(now, nearer):
        box = measured(3.0 + now - nearer)
        return motions.update([1], {1: box}, round(now * 1e9)).get(1)

    for number in range(8 * rate):
        now = number / rate
        found = see(now, distance if 2 <= now < 3.5 else 0.0)
        if 2 <= now < 3.5:
            assert found is None
        else:
            assert found.position[0] == pytest.approx(3.0 + now, abs=0.3)
            assert found.velocity[0] == pytest.approx(1.0, abs=0.3) or now < 1
    late = [see(now / rate, distance) for now in range(8 * rate, 11 * rate)]
    assert late[-1].position[0] == pytest.approx(3.0 + 11.0 - distance, abs=0.2)


@pytest.mark.parametrize('rate', [10, 30])
@pytest.mark.parametrize('speed', [0.0, 1.0])
@pytest.mark.parametrize('distance', [0.7, 1.0, 2.0])
def test_who_is_in_front_after_a_moment_out_of_sight(rate, speed, distance):
    """0.3 s without a measurement."""
    motions = MotionFilter()

    def see(number, nearer=0.0):
        now = number / rate
        boxes = {} if nearer is None else {1: measured(3.0 + speed * now - nearer)}
        return motions.update([1], boxes, round(now * 1e9))

    for number in range(2 * rate):
        assert see(number)
    hidden = 2 * rate + 3 * rate // 10
    assert not any(see(number, None) for number in range(2 * rate, hidden))
    assert not any(see(number, distance) for number in range(hidden, hidden + rate // 2))
    assert see(hidden + rate // 2)
