"""Bodies and persons on /humans, as a client sees them that was written from REP 155 alone."""

from __future__ import annotations

import re
from array import array
from types import SimpleNamespace

import numpy as np
import pytest
from node_runs import Rig, found, pixels, stamp
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Float32, Header, String
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray, Detection3DArray

from persontrack_ros.ros.discovery import Introduction
from persontrack_ros.ros.tracker import humans

hri = pytest.importorskip('hri_msgs.msg', reason='this ROS 2 has no hri_msgs')

WIDTH, HEIGHT = 640, 480
PARAMETERS = {
    'input': 'image+detections',
    'detector__model': 'none',
    'reid__model': 'color',
    'tracker__n_init': 1,
    'tracker__remember': 60.0,
    'hri': True,
}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BODY = {'roi': (hri.NormalizedRegionOfInterest2D, 1)}
PERSON = {
    'anonymous': (Bool, LATCHED),
    'body_id': (String, LATCHED),
    'alias': (String, LATCHED),
    'location_confidence': (Float32, 1),
}
RED, BLUE = (40, 40, 220), (220, 60, 30)


class Client:
    """Subscribes to the lists, and to the topics of each id as long as a list has it."""

    def __init__(self, node):
        self._node = node
        self.lists = {}
        self.values = {}
        self._subscriptions = {}
        for name, topics in (
            ('bodies/tracked', BODY),
            ('persons/known', PERSON),
            ('persons/tracked', {}),
        ):
            node.create_subscription(
                hri.IdsList,
                f'/humans/{name}',
                lambda message, name=name, topics=topics: self._take(name, topics, message),
                10,
            )

    def _take(self, name, topics, message):
        self.lists[name] = message
        kind = name.partition('/')[0]
        for id_ in message.ids:
            for topic, (message_type, quality) in topics.items():
                full = f'/humans/{kind}/{id_}/{topic}'
                if full not in self._subscriptions:
                    self._subscriptions[full] = self._node.create_subscription(
                        message_type,
                        full,
                        lambda value, full=full: self.values.update({full: value}),
                        quality,
                    )
        ended = [
            full
            for full in self._subscriptions
            if topics and full.split('/')[2] == kind and full.split('/')[3] not in message.ids
        ]
        for full in ended:
            self._node.destroy_subscription(self._subscriptions.pop(full))
            self.values.pop(full, None)

    def ids(self, name):
        return set(self.lists[name].ids) if name in self.lists else None

    def roi(self, id_):
        return self.values.get(f'/humans/bodies/{id_}/roi')

    def person(self, id_):
        return {
            topic: getattr(self.values.get(f'/humans/persons/{id_}/{topic}'), 'data', None)
            for topic in PERSON
        }


class Scene(Rig):
    """A tracker of coloured rectangles, and a client."""

    def __init__(self, **parameters):
        super().__init__(**{**PARAMETERS, **parameters})
        self.client, self.tracks, self.tenths = Client(self.peer), [], 10_000
        self.peer.create_subscription(Detection2DArray, 'tracks', self.tracks.append, 10)
        self.images = self.peer.create_publisher(Image, 'image_raw', 10)
        self.detections = self.peer.create_publisher(Detection2DArray, 'detections', 10)
        self.change('configure', 'activate')
        for publisher in (self.images, self.detections):
            self.until(publisher.get_subscription_count)
        introduction = Introduction(self.peer, 'person_tracker')
        self.until(introduction.is_done)
        introduction.close()

    def show(self, *persons, seconds=0.1, beside=lambda header: None):
        """
        Show persons, each a left, a top and a colour.

        :param beside: publishes what belongs to the image.
        :returns: the ids that bodies should have, and their boxes, when the client has the list.
        """
        self.tenths += round(seconds * 10)
        header = Header(frame_id='lens', stamp=stamp(self.tenths / 10))
        image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        for left, top, colour in persons:
            image[max(0, top) : top + 160, max(0, left) : left + 60] = colour
        message = Image(header=header, width=WIDTH, height=HEIGHT, encoding='bgr8', step=3 * WIDTH)
        message.data = array('B', image.tobytes())
        beside(header)
        self.images.publish(message)
        self.detections.publish(found(header, *((*each[:2], 60, 160, 0.9) for each in persons)))

        def are_known():
            newest = (self.client.lists.get('bodies/tracked'), *self.tracks[-1:])
            return [each and each.header for each in newest] == [header, header]

        self.until(are_known)
        self.image, self.header = image, header
        return {f'person_tracker_{each.id}': each.bbox for each in self.tracks[-1].detections}

    def topics(self, kind, id_):
        return {
            name: types
            for name, types in self.peer.get_topic_names_and_types()
            if name.startswith(f'/humans/{kind}/{id_}/') and self.peer.count_publishers(name)
        }


