"""Persons in space: depth images of known geometry in, tracks_3d and markers out."""

from __future__ import annotations

import re
from array import array

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

FOCAL = 600.0
MIDDLE = np.array([383.5, 287.5])
WALL = 9.0
NAMESPACES = {'boxes', 'ids', 'trails'}


@pytest.fixture(scope='module')
def tracker(models, start_once):
    process = start_once('tracker_node', depth=True, reid__model='color', tracker__n_init=1)
    process.wait_for('tracking the persons in /image_raw')
    return process


class Space:
    """What goes with the images, and what comes beside the tracks."""

    def __init__(self, peer):
        self.peer = peer
        self.depths = peer.node.create_publisher(Image, 'depth_image', 10)
        self.infos = peer.node.create_publisher(CameraInfo, 'camera_info', 10)
        self.tracks = peer.collect(Detection3DArray, 'tracks_3d')
        self.markers = peer.collect(MarkerArray, 'markers')
        peer.until(self.depths.get_subscription_count, 'subscription of depth_image')
        peer.until(self.infos.get_subscription_count, 'subscription of camera_info')
        peer.until_tracker_listens()

    def publish_info(self, header, focal=FOCAL):
        info = CameraInfo(header=header, width=768, height=576, distortion_model='plumb_bob')
        info.k = [focal, 0.0, MIDDLE[0], 0.0, focal, MIDDLE[1], 0.0, 0.0, 1.0]
        info.d = [0.0] * 5
        self.infos.publish(info)

    def publish_depth(self, header, depth):
        encoding = '16UC1' if depth.dtype == np.uint16 else '32FC1'
        height, width = depth.shape
        message = Image(header=header, height=height, width=width, encoding=encoding)
        message.step = width * depth.itemsize
        message.data = array('B', depth.tobytes())
        self.depths.publish(message)

    def of(self, header, messages):
        """Wait for the message with a header."""

        def found():
            return [each for each in messages if header_of(each) == header]

        self.peer.until(found, 'answer in space')
        return found()[0]

    def track(self, message, depth):
        """Return the tracks of an image, and their places and markers."""
        self.publish_info(message.header)
        self.publish_depth(message.header, depth)
        tracks = self.peer.track(message)
        places = self.of(message.header, self.tracks)
        return tracks, places, self.of(message.header, self.markers) if places.detections else None


def header_of(message):
    if isinstance(message, MarkerArray):
        return message.markers[0].header if message.markers else None
    return message.header


@pytest.fixture(scope='module')
def space(tracker, module_peer):
    return Space(module_peer)


def box_of(detection):
    centre, box = detection.bbox.center.position, detection.bbox
    size = np.array([box.size_x, box.size_y])
    return np.array([centre.x, centre.y]) - size / 2, size


def paint(tracks, kind=np.float32):
    """Return a depth image in which each person stands at a distance of their own."""
    depth = np.full((576, 768), WALL)
    distances = {each.id: 3.0 + 0.8 * i for i, each in enumerate(tracks.detections)}
    # Those in front last.
    for each in reversed(tracks.detections):
        corner, size = box_of(each)
        left, top = np.maximum(np.round(corner), 0).astype(int)
        right, bottom = np.round(corner + size).astype(int)
        depth[top:bottom, left:right] = distances[each.id]
    depth[::7, ::3] = 0 if kind is np.uint16 else np.nan
    if kind is np.uint16:
        depth *= 1000
    return depth.astype(kind), distances


def warm_up(space, pictures, to_message):
    """Let the tracks settle on a picture; return the tracks and their distances."""
    for _ in range(4):
        tracks = space.peer.track(to_message(pictures[0]))
    assert len(tracks.detections) >= 2
    return tracks


@pytest.mark.parametrize('kind', [np.uint16, np.float32])
def test_positions_and_sizes_in_metres(space, pictures, to_message, kind):
    depth, distances = paint(warm_up(space, pictures, to_message), kind)
    message = to_message(pictures[0])
    tracks, places, _ = space.track(message, depth)
    assert places.header == message.header
    assert [each.id for each in places.detections] == [each.id for each in tracks.detections]
    for flat, solid in zip(tracks.detections, places.detections):
        assert solid.header == message.header
        assert solid.results[0].hypothesis == flat.results[0].hypothesis
        distance = distances[flat.id]
        corner, size = box_of(flat)
        # The middle of the first pixel is 0 in K.
        x, y = (corner + size / 2 - 0.5 - MIDDLE) / FOCAL * distance
        centre = solid.bbox.center
        found = np.array([centre.position.x, centre.position.y, centre.position.z])
        assert np.abs(found - [x, y, distance]).max() < 0.05
        assert centre.orientation.w == 1.0
        assert solid.results[0].pose.pose == centre
        assert solid.bbox.size.x == pytest.approx(size[0] / FOCAL * distance, abs=0.05)
        assert solid.bbox.size.y == pytest.approx(size[1] / FOCAL * distance, abs=0.05)
        assert 0 <= solid.bbox.size.z <= 0.4


