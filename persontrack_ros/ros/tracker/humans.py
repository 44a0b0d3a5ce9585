"""The topics and frames of tf of REP 155 (ROS4HRI): bodies, and persons who are re-identified."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, Header, String

from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.tracking.gallery import Camera
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.ros.compat import events, not_installed
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.tracker.processing import FrameResult
from persontrack_ros.ros.tracker.transforms import make_broadcaster

try:
    from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D
except ImportError:
    IdsList = None

# As in hri_body_detect, which publishes the same, and libhri, the client.
_NEWEST = QoSProfile(depth=1)
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

# Of a person who looks towards the camera, in its optical frame: z points up.
_TOWARDS = Quaternion(x=0.5, y=0.5, z=-0.5, w=0.5)


class HumanTopics:
    """
    Publishes each track as a body and, with `tracker.remember`, as a person with the same id.

    The id is the name of the node and the id of the track: those of two nodes differ. Frames come
    on the worker's thread, positions and the end of tracks on any.
    """

    def __init__(self, node: Node, camera: Camera, remember: float, depth: bool) -> None:
        """
        Begin without bodies.

        :param camera: of the gallery with the persons.
        :param remember: seconds for which a person is re-identified; 0: no persons are published.
        :param depth: whether there are positions for :meth:`locate`.
        :raises SettingsError: if hri_msgs or, for positions, tf2_ros is not installed.
        """
        if IdsList is None:
            raise not_installed('hri', 'hri_msgs')
        self._broadcaster = make_broadcaster(node, 'hri with depth') if depth else None
        self._node, self._camera, self._remember = node, camera, round(remember * SECOND)
        self._prefix = node.get_fully_qualified_name()[1:].replace('/', '_')
        self._lock = threading.Lock()
        # Of each body, person and list, by their topics.
        self._publishers: dict[str, Publisher] = {}
        self._latched: dict[str, Any] = {}
        self._persons: set[str] = set()
        self._time = 0
        self.clear()

    def publish(self, frame: FrameResult) -> None:
        """Take the tracks of a frame with an image."""
        assert frame.image is not None
        with self._lock:
            self._time = frame.moment.time
            for track in frame.tracks:
                self._publish_body(track, frame.image, frame.header)
            self._publish_ids(frame.header, {self._name(track.id) for track in frame.tracks})

    def clear(self) -> None:
        """Publish that no person is tracked."""
        with self._lock:
            if self._node.context.ok():
                self._publish_ids(Header(), set())

    def locate(self, header: Header, positions: Mapping[int, FloatArray]) -> None:
        """
        Publish the frames of bodies, and of persons at the same places.

        :param positions: in the optical frame of the camera, by id.
        """
        transforms = []
        for id_, position in positions.items():
            for kind in ('body', 'person') if self._remember else ('body',):
                message = TransformStamped(header=header)
                message.child_frame_id = f'{kind}_{self._name(id_)}'
                at, message.transform.rotation = message.transform.translation, _TOWARDS
                at.x, at.y, at.z = position.tolist()
                transforms.append(message)
        if transforms and self._broadcaster is not None:
            self._broadcaster.sendTransform(transforms)

    def destroy(self) -> None:
        """End all topics."""
        with self._lock:
            for publisher in self._publishers.values():
                self._node.destroy_publisher(publisher)
            if self._broadcaster is not None:
                self._node.destroy_publisher(self._broadcaster.pub_tf)

    def _name(self, id_: int) -> str:
        return f'{self._prefix}_{id_}'

    def _publish_body(self, track: Track, image: BgrImage, header: Header) -> None:
        topic, size = f'bodies/{self._name(track.id)}', np.array(image.shape[1::-1])
        corners = np.clip([track.box[:2], track.box[:2] + track.box[2:]], 0, size)
        region = NormalizedRegionOfInterest2D(header=header, c=float(track.score))
        region.xmin, region.ymin, region.xmax, region.ymax = (corners / size).ravel().tolist()
        self._publisher(f'{topic}/roi', type(region)).publish(region)
        cropped = self._publisher(f'{topic}/cropped', Image)
        (left, top), (right, bottom) = corners.round().astype(int).tolist()
        if right > left and bottom > top and cropped.get_subscription_count():
            cropped.publish(bgr_to_image(image[top:bottom, left:right], header))

    def _publish_ids(self, header: Header, tracked: set[str]) -> None:
        self._end_others('bodies', tracked)
        lists = {'bodies/tracked': tracked}
        if self._remember:
            since = self._time - self._remember
            known = {self._name(id_) for id_ in self._camera.known(since)}
            self._persons = tracked | (self._persons & known)
            self._end_others('persons', self._persons)
            for id_ in self._persons:
                # The id of a person who cannot be re-identified does not stay. Persons are never
                # merged, as the id of a track is final.
                self._latch(f'persons/{id_}/anonymous', Bool(data=id_ not in known))
                self._latch(f'persons/{id_}/body_id', String(data=id_ if id_ in tracked else ''))
                self._latch(f'persons/{id_}/alias', String())
                confidence = self._publisher(f'persons/{id_}/location_confidence', Float32)
                confidence.publish(Float32(data=float(id_ in tracked)))
            lists |= {'persons/known': tracked | known, 'persons/tracked': tracked}
        for topic, ids in lists.items():
            self._publisher(topic, IdsList).publish(IdsList(header=header, ids=sorted(ids)))

    def _end_others(self, kind: str, ids: set[str]) -> None:
        """End the topics of all bodies or persons but these."""
        for topic in list(self._publishers):
            root, id_, *name = topic.split('/')
            if root == kind and name and id_ not in ids:
                self._latched.pop(topic, None)
                self._node.destroy_publisher(self._publishers.pop(topic))

    def _publisher(self, topic: str, kind: type, quality: QoSProfile = _NEWEST) -> Publisher:
        """Return the publisher of a topic, which begins with its first use."""
        if topic not in self._publishers:
            # The executor would have to wait for the events of each.
            unheard = events.PublisherEventCallbacks(use_default_callbacks=False)
            self._publishers[topic] = self._node.create_publisher(
                kind, f'/humans/{topic}', quality, event_callbacks=unheard
            )
        return self._publishers[topic]

    def _latch(self, topic: str, message: Any) -> None:
        """Publish a message if it is new."""
        publisher = self._publisher(topic, type(message), _LATCHED)
        if self._latched.get(topic) != message:
            self._latched[topic] = message
            publisher.publish(message)
