"""Persons in space: depth images of known geometry in; tracks_3d, markers and persons out."""

from __future__ import annotations

import re

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

FOCAL = 600.0
MIDDLE = np.array([383.5, 287.5])
WALL = 9.0
NAMESPACES = {'boxes', 'ids', 'trails'}


def camera_info(header, focal=FOCAL):
    info = CameraInfo(header=header, width=768, height=576, distortion_model='plumb_bob')
    info.k = [focal, 0.0, MIDDLE[0], 0.0, focal, MIDDLE[1], 0.0, 0.0, 1.0]
    info.d = [0.0] * 5
    return info


def depth_image(header, depth):
    encoding = '16UC1' if depth.dtype == np.uint16 else '32FC1'
    height, width = depth.shape
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step, message.data = width * depth.itemsize, depth.tobytes()
    return message


class Space:
    """What goes with the images, and what comes beside the tracks."""

    def __init__(self, peer, to_message, picture):
        self.peer, self._message = peer, lambda: to_message(picture)
        self.depths = peer.publisher(Image, 'depth_image')
        self.infos = peer.publisher(CameraInfo, 'camera_info')
        self.tracks = peer.collect(Detection3DArray, 'tracks_3d')
        self.markers = peer.collect(MarkerArray, 'markers')
        self.persons = peer.collect(PointCloud2, 'persons')
        peer.until_tracker_listens()

    def message(self, depth=None, focal=FOCAL):
        """Return the image with a stamp of its own, and publish what goes with it."""
        message = self._message()
        return message if depth is None else self.with_depth(message, depth, focal)

    def with_depth(self, message, depth, focal=FOCAL):
        self.infos.publish(camera_info(message.header, focal))
        self.depths.publish(depth_image(message.header, depth))
        return message

    def places(self, message):
        """Wait for the 3D positions of an image."""
        stamp = message.header.stamp
        self.peer.until(lambda: stamp in [each.header.stamp for each in self.tracks], 'tracks_3d')
        return next(each for each in self.tracks if each.header.stamp == stamp)

    def cloud(self, places):
        """Return the points of each person, by id, that belong to 3D positions."""

        def clouds():
            return [each for each in self.persons if each.header == places.header]

        self.peer.until(clouds, 'persons')
        points = points_of(clouds()[0])
        return {id_: points[points['id'] == id_] for id_ in points['id'].tolist()}

    def show(self, depth, message=None):
        """Return the tracks of an image, and their places and markers."""
        message = message or self.message(depth)
        tracks, places = self.peer.track(message), self.places(message)

        def markers():
            return [
                each
                for each in self.markers
                if each.markers and each.markers[0].header == places.header
            ]

        self.peer.until(markers, 'markers')
        return tracks, places, markers()[0].markers

    def settle(self, kind=np.float32):
        """
        Let the tracks settle on the picture.

        :returns: a depth image in which each person has a distance of their own, and these by id.
        """
        for _ in range(4):
            tracks = self.peer.track(self.message())
        assert len(tracks.detections) >= 2
        depth = np.full((576, 768), WALL)
        distances = {each.id: 3.0 + 0.8 * i for i, each in enumerate(tracks.detections)}
        # Those in front last.
        for each in reversed(tracks.detections):
            corner, size = box_of(each)
            left, top = np.maximum(np.round(corner), 0).astype(int)
            right, bottom = np.round(corner + size).astype(int)
            depth[top:bottom, left:right] = distances[each.id]
        depth[::7, ::3] = 0 if kind is np.uint16 else np.nan
        return (depth * (1000 if kind is np.uint16 else 1)).astype(kind), distances


def box_of(detection):
    centre, box = detection.bbox.center.position, detection.bbox
    size = np.array([box.size_x, box.size_y])
    return np.array([centre.x, centre.y]) - size / 2, size


def place_of(detection):
    centre = detection.bbox.center.position
    return np.array([centre.x, centre.y, centre.z])


def click(frame, x, y, z):
    point = Point(x=float(x), y=float(y), z=float(z))
    return PointStamped(header=Header(frame_id=frame), point=point)


def points_of(cloud):
    """Read the points as any client does: by the fields that the message names."""
    kinds = {PointField.FLOAT32: '<f4', PointField.UINT32: '<u4'}
    names, offsets = zip(*((each.name, each.offset) for each in cloud.fields))
    formats = [kinds[each.datatype] for each in cloud.fields]
    layout = {'names': names, 'offsets': offsets, 'formats': formats}
    assert not cloud.is_bigendian
    assert (cloud.height, cloud.row_step) == (1, cloud.width * cloud.point_step)
    assert len(cloud.data) == cloud.row_step
    return np.frombuffer(bytes(cloud.data), np.dtype({**layout, 'itemsize': cloud.point_step}))


@pytest.fixture(scope='module')
def tracker(models, start_once):
    process = start_once('tracker_node', depth=True, reid__model='color', tracker__n_init=1)
    return process.wait_for('tracking the persons in /image_raw')


@pytest.fixture(scope='module')
def space(tracker, module_peer, to_message, pictures):
    return Space(module_peer, to_message, pictures[0])


