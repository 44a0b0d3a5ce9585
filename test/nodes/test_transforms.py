"""Persons in a fixed frame: transforms of tf in, tracks_3d and markers in that frame out."""

from __future__ import annotations

import importlib.util
import json
import math
import time

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TransformStamped
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String
from std_srvs.srv import Trigger
from test_space import FOCAL, MIDDLE, Space, box_of, paint, warm_up

HAS_TF = importlib.util.find_spec('tf2_ros') is not None
needs_tf = pytest.mark.skipif(not HAS_TF, reason='this ROS 2 has no tf2_ros')

# An optical frame in a frame whose x points forward and z up.
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
HEIGHT = 1.2


@pytest.fixture(scope='module')
def tracker(models, start_once):
    process = start_once(
        'tracker_node',
        depth=True,
        target_frame='odom',
        reid__model='color',
        tracker__n_init=1,
    )
    process.wait_for('tracking the persons in /image_raw')
    return process


class Robot:
    """What tells tf where the camera is."""

    def __init__(self, peer):
        from tf2_msgs.msg import TFMessage
        from tf2_ros import StaticTransformBroadcaster

        self.message = TFMessage
        self.moving = peer.node.create_publisher(TFMessage, '/tf', 100)
        self.static = StaticTransformBroadcaster(peer.node)
        mount = TransformStamped(child_frame_id='lens')
        mount.header.frame_id = 'base_link'
        mount.transform.translation.z = HEIGHT
        turn = mount.transform.rotation
        turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5
        self.static.sendTransform(mount)
        peer.until(self.moving.get_subscription_count, 'subscription of /tf')
        peer.until_known_by()

    def stand(self, stamp, x, yaw):
        """Tell where the robot is at a time."""
        pose = TransformStamped(child_frame_id='base_link')
        pose.header.frame_id, pose.header.stamp = 'odom', stamp
        pose.transform.translation.x = x
        pose.transform.rotation.z, pose.transform.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
        self.moving.publish(self.message(transforms=[pose]))


@pytest.fixture(scope='module')
def space(tracker, module_peer):
    return Space(module_peer)


@pytest.fixture(scope='module')
def robot(space):
    return Robot(space.peer)


