"""Bodies and persons on /humans, as a client sees them that was written from REP 155 alone."""

from __future__ import annotations

from array import array
from functools import partial
from unittest import mock

import numpy as np
import pytest
from node_runs import Rig, found, pixels
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Float32, String
from test_space import camera_info, depth_image
from vision_msgs.msg import Detection2DArray, Detection3DArray

from persontrack_ros.ros.tracker import humans

try:
    from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D
except ImportError:
    IdsList = NormalizedRegionOfInterest2D = None

# Not importorskip, which ends the collection of launch_testing.
needs_hri = pytest.mark.skipif(IdsList is None, reason='this ROS 2 has no hri_msgs')

WIDTH, HEIGHT = 768, 576
PARAMETERS = {
    'input': 'image+detections',
    'detector__model': 'none',
    'reid__model': 'color',
    'tracker__n_init': 1,
    'hri': True,
}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LISTS = ('bodies/tracked', 'persons/tracked', 'persons/known')
TOPICS = {
    'bodies/tracked': {'roi': (NormalizedRegionOfInterest2D, 1)},
    'persons/known': {
        'anonymous': (Bool, LATCHED),
        'body_id': (String, LATCHED),
        'alias': (String, LATCHED),
        'location_confidence': (Float32, 1),
    },
}
RED, BLUE = (40, 40, 220), (220, 60, 30)


class Client:
    """Has the newest message of each topic of those that the lists have."""

    def __init__(self, node):
        self.node, self.newest, self.subscriptions = node, {}, {}
        for name in LISTS:
            self.subscribe(name, IdsList, 10)

    def subscribe(self, name, kind, quality):
        def take(message):
            self.newest[name] = message
            self.follow(name.split('/')[0], TOPICS.get(name, {}), message)

        self.subscriptions[name] = self.node.create_subscription(
            kind, f'/humans/{name}', take, quality
        )

    def follow(self, kind, topics, message):
        wanted = {
            f'{kind}/{id_}/{topic}': topics[topic] for topic in topics for id_ in message.ids
        }
        for name in wanted.keys() - self.subscriptions.keys():
            self.subscribe(name, *wanted[name])
        for name in list(self.subscriptions):
            if topics and name.startswith(kind) and name not in (*LISTS, *wanted):
                self.node.destroy_subscription(self.subscriptions.pop(name))
                self.newest.pop(name, None)

    def ids(self):
        """Return the lists: of bodies, of persons, and of known persons."""
        return [set(self.newest[name].ids) if name in self.newest else None for name in LISTS]

    def person(self, id_):
        """Return what is known of a person, in the order above."""
        names = (f'persons/{id_}/{topic}' for topic in TOPICS['persons/known'])
        return [getattr(self.newest.get(name), 'data', None) for name in names]


class Scene(Rig):
    """A tracker of coloured rectangles, and a client."""

    def __init__(self, **parameters):
        super().__init__(**PARAMETERS, **parameters)
        self.client = Client(self.peer)
        self.advertise(image_raw=Image, detections=Detection2DArray)
        if 'depth' in parameters:
            self.advertise(depth_image=Image, camera_info=CameraInfo)
        self.activate('configure', 'activate')

    def show(self, *persons, seconds=0.1):
        """Show persons, each a left, a top and a colour; return the boxes by the ids of bodies."""
        header = self.newest = self.header(seconds)
        self.image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        for left, top, colour in persons:
            self.image[max(0, top) : top + 160, max(0, left) : left + 60] = colour
        image = Image(header=header, width=WIDTH, height=HEIGHT, encoding='bgr8', step=3 * WIDTH)
        image.data = array('B', self.image.tobytes())
        messages = {
            'camera_info': camera_info(header),
            'depth_image': depth_image(header, np.full((HEIGHT, WIDTH), 4, np.float32)),
            'image_raw': image,
            'detections': found(header, *((*each[:2], 60, 160, 0.9) for each in persons)),
        }
        for name, publisher in self.publishers.items():
            publisher.publish(messages[name])

        def has_come():
            newest = (self.client.newest.get(LISTS[0]), *self.tracks[-1:])
            return [each and each.header for each in newest] == [header, header]

        self.until(has_come)
        return {f'person_tracker_{each.id}': each.bbox for each in self.tracks[-1].detections}

    def meet(self, *persons):
        """Show persons; return whether the client has got the region of each."""
        boxes = self.show(*persons)
        return boxes and all(f'bodies/{id_}/roi' in self.client.newest for id_ in boxes)

    def topics(self, under):
        return {
            name.rpartition('/')[2]: types[0]
            for name, types in self.peer.get_topic_names_and_types()
            if name.startswith(f'/humans/{under}') and self.peer.count_publishers(name)
        }


@pytest.fixture
def make(own_graph):
    scenes = []
    yield lambda **parameters: scenes.append(Scene(**parameters)) or scenes[-1]
    for scene in scenes:
        scene.close()