@pytest.fixture
def scene(own_graph):
    scene = Scene()
    yield scene
    scene.close()


def test_bodies_appear_move_and_vanish_as_tracks_do(scene):
    client = scene.client
    first, walked = set(), {}
    for step in range(20):
        others = [(400, 200, BLUE)] if step >= 6 else []
        boxes = scene.show((100 + 12 * step, 150, RED), *others)
        assert client.ids('bodies/tracked') == boxes.keys()
        for id_, box in boxes.items():
            assert id_.isidentifier()
            if client.roi(id_) is None:  # the client has only learnt of it
                continue
            scene.until(lambda id_=id_: client.roi(id_).header == scene.header)
            roi = client.roi(id_)
            centre = box.center.position
            assert (roi.xmin + roi.xmax) / 2 * WIDTH == pytest.approx(centre.x, abs=0.01)
            assert (roi.ymin + roi.ymax) / 2 * HEIGHT == pytest.approx(centre.y, abs=0.01)
            assert (roi.xmax - roi.xmin) * WIDTH == pytest.approx(box.size_x, abs=0.01)
            assert roi.c == pytest.approx(0.9)
            walked.setdefault(id_, []).append(roi.xmin)
        first = first or set(boxes)
    assert len(boxes) == 2
    (first,) = first
    assert walked[first][-1] - walked[first][0] > 0.1
    while first in scene.show((400, 200, BLUE)):
        pass
    assert client.ids('bodies/tracked') == boxes.keys() - {first}
    # Its topics end, those of the other stay.
    scene.until(lambda: not scene.topics('bodies', first))
    (second,) = boxes.keys() - {first}
    assert scene.topics('bodies', second) == {
        f'/humans/bodies/{second}/roi': ['hri_msgs/msg/NormalizedRegionOfInterest2D'],
        f'/humans/bodies/{second}/cropped': ['sensor_msgs/msg/Image'],
    }


def test_a_body_across_the_border_and_its_picture(scene):
    id_ = ''
    while scene.client.roi(id_) is None:
        ((id_, box),) = scene.show((-20, 360, RED)).items()
    roi = scene.client.roi(id_)
    assert (roi.xmin, roi.ymax) == (0, 1)
    assert roi.xmax * WIDTH == pytest.approx(box.center.position.x + box.size_x / 2, abs=1)
    pictures = []
    scene.peer.create_subscription(Image, f'/humans/bodies/{id_}/cropped', pictures.append, 1)
    while not pictures:
        scene.show((-20, 360, RED))
    picture = pictures[-1]
    assert (picture.header.frame_id, picture.encoding) == ('lens', 'bgr8')
    assert abs(picture.width - 40) <= 2
    assert (pixels(picture) == scene.image[-picture.height :, : picture.width]).all()


def test_a_person_keeps_the_id(scene):
    client = scene.client
    # Cut off by the border, nobody can be re-identified.
    for _ in range(3):
        ((id_, _),) = scene.show((-20, 200, RED)).items()
    present = {'anonymous': True, 'body_id': id_, 'alias': '', 'location_confidence': 1.0}
    scene.until(lambda: client.person(id_) == present)
    for step in range(12):
        scene.show((-20 + 15 * step, 200, RED))
    scene.until(lambda: client.person(id_) == {**present, 'anonymous': False})
    assert client.ids('persons/tracked') == {id_}
    # Away for longer than a track lives.
    scene.show(seconds=5)
    scene.show(seconds=5)
    scene.until(lambda: client.ids('persons/tracked') == set())
    assert client.ids('persons/known') == {id_}
    assert client.ids('bodies/tracked') == set()
    away = {**present, 'anonymous': False, 'body_id': '', 'location_confidence': 0.0}
    scene.until(lambda: client.person(id_) == away)
    for step in range(20):
        if boxes := scene.show((300 - 5 * step, 200, RED)):
            assert boxes.keys() == {id_}
    scene.until(lambda: client.person(id_) == {**present, 'anonymous': False})
    # A client that comes later gets what is latched.
    late = Client(scene.peer)
    scene.show((200, 200, RED))
    scene.until(lambda: late.person(id_)['body_id'] == id_)
    for name, latched in (('anonymous', True), ('location_confidence', False)):
        (info,) = scene.peer.get_publishers_info_by_topic(f'/humans/persons/{id_}/{name}')
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert (info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL) == latched
    # Nobody is known any longer.
    scene.show(seconds=61)
    scene.until(lambda: client.ids('persons/known') == set())
    scene.until(lambda: not scene.topics('persons', id_))


