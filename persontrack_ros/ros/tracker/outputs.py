"""The publishers of the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header, String
from vision_msgs.msg import Detection2D, Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from persontrack_ros.core.base.messages import boxes_to_bytes, stamp_to_nanoseconds
from persontrack_ros.core.config.node_options import DETECTIONS, IMAGE
from persontrack_ros.core.config.settings import NONE, DrawingSettings, Settings
from persontrack_ros.core.drawing import Trails, draw
from persontrack_ros.core.tracking.gallery import Camera
from persontrack_ros.core.tracking.persistent import LOST_TIME
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracks3d.following import Target
from persontrack_ros.ros.images import bgr_to_compressed, bgr_to_image
from persontrack_ros.ros.tracker.humans import HumanTopics
from persontrack_ros.ros.tracker.messages import tracks_to_info
from persontrack_ros.ros.tracker.processing import FrameResult
from persontrack_ros.ros.tracker.space import Space
from persontrack_ros.ros.tracker.target import Targets
from persontrack_ros.ros.tracker.transforms import Transforms
from persontrack_ros.ros.tracker.zones import ZoneTopics


class Outputs:
    """
    Publishes the results of frames on the topics of this configuration.

    Plain publishers, made and destroyed with the state of the node: the frame in work at
    deactivation is still published.

    :ivar space: of the 3D positions, with depth.
    :ivar transforms: of the camera, if a parameter needs tf.
    :ivar zones: of the lines and zones, if `zones_file` is set.
    """

    def __init__(self, node: Node, camera: Camera) -> None:
        """Begin without publishers; the camera is that of the tracker."""
        self._node, self._camera = node, camera
        self._publishers: dict[str, Publisher] = {}
        self.space: Optional[Space] = None
        self._humans: Optional[HumanTopics] = None
        self._targets: Optional[Targets] = None
        self._trails = Trails()
        self.transforms: Optional[Transforms] = None
        self.zones: Optional[ZoneTopics] = None

    def advertise(self, settings: Settings, options: Mapping[str, Any]) -> None:
        """
        Make the publishers; if that fails, those that were made wait for :meth:`destroy`.

        :raises SettingsError: if tf or hri_msgs is needed, but not installed.
        """
        if options['input'] == IMAGE:
            self._advertise('detections', Detection2DArray, 10)
        if settings.tracker.algorithm != NONE:
            self._advertise('tracks', Detection2DArray, 10)
            self._advertise('track_info', String, 10)
            if options['input'] != DETECTIONS:
                self._advertise('annotated_image', Image, 1)
                topic = self._node.resolve_topic_name('annotated_image')
                self._advertise('compressed', CompressedImage, 1, f'{topic}/compressed')
            if options['target_frame']:
                self.transforms = Transforms(self._node, options['target_frame'])
            if options['hri']:
                remember = settings.tracker.remember
                self._humans = HumanTopics(self._node, self._camera, remember, options['depth'])
            self._advertise('target_detection', Detection2D, 10)
            if options['depth'] and options['target_frame']:
                self._advertise('target_pose', PoseStamped, 10)
                self._advertise('target_odometry', Odometry, 10)
            patience = max(settings.tracker.remember, LOST_TIME)
            self._targets = Targets(
                self._node, self._publishers, patience, self.transforms, options['target_tf']
            )
            if options['depth']:
                self._advertise('tracks_3d', Detection3DArray, 10)
                self._advertise('markers', MarkerArray, 10)
                self._advertise('persons', PointCloud2, 10)
                self.space = Space(
                    self._node, self._publishers, self._targets, self.transforms, self._humans
                )
            if options['zones_file']:
                self.zones = ZoneTopics(self._node, options)

    def _advertise(self, name: str, kind: type, depth: int, topic: str = '') -> None:
        self._publishers[name] = self._node.create_publisher(
            kind,
            topic or name,
            QoSProfile(depth=depth),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def publish_tracks(self, tracks: Sequence[Track], header: Header) -> None:
        """Publish the tracks of a frame, also where there are none."""
        rows = [(track.box, track.score, str(track.id)) for track in tracks]
        self._publishers['tracks'].publish(boxes_to_bytes(rows, header))

    def publish_rest(
        self, result: FrameResult, drawing: DrawingSettings, options: Mapping[str, Any]
    ) -> None:
        """Publish all other topics that have a subscription."""
        header, image = result.header, result.image
        if result.detections is not None and self._wanted('detections'):
            scores = result.detections.scores.tolist()
            rows = [(box, score, '') for box, score in zip(result.detections.boxes, scores)]
            self._publishers['detections'].publish(boxes_to_bytes(rows, header))
        if self._humans:
            self._humans.publish(result)
        info = self._wanted('track_info')
        # Has the motions of persons, where they are known and needed.
        moving = self.space if self.transforms and (info or self.zones) else None
        target = options['target']
        topics = map(self._wanted, ('tracks_3d', 'markers', 'persons'))
        located = any((self._humans, moving, target, *topics))
        if self.space and (located or (self._targets and self._targets.needs_positions)):
            if image is not None and result.depth:
                self.space.publish(result, target)
        elif self._targets:
            self._targets.update(result, target)
        motions = moving.motions(result.tracks, result.moment.time) if moving else {}
        fixed = self.transforms.target if moving and self.transforms else ''
        if self.zones:
            places = {id_: motion.position for id_, motion in motions.items()}
            self.zones.publish(result, places)
        if info:
            self._publishers['track_info'].publish(
                tracks_to_info(result.tracks, result.sources, header, fixed, motions)
            )
        raw, compressed = self._wanted('annotated_image'), self._wanted('compressed')
        if image is None or not (raw or compressed):
            return
        trails = self._trails.update(
            result.tracks, stamp_to_nanoseconds(header), drawing.trails, image
        )
        detections = result.detections
        annotated = draw(
            image,
            result.tracks,
            result.mean_time,
            drawing,
            result.mask,
            None if detections is None else detections.ignored,
            self.target.id if target and self.target else None,
            trails,
        )
        if self.zones:
            self.zones.draw(annotated)
        if raw:
            self._publishers['annotated_image'].publish(bgr_to_image(annotated, header))
        if compressed:
            message = bgr_to_compressed(annotated, header, options['jpeg_quality'])
            self._publishers['compressed'].publish(message)

    @property
    def target(self) -> Optional[Target]:
        """The target and its status; None if no target is set."""
        return None if self._targets is None else self._targets.target

    def clear(self) -> None:
        """Delete the markers: the tracks end here."""
        self._trails = Trails()
        if self.zones:
            self.zones.forget()
        if self._humans:
            self._humans.clear()
        if self.space is not None:
            self.space.clear()
        if self._targets is not None:
            self._targets.forget()

    def _wanted(self, name: str) -> bool:
        publisher = self._publishers.get(name)
        return publisher is not None and publisher.get_subscription_count() > 0

    def destroy(self) -> None:
        """End the publishers."""
        for each in (self.transforms, self._targets, self.zones, self._humans):
            if each is not None:
                each.destroy()
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