@pytest.mark.parametrize('kind', [np.uint16, np.float32])
def test_positions_and_sizes_in_metres(space, kind):
    depth, distances = space.settle(kind)
    message = space.message(depth)
    tracks, places, _ = space.show(depth, message)
    assert places.header == message.header
    assert [each.id for each in places.detections] == [each.id for each in tracks.detections]
    for flat, solid in zip(tracks.detections, places.detections):
        assert solid.header == message.header
        assert solid.results[0].hypothesis == flat.results[0].hypothesis
        distance = distances[flat.id]
        corner, size = box_of(flat)
        # The middle of the first pixel is 0 in K.
        x, y = (corner + size / 2 - 0.5 - MIDDLE) / FOCAL * distance
        assert np.abs(place_of(solid) - [x, y, distance]).max() < 0.05
        assert solid.bbox.center.orientation.w == 1.0
        assert solid.results[0].pose.pose == solid.bbox.center
        assert solid.bbox.size.x == pytest.approx(size[0] / FOCAL * distance, abs=0.05)
        assert solid.bbox.size.y == pytest.approx(size[1] / FOCAL * distance, abs=0.05)
        assert 0 <= solid.bbox.size.z <= 0.4


def test_a_disc_of_points_for_each_person(space, pictures, to_message):
    depth, _ = space.settle()
    _, places, _ = space.show(depth)
    discs = space.cloud(places)
    assert sorted(discs) == sorted(int(each.id) for each in places.detections)
    for each in places.detections:
        x, y, z = (discs[int(each.id)][axis] for axis in 'xyz')
        assert np.allclose([x[0], y[0], z[0]], place_of(each), atol=1e-5)
        # Level, and more than the four points that Nav2's collision monitor wants by default.
        assert np.allclose(np.hypot(x - x[0], z - z[0])[1:], 0.25, atol=1e-5)
        assert np.ptp(y) == 0
        assert len(x) > 4
        # Nothing stands still in the frame of the camera.
        assert np.isnan(discs[int(each.id)]['vx']).all()
    # An empty cloud where there is no person.
    assert space.peer.call(Trigger, 'reset').success
    message = to_message(np.zeros_like(pictures[0]))
    space.with_depth(message, np.full((576, 768), WALL, np.float32))
    assert not space.peer.track(message).detections
    assert space.cloud(space.places(message)) == {}


def test_markers_follow_the_tracks_and_end_with_them(space, pictures, to_message):
    depth, _ = space.settle()
    space.show(depth)
    _, places, markers = space.show(depth)
    assert all(each.header == places.header for each in markers)
    shown = {(each.ns, each.id): each for each in markers if each.action == Marker.ADD}
    assert shown.keys() == {(ns, int(each.id)) for ns in NAMESPACES for each in places.detections}
    for each in places.detections:
        box, text, trail = (shown[ns, int(each.id)] for ns in ('boxes', 'ids', 'trails'))
        assert box.type == Marker.CUBE
        assert box.pose == each.bbox.center
        assert (box.scale.x, box.scale.y) == (each.bbox.size.x, each.bbox.size.y)
        assert min(box.scale.z, box.color.a) > 0
        assert (text.type, text.text) == (Marker.TEXT_VIEW_FACING, each.id)
        assert trail.type == Marker.LINE_STRIP
        assert len(trail.points) >= 2
        assert trail.points[-1] == each.bbox.center.position
    ended = set()
    for _ in range(200):
        seen = len(space.markers)
        message = to_message(np.zeros_like(pictures[0]))
        space.with_depth(message, np.full((576, 768), WALL, np.float32))
        tracks = space.peer.track(message)
        space.peer.until(lambda seen=seen: len(space.markers) > seen, 'markers')
        ended |= {
            (each.ns, each.id)
            for each in space.markers[-1].markers
            if each.action == Marker.DELETE
        }
        if not tracks.detections:
            break
    assert ended >= shown.keys()

    space.show(space.settle()[0])
    space.markers.clear()
    assert space.peer.call(Trigger, 'reset').success
    space.peer.until(lambda: space.markers, 'markers')
    assert [each.action for each in space.markers[0].markers] == [Marker.DELETEALL]


def test_tracks_do_not_wait_for_depth(space, tracker):
    """And depth of another time is not used."""
    depth, _ = space.settle()
    message = space.message()
    space.infos.publish(camera_info(message.header))
    tracks = space.peer.track(message)
    assert all(each.header != message.header for each in space.tracks)
    space.depths.publish(depth_image(message.header, depth))
    places = space.places(message)
    assert [each.id for each in places.detections] == [each.id for each in tracks.detections]

    told = r'WARN.*no tracks_3d: the nearest depth image is 0\.\d+ s newer than'
    for _ in range(100):  # not each one is told of
        # A tenth of a second lies between the two, and more before the next ones.
        message, later, *_ = [space.message() for _ in range(10)]
        space.infos.publish(camera_info(message.header))
        space.depths.publish(depth_image(later.header, depth))
        space.peer.track(message)
        if re.search(told, tracker.output):
            break
    tracker.wait_for(told)
    assert space.peer.track(later).detections
    assert space.places(later).detections
    assert all(each.header != message.header for each in space.tracks)


def test_a_click_in_the_frame_of_the_camera(space, tracker):
    points = space.peer.publisher(PointStamped, 'target_point')
    depth, _ = space.settle()
    places = space.show(depth)[1]

    for each in places.detections:
        points.publish(click('lens', *place_of(each)))
        space.peer.until(lambda id_=each.id: space.peer.get('target') == id_, 'target')
    points.publish(click('map', 1, 0, 0))
    tracker.wait_for("in 'map': other frames than that of the camera need target_frame")
    assert space.peer.set(target='').successful
