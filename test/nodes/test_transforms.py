"""Persons in a fixed frame: transforms of tf in, tracks_3d and markers in that frame out."""

from __future__ import annotations

import importlib.util
import json
import math

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PointStamped, PoseStamped, TransformStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from test_space import FOCAL, MIDDLE, Space, box_of, camera_info, click, place_of
from vision_msgs.msg import Detection2D

HAS_TF = importlib.util.find_spec('tf2_ros') is not None
needs_tf = pytest.mark.skipif(not HAS_TF, reason='this ROS 2 has no tf2_ros')

# An optical frame in a frame whose x points forward and z up.
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
HEIGHT = 1.2


class Robot(Space):
    """A camera on a robot, of which tf knows where it is."""

    def __init__(self, peer, to_message, picture, has_depth=True):
        from tf2_msgs.msg import TFMessage
        from tf2_ros import StaticTransformBroadcaster

        self.tf_message = TFMessage
        self.moving = peer.publisher(TFMessage, '/tf', 100)
        self.static = StaticTransformBroadcaster(peer.node)
        mount = TransformStamped(child_frame_id='lens')
        mount.header.frame_id = 'base_link'
        mount.transform.translation.z = HEIGHT
        turn = mount.transform.rotation
        turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5
        self.static.sendTransform(mount)
        if has_depth:
            super().__init__(peer, to_message, picture)

    def stand(self, message, x=0.0, yaw=0.0):
        """Tell tf where the robot is at the time of a message; return that."""
        pose = TransformStamped(child_frame_id='base_link')
        pose.header.frame_id, pose.header.stamp = 'odom', message.header.stamp
        pose.transform.translation.x = x
        pose.transform.rotation.z, pose.transform.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
        self.moving.publish(self.tf_message(transforms=[pose]))
        return message

    def begin(self):
        """Begin with other persons: those of the picture move with the camera."""
        settled = self.settle()
        assert self.peer.call(Trigger, 'reset').success
        return settled


@pytest.fixture(scope='module')
def tracker(models, start_once):
    parameters = {
        'target_frame': 'odom',
        'target_tf': True,
        'reid__model': 'color',
        'tracker__n_init': 1,
    }
    process = start_once('tracker_node', depth=True, **parameters)
    return process.wait_for('tracking the persons in /image_raw')


@pytest.fixture(scope='module')
def robot(tracker, module_peer, to_message, pictures):
    return Robot(module_peer, to_message, pictures[0])