def test_markers_follow_the_tracks_and_end_with_them(space, pictures, to_message):
    depth, _ = paint(warm_up(space, pictures, to_message))
    for _ in range(2):
        message = to_message(pictures[0])
        _, places, markers = space.track(message, depth)
    assert all(each.header == message.header for each in markers.markers)
    shown = {(each.ns, each.id): each for each in markers.markers if each.action == Marker.ADD}
    assert shown.keys() == {(ns, int(each.id)) for ns in NAMESPACES for each in places.detections}
    for each in places.detections:
        box, text, trail = (shown[ns, int(each.id)] for ns in ('boxes', 'ids', 'trails'))
        assert box.type == Marker.CUBE
        assert box.pose == each.bbox.center
        assert (box.scale.x, box.scale.y) == (each.bbox.size.x, each.bbox.size.y)
        assert min(box.scale.z, box.color.a) > 0
        assert text.type == Marker.TEXT_VIEW_FACING
        assert text.text == each.id
        assert trail.type == Marker.LINE_STRIP
        assert len(trail.points) >= 2
        assert trail.points[-1] == each.bbox.center.position
    ids = {int(each.id) for each in places.detections}
    ended = set()
    blank = np.zeros_like(pictures[0])
    for _ in range(200):
        seen = len(space.markers)
        message = to_message(blank)
        tracks, _, _ = space.track(message, np.full((576, 768), WALL, dtype=np.float32))
        space.peer.until(lambda seen=seen: len(space.markers) > seen, 'markers')
        for each in space.markers[-1].markers:
            if each.action == Marker.DELETE:
                ended.add((each.ns, each.id))
        if not tracks.detections:
            break
    assert ended >= {(ns, id_) for ns in NAMESPACES for id_ in ids}


def test_reset_deletes_all_markers(space, pictures, to_message):
    depth, _ = paint(warm_up(space, pictures, to_message))
    space.track(to_message(pictures[0]), depth)
    space.markers.clear()
    assert space.peer.call(Trigger, 'reset').success
    space.peer.until(lambda: space.markers, 'markers')
    assert [each.action for each in space.markers[0].markers] == [Marker.DELETEALL]


def test_tracks_do_not_wait_for_depth(space, pictures, to_message):
    tracks = warm_up(space, pictures, to_message)
    depth, _ = paint(tracks)
    message = to_message(pictures[0])
    space.publish_info(message.header)
    tracks = space.peer.track(message)
    assert all(each.header != message.header for each in space.tracks)
    space.publish_depth(message.header, depth)
    places = space.of(message.header, space.tracks)
    assert [each.id for each in places.detections] == [each.id for each in tracks.detections]


def test_depth_of_another_time_is_not_used(space, tracker, pictures, to_message):
    depth, _ = paint(warm_up(space, pictures, to_message))
    told = r'WARN.*no tracks_3d: the nearest depth image is 0\.\d+ s newer than'
    for _ in range(100):  # not each one is told of
        # A tenth of a second lies between the two, and more before the next ones.
        message, later, *_ = [to_message(pictures[0]) for _ in range(10)]
        space.publish_info(message.header)
        space.publish_depth(later.header, depth)
        space.peer.track(message)
        if re.search(told, tracker.output):
            break
    tracker.wait_for(told)
    tracks, places, _ = space.track(later, depth)
    assert len(places.detections) == len(tracks.detections)
    assert all(each.header != message.header for each in space.tracks)


def test_what_cannot_be_used_is_told(space, tracker, pictures, to_message):
    def is_reported():
        message = to_message(pictures[0])
        space.publish_info(message.header, focal=0.0)
        space.publish_depth(message.header, np.ones((576, 768), dtype=np.float32))
        space.peer.track(message)
        # The log names one reason in some seconds.
        return re.search('WARN.*no tracks_3d: .*not calibrated', tracker.output)

    space.peer.until(is_reported)


def test_not_advertised_without_depth(space, tracker, pictures, to_message):
    """The last test of this module: it configures the node anew."""
    peer = space.peer
    assert peer.change_state('deactivate')
    assert not peer.set(depth=True, input='detections').successful
    assert peer.change_state('cleanup')
    result = peer.set(depth=True, input='detections')
    assert not result.successful
    assert 'depth needs images' in result.reason
    assert peer.set(depth=False).successful
    assert peer.change_state('configure')
    assert peer.change_state('activate')
    peer.until_tracker_listens()
    for topic in ('tracks_3d', 'markers'):
        peer.until(lambda topic=topic: not peer.node.count_publishers(topic), f'end of {topic}')
    assert peer.node.count_publishers('tracks') == 1
    for topic in ('depth_image', 'camera_info'):
        peer.until(lambda topic=topic: not peer.node.count_subscribers(topic), f'end of {topic}')
    peer.track(to_message(pictures[0]))