def turned(yaw):
    return np.array(
        [[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    )


def place_of(detection):
    centre = detection.bbox.center.position
    return np.array([centre.x, centre.y, centre.z])


def without_transform(space):
    """Return what the diagnostics count."""
    values = {each.key: each.value for each in space.diagnostics[-1].status[0].values}
    return int(values['without transform'])


@needs_tf
def test_places_stand_still_in_a_fixed_frame(space, robot, pictures, to_message):
    depth, distances = paint(warm_up(space, pictures, to_message))
    infos = space.peer.collect(String, 'track_info')
    for x, yaw in ((0.0, 0.0), (2.0, 0.5), (-1.0, 3.0)):
        # The persons of the picture turn with the camera: others, to the filter.
        assert space.peer.call(Trigger, 'reset').success
        message = to_message(pictures[0])
        robot.stand(message.header.stamp, x, yaw)
        for picture in (message, to_message(pictures[0])):
            robot.stand(picture.header.stamp, x, yaw)
            tracks, places, markers = space_track(space, picture, depth)
        assert places.header.frame_id == 'odom'
        assert places.header.stamp == picture.header.stamp
        assert all(each.header == places.header for each in markers.markers)
        assert [each.id for each in places.detections] == [each.id for each in tracks.detections]
        boxes = {each.id: each for each in markers.markers if each.ns == 'boxes'}
        for flat, solid in zip(tracks.detections, places.detections):
            centre = solid.bbox.center
            direction = place_of(solid) - [x, 0, 0]
            assert math.remainder(
                2 * math.atan2(centre.orientation.z, centre.orientation.w)
                - math.atan2(direction[1], direction[0]),
                2 * math.pi,
            ) == pytest.approx(0, abs=0.05)
            assert centre.orientation.x == centre.orientation.y == 0
            _, size = box_of(flat)
            # Upright: z is the height.
            assert solid.bbox.size.z / solid.bbox.size.y == pytest.approx(
                size[1] / size[0], rel=0.1
            )
            result = solid.results[0].pose
            assert result.pose == centre
            covariance = np.array(result.covariance).reshape(6, 6)
            # Most certain along the ray, least across it; which way they are turned is not known.
            least, *_, most = np.linalg.eigvalsh(covariance[:3, :3])
            assert 0 < least < 0.04**2 * 1.01
            assert 0.1 < math.sqrt(most) < 0.12
            assert np.diag(covariance)[3:].min() > 1e3
            assert boxes[int(solid.id)].pose == centre
            # In the optical frame again, it is on the ray through the middle of the box.
            back = OPTICAL.T @ (turned(yaw).T @ direction - [0, 0, HEIGHT])
            ray = (box_of(flat)[0] + size / 2 - 0.5 - MIDDLE) / FOCAL
            assert back[:2] / back[2] == pytest.approx(ray, abs=0.02)
            assert min(abs(back[2] - each) for each in distances.values()) < 0.05
        info = json.loads(infos[-1].data)
        for each in info['tracks']:
            assert each['motion'] is None or each['motion']['frame_id'] == 'odom'


def space_track(space, message, depth):
    """Return the tracks of an image, and their places and markers in the fixed frame."""
    space.publish_info(message.header)
    space.publish_depth(message.header, depth)
    tracks = space.peer.track(message)
    places = answer(space, message)
    space.peer.until(
        lambda: any(
            each.markers and each.markers[0].header == places.header for each in space.markers
        ),
        'markers',
    )
    markers = next(
        each for each in space.markers if each.markers and each.markers[0].header == places.header
    )
    return tracks, places, markers


def answer(space, message):
    def found():
        return [each for each in space.tracks if each.header.stamp == message.header.stamp]

    space.peer.until(found, 'tracks_3d')
    return found()[0]


@needs_tf
def test_a_late_transform_is_waited_for(space, robot, pictures, to_message):
    # The robot is elsewhere than before, and so are the persons of the picture.
    assert space.peer.call(Trigger, 'reset').success
    depth, _ = paint(warm_up(space, pictures, to_message))
    message = to_message(pictures[0])
    space.publish_info(message.header)
    space.publish_depth(message.header, depth)
    tracks = space.peer.track(message)
    assert all(each.header.stamp != message.header.stamp for each in space.tracks)
    robot.stand(message.header.stamp, 0.0, 0.0)
    assert len(answer(space, message).detections) == len(tracks.detections)


@needs_tf
def test_a_transform_that_never_comes_costs_its_image(space, robot, tracker, pictures, to_message):
    depth, _ = paint(warm_up(space, pictures, to_message))
    space.diagnostics = space.peer.collect(DiagnosticArray, '/diagnostics')
    lost = to_message(pictures[0])
    space.publish_info(lost.header)
    space.publish_depth(lost.header, depth)
    assert space.peer.track(lost).detections
    space.peer.until(lambda: space.diagnostics, 'diagnostics')
    before = without_transform(space)
    end = time.monotonic() + 60
    while without_transform(space) == before and time.monotonic() < end:
        again = to_message(pictures[0])
        space.publish_info(again.header)
        space.publish_depth(again.header, depth)
        space.peer.track(again)
        space.peer.spin_once()
    assert without_transform(space) > before
    tracker.wait_for(r"WARN.*tf gave no transform from 'lens' to 'odom' within 1 s.*base_link")
    message = to_message(pictures[0])
    robot.stand(message.header.stamp, 0.0, 0.0)
    _, places, _ = space_track(space, message, depth)
    assert places.detections
    assert all(each.header.stamp != lost.header.stamp for each in space.tracks)


@needs_tf
def test_time_that_goes_back(space, robot, pictures, to_message):
    """Further than what tf keeps: it takes nothing that is older than that."""
    depth, _ = paint(warm_up(space, pictures, to_message))
    message = to_message(pictures[0])
    message.header.stamp.sec += 1000
    robot.stand(message.header.stamp, 500.0, 0.0)
    _, places, _ = space_track(space, message, depth)
    assert min(place_of(each)[0] for each in places.detections) > 500
    space.tracks.clear()
    end = time.monotonic() + 60
    # One image may get no depth, where it comes before the first depth image.
    while not space.tracks and time.monotonic() < end:
        message = to_message(pictures[0])
        robot.stand(message.header.stamp, 0.0, 0.0)
        space.publish_info(message.header)
        space.publish_depth(message.header, depth)
        space.peer.track(message)
        space.peer.spin_once()
    (places, *_) = space.tracks
    assert places.detections
    assert max(place_of(each)[0] for each in places.detections) < 10


@pytest.mark.skipif(HAS_TF, reason='this ROS 2 has tf2_ros')
def test_refused_without_tf(models, start, peer):
    process = start('tracker_node', depth=True, target_frame='odom', reid__model='color')
    process.wait_for(
        r'ERROR.*target_frame needs tf2_ros, which is not installed: sudo apt install '
        r'ros-\w+-tf2-ros-py'
    )
    assert peer.set(target_frame='', tracker__camera_motion='none').successful
    assert peer.change_state('configure')


def test_a_frame_needs_depth(models, start, peer):
    start('tracker_node', autostart=False)
    result = peer.set(target_frame='odom')
    assert not result.successful
    assert 'set depth as well' in result.reason
    result = peer.set(tracker__camera_motion='tf')
    assert not result.successful
    assert 'set target_frame' in result.reason
    assert peer.set(tracker__camera_motion='tf', target_frame='odom').successful


@needs_tf
def test_a_camera_that_turns_is_compensated(models, start, peer, pictures, to_message):
    """The picture of persons who stand still, from a camera that jumps: ids stay."""
    process = start(
        'tracker_node',
        target_frame='odom',
        tracker__camera_motion='tf',
        tracker__n_init=1,
        reid__model='none',
    )
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    robot = Robot(peer)
    calibrations = peer.node.create_publisher(CameraInfo, 'camera_info', 10)
    peer.until(calibrations.get_subscription_count, 'subscription of camera_info')
    peer.track(to_message(pictures[0]))
    process.wait_for('WARN.*the camera counts as still in this frame: no camera_info has come')
    matrix = np.array([[FOCAL, 0, MIDDLE[0]], [0, FOCAL, MIDDLE[1]], [0, 0, 1]])
    ids = []
    for number in range(8):
        yaw = -0.1 * (number > 5)
        message = to_message(turned_picture(pictures[0], matrix, yaw))
        calibrations.publish(
            CameraInfo(
                header=message.header,
                width=768,
                height=576,
                distortion_model='plumb_bob',
                k=matrix.ravel().tolist(),
                d=[0.0] * 5,
            )
        )
        robot.stand(message.header.stamp, 0.0, yaw)
        ids.append({each.id for each in peer.track(message).detections})
    # To the left by 60 pixels, more than persons are wide.
    assert len(ids[5]) >= 2
    assert ids[5] <= ids[7]


def turned_picture(picture, matrix, yaw):
    """Return the picture of a camera that turned to the left."""
    turn = OPTICAL.T @ turned(yaw).T @ OPTICAL
    return cv2.warpPerspective(picture, matrix @ turn @ np.linalg.inv(matrix), (768, 576))


@needs_tf
def test_a_target_at_run_time(space, robot, tracker, pictures, to_message):
    """Who is nearest when it is set; where they are on the floor, and how they are."""
    peer = space.peer
    assert peer.call(Trigger, 'reset').success
    depth, _ = paint(warm_up(space, pictures, to_message))
    poses = peer.collect(PoseStamped, 'target_pose')
    diagnostics = peer.collect(DiagnosticArray, '/diagnostics')

    def show():
        message = to_message(pictures[0])
        robot.stand(message.header.stamp, 0.0, 0.0)
        _, places, _ = space_track(space, message, depth)
        return places

    def told():
        return {each.key: each.value for each in diagnostics[-1].status[0].values}

    show()
    assert not poses
    for wrong in ('far', '-1', '0', '12345'):
        assert not peer.set(target=wrong).successful
    assert peer.set(target='nearest').successful
    for _ in range(3):
        places = show()
    camera = [0, 0, HEIGHT]
    nearest = min(places.detections, key=lambda each: np.linalg.norm(place_of(each) - camera))
    pose = peer.received(poses, places.header)
    place = place_of(nearest)
    assert [pose.pose.position.x, pose.pose.position.y] == pytest.approx(place[:2], abs=0.02)
    assert pose.pose.position.z == 0
    # They stand: away from the camera.
    yaw = 2 * math.atan2(pose.pose.orientation.z, pose.pose.orientation.w)
    assert yaw == pytest.approx(math.atan2(place[1], place[0]), abs=0.02)
    peer.until(lambda: diagnostics and told().get('target id') == nearest.id, 'diagnostics')
    assert told()['target status'] == 'seen'
    # Another one, by the id.
    other = next(each for each in places.detections if each.id != nearest.id)
    assert peer.set(target=other.id).successful
    places = show()
    pose = peer.received(poses, places.header)
    place = place_of(next(each for each in places.detections if each.id == other.id))
    assert [pose.pose.position.x, pose.pose.position.y] == pytest.approx(place[:2], abs=0.02)
    # Images and tf, but no depth any more: nothing was measured.
    count = len(poses)

    def lost():
        message = to_message(pictures[0])
        robot.stand(message.header.stamp, 0.0, 0.0)
        peer.track(message)
        return told().get('target status') == 'lost'

    peer.until(lost, 'lost target')
    assert len(poses) == count
    places = show()
    peer.received(poses, places.header)
    assert len(poses) == count + 1
    # Others get the ids that begin anew.
    assert peer.call(Trigger, 'reset').success
    assert peer.get('target') == ''
    tracker.wait_for(f'WARN.*target {other.id} ends with its ids')
    assert not peer.set(target=other.id).successful
    for _ in range(3):
        show()
    assert len(poses) == count + 1
