"""The topics and frames of tf of REP 155 (ROS4HRI): bodies, and persons who are re-identified."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any, Optional

import numpy as np
from geometry_msgs.msg import TransformStamped
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
from persontrack_ros.core.tracks3d.frames import quaternion_of_body
from persontrack_ros.ros.compat import PublisherEventCallbacks, not_installed
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
        self._node, self._camera, self._remember = node, camera, remember
        self._broadcaster = make_broadcaster(node, 'hri with depth') if depth else None
        self._prefix = node.get_fully_qualified_name()[1:].replace('/', '_')
        self._lock = threading.Lock()
        self._publishers: dict[str, Publisher] = {}
        self._latched: dict[str, Any] = {}
        self._time = 0
        self.clear()

    def publish(self, frame: FrameResult) -> None:
        """Take the tracks of a frame with an image."""
        assert frame.image is not None
        with self._lock:
            self._time = frame.moment.time
            for track in frame.tracks:
                self._publish_body(track, frame.image, frame.header)
            self._publish_lists(frame.header, [self._name(track.id) for track in frame.tracks])

    def clear(self) -> None:
        """Publish that no person is tracked."""
        with self._lock:
            if self._node.context.ok():
                self._publish_lists(Header(), [])

    def locate(
        self, header: Header, positions: Mapping[int, FloatArray], up: Optional[FloatArray]
    ) -> None:
        """
        Publish the frames of bodies, and of persons at the same places.

        :param positions: in the optical frame of the camera, by id.
        :param up: the direction upwards in it; None: against y.
        """
        transforms = []
        for id_, position in positions.items():
            for kind in ('body', 'person') if self._remember else ('body',):
                message = TransformStamped(header=header)
                message.child_frame_id = f'{kind}_{self._name(id_)}'
                at, turned = message.transform.translation, message.transform.rotation
                at.x, at.y, at.z = position.tolist()
                turned.x, turned.y, turned.z, turned.w = quaternion_of_body(position, up).tolist()
                transforms.append(message)
        if transforms and self._broadcaster is not None:
            self._broadcaster.sendTransform(transforms)

    def destroy(self) -> None:
        """End all topics."""
        with self._lock:
            self._end(list(self._publishers))
            if self._broadcaster is not None:
                self._node.destroy_publisher(self._broadcaster.pub_tf)

    def _name(self, id_: int) -> str:
        return f'{self._prefix}_{id_}'

    def _publish_body(self, track: Track, image: BgrImage, header: Header) -> None:
        topic, size = f'bodies/{self._name(track.id)}', np.array(image.shape[1::-1])
        corners = np.clip([track.box[:2], track.box[:2] + track.box[2:]], 0, size)
        region = NormalizedRegionOfInterest2D(header=header, c=float(track.score))
        region.xmin, region.ymin, region.xmax, region.ymax = (corners / size).ravel().tolist()
        self._publisher(f'{topic}/roi', NormalizedRegionOfInterest2D).publish(region)
        cropped = self._publisher(f'{topic}/cropped', Image)
        (left, top), (right, bottom) = corners.round().astype(int).tolist()
        if right > left and bottom > top and cropped.get_subscription_count():
            cropped.publish(bgr_to_image(image[top:bottom, left:right], header))

    def _publish_lists(self, header: Header, tracked: Collection[str]) -> None:
        self._keep('bodies', tracked)
        self._publish_list('bodies/tracked', header, tracked)
        if not self._remember:
            return
        since = self._time - round(self._remember * SECOND)
        known = {self._name(id_) for id_ in self._camera.known(since)}
        for id_ in {*tracked, *(self._keep('persons', {*tracked, *known}))}:
            # The id of a person who cannot be re-identified does not stay. Persons are never
            # merged, as the id of a track is final.
            self._latch(f'persons/{id_}/anonymous', Bool(data=id_ not in known))
            self._latch(f'persons/{id_}/body_id', String(data=id_ if id_ in tracked else ''))
            self._latch(f'persons/{id_}/alias', String())
            confidence = self._publisher(f'persons/{id_}/location_confidence', Float32)
            confidence.publish(Float32(data=float(id_ in tracked)))
        self._publish_list('persons/known', header, {*tracked, *known})
        self._publish_list('persons/tracked', header, tracked)

    def _publish_list(self, topic: str, header: Header, ids: Collection[str]) -> None:
        self._publisher(topic, IdsList).publish(IdsList(header=header, ids=sorted(ids)))

    def _keep(self, kind: str, ids: Collection[str]) -> set[str]:
        """End the topics of bodies or persons but these; return the ids of those that stay."""
        owners = {
            topic: topic.split('/')[1]
            for topic in self._publishers
            if topic.startswith(f'{kind}/') and topic.count('/') == 2
        }
        self._end([topic for topic, id_ in owners.items() if id_ not in ids])
        return set(owners.values()) & set(ids)

    def _end(self, topics: Collection[str]) -> None:
        for topic in topics:
            self._latched.pop(topic, None)
            self._node.destroy_publisher(self._publishers.pop(topic))

    def _publisher(self, topic: str, kind: type, quality: QoSProfile = _NEWEST) -> Publisher:
        """Return the publisher of a topic, which begins with its first use."""
        if topic not in self._publishers:
            # The executor would have to wait for the events of each.
            events = PublisherEventCallbacks(use_default_callbacks=False)
            self._publishers[topic] = self._node.create_publisher(
                kind, f'/humans/{topic}', quality, event_callbacks=events
            )
        return self._publishers[topic]

    def _latch(self, topic: str, message: Any) -> None:
        """Publish a message if it is new."""
        publisher = self._publisher(topic, type(message), _LATCHED)
        if self._latched.get(topic) != message:
            self._latched[topic] = message
            publisher.publish(message)