def test_all_ends_with_the_tracks(scene):
    for _ in range(5):
        ((id_, _),) = scene.show((200, 200, RED)).items()
    reset = scene.peer.create_client(Trigger, 'person_tracker/reset')
    scene.until(reset.service_is_ready)
    reset.call_async(Trigger.Request())
    for name in ('bodies/tracked', 'persons/tracked', 'persons/known'):
        scene.until(lambda name=name: scene.client.ids(name) == set())
    scene.until(lambda: not scene.topics('bodies', id_))
    for _ in range(5):
        assert scene.show((200, 200, RED)).keys() == {id_}
    scene.change('deactivate')
    scene.until(lambda: scene.client.ids('bodies/tracked') == set())
    scene.change('cleanup')
    scene.until(lambda: not scene.topics('persons', id_))
    scene.until(lambda: not scene.peer.count_publishers('/humans/bodies/tracked'))


def test_no_persons_where_nobody_is_re_identified(own_graph):
    scene = Scene(tracker__remember=0.0)
    try:
        ((id_, _),) = scene.show((200, 200, RED)).items()
        scene.until(lambda: scene.topics('bodies', id_))
        assert not scene.peer.count_publishers('/humans/persons/tracked')
    finally:
        scene.close()


def test_frames_of_tf(own_graph, monkeypatch):
    """The 3D position, upright, with x to the camera; the transforms are those of tf2_ros."""
    sent = []

    class Broadcaster:
        def __init__(self, node):
            self.pub_tf = node.create_publisher(Image, 'unused', 1)
            self.sendTransform = sent.append

    monkeypatch.setattr(humans, 'make_broadcaster', lambda node, _: Broadcaster(node))
    scene = Scene(depth=True)
    places = []
    scene.peer.create_subscription(Detection3DArray, 'tracks_3d', places.append, 10)
    infos = scene.peer.create_publisher(CameraInfo, 'camera_info', 10)
    depths = scene.peer.create_publisher(Image, 'depth_image', 10)
    depth = np.full((HEIGHT, WIDTH), 4.0, np.float32)

    def measure(header):
        info = CameraInfo(header=header, width=WIDTH, height=HEIGHT)
        info.k = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
        infos.publish(info)
        image = Image(header=header, width=WIDTH, height=HEIGHT, encoding='32FC1', step=4 * WIDTH)
        image.data = array('B', depth.tobytes())
        depths.publish(image)

    try:
        scene.until(infos.get_subscription_count)
        scene.until(depths.get_subscription_count)
        while not (sent and places and sent[-1][0].header == places[-1].header):
            ((id_, _),) = scene.show((450, 150, RED), beside=measure).items()
        body, person = sent[-1]
        assert (body.header.frame_id, body.child_frame_id) == ('lens', f'body_{id_}')
        assert (person.child_frame_id, person.transform) == (f'person_{id_}', body.transform)
        at, centre = body.transform.translation, places[-1].detections[0].bbox.center.position
        assert (at.x, at.y, at.z) == (centre.x, centre.y, centre.z)
        turned = body.transform.rotation
        x, y, z, w = turned.x, turned.y, turned.z, turned.w
        forward = [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]
        up = [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)]
        assert up == pytest.approx([0, -1, 0], abs=1e-6)
        assert np.cross(forward, [at.x, 0, at.z]) == pytest.approx(0, abs=1e-6)
        assert forward[2] < 0
    finally:
        scene.close()


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'input': 'detections'}, 'needs images'),
        ({'tracker__algorithm': 'none'}, 'needs tracks'),
        ({}, r'hri_msgs, which is not installed: sudo apt install ros-\w+-hri-msgs'),
    ],
)
def test_refused(own_graph, monkeypatch, parameters, reason):
    monkeypatch.setattr(humans, 'IdsList', None)
    rig = Rig(**{**PARAMETERS, 'tracker__remember': 0.0, **parameters})
    logged = []
    monkeypatch.setattr(
        rig.tracker, 'get_logger', lambda: SimpleNamespace(error=logged.append, info=lambda _: 0)
    )
    try:
        rig.change('configure', result=TransitionCallbackReturn.FAILURE)
        (line,) = logged
        assert re.search(reason, line)
    finally:
        rig.close()