def turned(yaw):
    return np.array(
        [[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    )


@needs_tf
def test_places_stand_still_in_a_fixed_frame(robot):
    infos = robot.peer.collect(String, 'track_info')
    for x, yaw in ((0.0, 0.0), (2.0, 0.5), (-1.0, 3.0)):
        depth, distances = robot.begin()
        robot.show(depth, robot.stand(robot.message(depth), x, yaw))
        message = robot.stand(robot.message(depth), x, yaw)
        tracks, places, markers = robot.show(depth, message)
        assert places.header.frame_id == 'odom'
        assert places.header.stamp == message.header.stamp
        assert all(each.header == places.header for each in markers)
        assert [each.id for each in places.detections] == [each.id for each in tracks.detections]
        boxes = {each.id: each for each in markers if each.ns == 'boxes'}
        for flat, solid in zip(tracks.detections, places.detections):
            centre = solid.bbox.center
            direction = place_of(solid) - [x, 0, 0]
            assert math.remainder(
                2 * math.atan2(centre.orientation.z, centre.orientation.w)
                - math.atan2(direction[1], direction[0]),
                2 * math.pi,
            ) == pytest.approx(0, abs=0.05)
            assert centre.orientation.x == centre.orientation.y == 0
            # Upright: z is the height.
            corner, size = box_of(flat)
            assert solid.bbox.size.z / solid.bbox.size.y == pytest.approx(
                size[1] / size[0], rel=0.1
            )
            result = solid.results[0].pose
            assert result.pose == centre
            covariance = np.array(result.covariance).reshape(6, 6)
            # Which way they are turned is not known.
            assert 0 < np.linalg.eigvalsh(covariance[:3, :3]).min() < 0.04**2 * 1.01
            assert np.diag(covariance)[3:].min() > 1e3
            assert boxes[int(solid.id)].pose == centre
            # In the optical frame again, it is on the ray through the middle of the box.
            back = OPTICAL.T @ (turned(yaw).T @ direction - [0, 0, HEIGHT])
            ray = (corner + size / 2 - 0.5 - MIDDLE) / FOCAL
            assert back[:2] / back[2] == pytest.approx(ray, abs=0.02)
            assert min(abs(back[2] - each) for each in distances.values()) < 0.05
        discs = robot.cloud(places)
        for solid in places.detections:
            disc = discs[int(solid.id)]
            assert np.allclose([disc[axis][0] for axis in 'xyz'], place_of(solid), atol=1e-4)
            assert np.ptp(disc['z']) == 0
            assert all(np.isfinite(disc[axis]).all() for axis in ('vx', 'vy', 'vz'))
        for each in json.loads(infos[-1].data)['tracks']:
            assert each['motion'] is None or each['motion']['frame_id'] == 'odom'


@needs_tf
def test_velocities_of_all_persons(robot):
    """The persons of the picture move with the robot, at 1 m/s."""
    depth, _ = robot.begin()
    for tenth in range(25):
        message = robot.stand(robot.message(depth), x=tenth / 10)
        places = robot.show(depth, message)[1]
    discs = robot.cloud(places)
    assert len(discs) >= 2
    for disc in discs.values():
        velocity = np.array([disc[axis] for axis in ('vx', 'vy', 'vz')]).T
        assert np.abs(velocity - [1, 0, 0]).max() < 0.1


@needs_tf
def test_a_late_transform_is_waited_for_and_a_missing_one_costs_its_image(robot, tracker):
    # The robot is elsewhere than before, and so are the persons of the picture.
    depth, _ = robot.begin()
    message = robot.message(depth)
    tracks = robot.peer.track(message)
    assert all(each.header.stamp != message.header.stamp for each in robot.tracks)
    robot.stand(message)
    assert len(robot.places(message).detections) == len(tracks.detections)

    status = robot.peer.diagnostics()
    lost = robot.message(depth)
    assert robot.peer.track(lost).detections

    def is_reported():
        robot.peer.track(robot.message(depth))
        return 'tf gave no transform' in str(status.message)

    robot.peer.until(is_reported)
    assert status.number('without transform') >= 1
    tracker.wait_for(r"WARN.*tf gave no transform from 'lens' to 'odom' within 1 s.*base_link")
    assert robot.show(depth, robot.stand(robot.message(depth)))[1].detections
    assert all(each.header.stamp != lost.header.stamp for each in robot.tracks)


@needs_tf
def test_time_that_goes_back(robot):
    """Further than what tf keeps: it takes nothing that is older than that."""
    depth, _ = robot.settle()

    def placed(x, seconds=0):
        """Show the persons until they have places, which frames before these delay; return x."""
        sent, found = [], []

        def is_placed():
            message = robot.message()
            message.header.stamp.sec += seconds
            sent.append(message.header.stamp)
            robot.peer.track(robot.stand(robot.with_depth(message, depth), x))
            found.extend(each for each in robot.tracks if each.header.stamp in sent)
            return found and found[-1].detections

        robot.peer.until(is_placed)
        return [place_of(each)[0] for each in found[-1].detections]

    assert min(placed(500.0, 1000)) > 500
    assert max(placed(0.0)) < 10


@pytest.mark.skipif(HAS_TF, reason='this ROS 2 has tf2_ros')
def test_refused_without_tf(models, start, peer):
    process = start('tracker_node', depth=True, target_frame='odom', reid__model='color')
    process.wait_for(
        r'ERROR.*target_frame needs tf2_ros_py, which is not installed: sudo apt install '
        r'ros-\w+-tf2-ros-py'
    )
    assert peer.set(target_frame='', tracker__camera_motion='none').successful
    assert peer.change_state('configure')


@needs_tf
def test_a_camera_that_turns_is_compensated(models, start, peer, pictures, to_message):
    """The picture of persons who stand still, from a camera that jumps: ids stay."""
    parameters = {'tracker__camera_motion': 'tf', 'tracker__n_init': 1, 'reid__model': 'none'}
    process = start('tracker_node', target_frame='odom', **parameters)
    peer.until_tracker_listens()
    robot = Robot(peer, to_message, pictures[0], has_depth=False)
    calibrations = peer.publisher(CameraInfo, 'camera_info')
    peer.track(to_message(pictures[0]))
    process.wait_for('WARN.*the camera counts as still in this frame: no camera_info has come')
    matrix = np.array([[FOCAL, 0, MIDDLE[0]], [0, FOCAL, MIDDLE[1]], [0, 0, 1]])
    ids = []
    for number in range(8):
        yaw = -0.1 * (number > 5)
        # The picture of a camera that turned to the left.
        turn = OPTICAL.T @ turned(yaw).T @ OPTICAL
        picture = cv2.warpPerspective(
            pictures[0], matrix @ turn @ np.linalg.inv(matrix), (768, 576)
        )
        message = robot.stand(to_message(picture), yaw=yaw)
        calibrations.publish(camera_info(message.header))
        ids.append({each.id for each in peer.track(message).detections})
    # To the left by 60 pixels, more than persons are wide.
    assert len(ids[5]) >= 2
    assert ids[5] <= ids[7]


@needs_tf
def test_a_target_at_run_time(robot):
    """The nearest one when it is set; where they are on the floor, and how they are."""
    peer = robot.peer
    depth, _ = robot.begin()
    poses = peer.collect(PoseStamped, 'target_pose')
    status = peer.diagnostics()

    def show():
        return robot.show(depth, robot.stand(robot.message(depth)))[1]

    def check_pose(places, id_):
        """Compare the pose of the target with the place of a person; return both."""
        pose = peer.received(poses, places.header).pose
        place = place_of(next(each for each in places.detections if each.id == id_))
        assert [pose.position.x, pose.position.y] == pytest.approx(place[:2], abs=0.02)
        assert pose.position.z == 0
        return pose, place

    show()
    assert not poses
    assert not peer.set(target='12345').successful
    assert peer.set(target='nearest').successful
    for _ in range(3):
        places = show()
    camera = [0, 0, HEIGHT]
    nearest, other, *_ = sorted(
        places.detections, key=lambda each: np.linalg.norm(place_of(each) - camera)
    )
    pose, place = check_pose(places, nearest.id)
    # They stand: away from the camera.
    yaw = 2 * math.atan2(pose.orientation.z, pose.orientation.w)
    assert yaw == pytest.approx(math.atan2(place[1], place[0]), abs=0.02)
    # Another one, by the id.
    assert peer.set(target=other.id).successful
    check_pose(show(), other.id)
    # Images and tf, but no depth any more: nothing was measured.
    count = len(poses)

    def is_lost():
        peer.track(robot.stand(robot.message()))
        return status['target status'] == 'lost'

    peer.until(is_lost, 'lost target')
    assert len(poses) == count
    check_pose(show(), other.id)
    assert len(poses) == count + 1
    assert peer.set(target='').successful


@needs_tf
def test_odometry_and_frame_of_the_target(robot):
    """The persons of the picture move with the robot, at 1 m/s to the left."""
    peer = robot.peer
    odometry = peer.collect(Odometry, 'target_odometry')
    poses = peer.collect(PoseStamped, 'target_pose')
    boxes = peer.collect(Detection2D, 'target_detection')
    frames = peer.collect(robot.tf_message, '/tf')
    depth, _ = robot.begin()
    assert peer.set(target='middle').successful
    for step in range(20):
        message = robot.message(depth)
        turn = math.pi / 2
        tracks, _, _ = robot.show(depth, robot.stand(message, 0.1 * step, turn))
    header = Header(stamp=message.header.stamp, frame_id='odom')
    last = peer.received(odometry, header)
    assert last.child_frame_id == 'target'
    pose = peer.received(poses, header).pose
    assert last.pose.pose == pose
    assert 2 * math.atan2(pose.orientation.z, pose.orientation.w) == pytest.approx(0, abs=0.1)
    velocity = last.twist.twist.linear
    assert [velocity.x, velocity.y, velocity.z] == pytest.approx([1, 0, 0], abs=0.1)
    assert peer.received(boxes, message.header) in tracks.detections

    def found():
        return [
            each
            for sent in frames
            for each in sent.transforms
            if each.child_frame_id == 'target' and each.header == header
        ]

    peer.until(found, 'frame of tf')
    (frame,) = found()
    assert frame.transform.rotation == pose.orientation
    assert frame.transform.translation.x == pose.position.x
    # Nothing of an image without depth of the person.
    count = len(odometry)
    hidden = robot.message(np.zeros_like(depth))
    peer.track(robot.stand(hidden, 2.0, turn))
    assert not robot.places(hidden).detections
    message = robot.stand(robot.message(depth), 2.1, turn)
    robot.show(depth, message)
    peer.received(odometry, Header(stamp=message.header.stamp, frame_id='odom'))
    assert len(odometry) == count + 1
    assert peer.set(target='').successful


@needs_tf
def test_a_click_in_space(robot, tracker):
    """As rviz2 publishes it, in its fixed frame: of a person, of the feet, and of the wall."""
    peer = robot.peer
    points = peer.publisher(PointStamped, 'target_point')
    depth, _ = robot.begin()
    for _ in range(3):
        places = robot.show(depth, robot.stand(robot.message(depth)))[1]

    for person in places.detections:
        for frame, shift in (('odom', 0.0), ('base_link', 0.0), ('lens', HEIGHT)):
            assert peer.set(target='').successful
            at = place_of(person) - [0, 0, shift]
            at = OPTICAL.T @ at if frame == 'lens' else [*at[:2], 0]
            points.publish(click(frame, *at))
            peer.until(lambda id_=person.id: peer.get('target') == id_, 'target')
    points.publish(click('odom', -5, 0, 0))
    tracker.wait_for(r"target is as it was: the point -5, 0, 0 in 'odom': no person is there")
    points.publish(click('mars', 0, 0, 0))
    tracker.wait_for(r"tf has no transform from 'mars' to 'odom'")
    assert peer.get('target') == places.detections[-1].id
    assert peer.set(target='').successful