@needs_hri
def test_bodies_appear_move_and_vanish_as_tracks_do(make):
    scene = make()
    walked = {}
    for step in range(20):
        persons = [(12 * step - 20, 150, RED), *[(400, 430, BLUE)] * (step >= 6)]
        if step in (0, 6):
            scene.until(partial(scene.meet, *persons))
        boxes = scene.show(*persons)
        assert scene.client.ids() == [boxes.keys(), None, None]  # nobody is re-identified
        for id_, box in boxes.items():
            name = f'bodies/{id_}/roi'
            scene.until(lambda name=name: scene.client.newest[name].header == scene.newest)
            roi, centre, size = scene.client.newest[name], box.center.position, [WIDTH, HEIGHT] * 2
            sides = np.array([centre.x, centre.y] * 2) / size
            sides += np.array([-box.size_x, -box.size_y, box.size_x, box.size_y]) / size / 2
            assert [roi.xmin, roi.ymin, roi.xmax, roi.ymax] == pytest.approx(np.clip(sides, 0, 1))
            assert roi.c == pytest.approx(0.9)
            walked.setdefault(id_, []).append(roi.xmax)
    first, second = sorted(walked)
    assert walked[first][-1] - walked[first][0] > 0.1
    while first in scene.show((400, 430, BLUE)):
        pass
    assert scene.client.ids()[0] == {second}
    scene.until(lambda: not scene.topics(f'bodies/{first}'))
    assert scene.topics(f'bodies/{second}') == {
        'roi': 'hri_msgs/msg/NormalizedRegionOfInterest2D',
        'cropped': 'sensor_msgs/msg/Image',
    }
    pictures = []
    scene.peer.create_subscription(Image, f'/humans/bodies/{second}/cropped', pictures.append, 1)
    scene.until(lambda: scene.show((400, 430, BLUE)) and pictures)
    assert (pictures[0].header.frame_id, pictures[0].encoding) == ('lens', 'bgr8')
    assert abs(np.subtract(pixels(pictures[0]).shape[:2], (146, 60))).max() <= 2
    assert (pixels(pictures[0])[3:, 3:-3] == BLUE).all()


@needs_hri
def test_a_person_keeps_the_id(make):
    scene = make(tracker__remember=60.0)
    client = scene.client
    # Cut off by the border, nobody can be re-identified.
    ((id_, _),) = scene.show((-20, 200, RED)).items()
    scene.until(lambda: scene.show((-20, 200, RED)) and client.person(id_) == [True, id_, '', 1.0])
    for step in range(12):
        assert scene.show((15 * step - 20, 200, RED)).keys() == {id_}
    scene.until(lambda: client.person(id_) == [False, id_, '', 1.0])
    assert client.ids() == [{id_}] * 3
    # Away for longer than a track lives.
    scene.show(seconds=5)
    scene.show(seconds=5)
    scene.until(lambda: client.person(id_) == [False, '', '', 0.0])
    scene.until(lambda: client.ids() == [set(), set(), {id_}])
    for step in range(20):
        assert scene.show((300 - 5 * step, 200, RED)).keys() <= {id_}
    # A client that comes later gets what is latched.
    late = Client(scene.peer)
    scene.show((200, 200, RED))
    for each in (client, late):
        scene.until(lambda each=each: each.person(id_)[:3] == [False, id_, ''])
    for name, latched in (('anonymous', True), ('location_confidence', False)):
        (info,) = scene.peer.get_publishers_info_by_topic(f'/humans/persons/{id_}/{name}')
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert (info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL) == latched
    scene.call('reset')
    scene.until(lambda: client.ids() == [set()] * 3)
    scene.until(lambda: not scene.topics(f'persons/{id_}'))
    # The id begins anew; who was seen longer ago than tracker.remember is forgotten.
    scene.until(
        lambda: scene.show((200, 200, RED)) and client.person(id_) == [False, id_, '', 1.0]
    )
    scene.show(seconds=59)
    scene.until(lambda: client.newest['persons/known'].header == scene.newest)
    assert client.ids()[2] == {id_}
    scene.show(seconds=9)
    scene.until(lambda: client.ids() == [set()] * 3)
    scene.change('deactivate', 'cleanup')
    scene.until(lambda: not scene.topics(''))


@needs_hri
def test_frames_of_tf(make, monkeypatch):
    """At the 3D position, upright, with x towards the camera."""
    tf = mock.Mock()
    monkeypatch.setattr(humans, 'make_broadcaster', tf)
    places, scene = [], make(depth=True, tracker__remember=60.0)
    tf.return_value.pub_tf = scene.peer.create_publisher(Image, 'unused', 1)
    sent = tf.return_value.sendTransform
    scene.peer.create_subscription(Detection3DArray, 'tracks_3d', places.append, 10)
    ((id_, _),) = scene.show((450, 150, RED)).items()
    scene.until(
        lambda: (
            scene.show((450, 150, RED))
            and places
            and sent.called
            and places[-1].header == sent.call_args[0][0][0].header
        )
    )
    body, person = sent.call_args[0][0]
    assert [body.child_frame_id, person.child_frame_id] == [f'body_{id_}', f'person_{id_}']
    assert (body.header.frame_id, person.transform) == ('lens', body.transform)
    at, centre = body.transform.translation, places[-1].detections[0].bbox.center.position
    assert (at.x, at.y, at.z) == (centre.x, centre.y, centre.z)
    turned = body.transform.rotation
    x, y, z, w = turned.x, turned.y, turned.z, turned.w
    assert (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)) == (0, -1, 0)
    assert (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)) == (0, 0, -1)


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'input': 'detections'}, 'hri needs images and tracks'),
        ({'tracker__algorithm': 'none'}, 'hri needs images and tracks'),
        ({}, 'hri needs hri_msgs, which is not installed: sudo apt install ros-'),
    ],
)
def test_refused(own_graph, monkeypatch, parameters, reason):
    monkeypatch.setattr(humans, 'IdsList', None)
    rig = Rig(**{**PARAMETERS, **parameters})
    try:
        rig.change('configure', result=TransitionCallbackReturn.FAILURE)
        assert reason in rig.tracker._state.problem
    finally:
        rig.close()
