"""The topics of persons in space: ``tracks_3d`` and ``markers``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, Optional

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from persontrack_ros.core.errors import one_line
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.core.space.depth import Locator, Place, Scene
from persontrack_ros.core.space.following import Follower, Heading, Sight, Target
from persontrack_ros.core.space.frames import Pose
from persontrack_ros.core.space.motion_filter import Motion, MotionFilter
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.ros.tracker.depth_input import Depth
from persontrack_ros.ros.tracker.markers import Markers
from persontrack_ros.ros.tracker.messages import places_to_message
from persontrack_ros.ros.tracker.transforms import Transforms

_WARNING_PERIOD = 5.0


class _Image(NamedTuple):
    """What is published of an image; later ones have larger numbers."""

    number: int
    tracks: Sequence[Track]
    header: Header
    size: tuple[int, int]
    target: str


class Space:
    """
    Publishes where the persons in the images are, as soon as their depth and transform are there.

    That may be on the worker's thread or the executor's; all methods can be called by both.

    :ivar target: who was followed in the newest image; None where nobody is to be.
    """

    def __init__(
        self,
        node: Node,
        tracks: Publisher,
        markers: Publisher,
        transforms: Optional[Transforms] = None,
        target_pose: Optional[Publisher] = None,
        patience: float = 0.0,
    ) -> None:
        """
        Publish on these.

        :param transforms: to the frame in which places are published; None: that of the camera.
        :param target_pose: of the person who is followed.
        :param patience: seconds for which who is lost may come back with the same id.
        """
        self._target_publisher = target_pose
        self._patience = patience
        self._follower = Follower()
        self._heading = Heading()
        self._camera: Optional[Pose] = None
        self.target: Optional[Target] = None
        self._transforms = transforms
        self._node = node
        self._tracks_publisher = tracks
        self._markers_publisher = markers
        self._lock = threading.RLock()
        self._locator = Locator()
        self._filter = MotionFilter()
        self._markers = Markers()
        self._number = 0
        self._shown = 0
        self._era = 0

    def publish(
        self,
        tracks: Sequence[Track],
        header: Header,
        image_size: tuple[int, int],
        depth: Future[Depth],
        target: str = '',
    ) -> None:
        """
        Publish the places of the tracks of an image, now or later.

        :param depth: of the image; where it is cancelled, no places are known.
        :param target: whom to follow, see :class:`Follower`.
        """
        self._number += 1
        image = _Image(self._number, tracks, header, image_size, target)
        self._then(depth, partial(self._locate, image))

    def motions(self, tracks: Sequence[Track], header: Header) -> dict[int, Motion]:
        """Return how the persons move, as far as it is known, by id; at the time of an image."""
        stamp = stamp_to_nanoseconds(header)
        with self._lock:
            found = {track.id: self._filter.at(track.id, stamp) for track in tracks}
        return {id_: motion for id_, motion in found.items() if motion is not None}

    def _then(self, future: Future[Any], take: Callable[[Future[Any]], None]) -> None:
        """Go on when something is there, unless the tracks have ended meanwhile."""
        era = self._era

        def go_on(done: Future[Any]) -> None:
            with self._lock:
                # After a reset, nobody wants to hear of the tracks from before.
                if era == self._era and self._node.context.ok():
                    take(done)

        future.add_done_callback(go_on)

    def clear(self) -> None:
        """Forget all tracks, and delete their markers."""
        with self._lock:
            self._era += 1
            self._locator = Locator()
            self._filter = MotionFilter()
            self._follower, self.target = Follower(), None
            markers = self._markers.clear(Header())
            if self._node.context.ok():
                self._markers_publisher.publish(markers)

    def _locate(self, image: _Image, depth: Future[Depth]) -> None:
        places = self._places(image, depth)
        if places is None or self._transforms is None:
            self._publish(image, image.header, places)
        else:
            transform = self._transforms.expect(image.header)
            self._then(transform, partial(self._transform, image, places))

    def _places(self, image: _Image, depth: Future[Depth]) -> Optional[dict[int, Place]]:
        """Return the places in the frame of the camera by id, or None and say why."""
        logger = self._node.get_logger()
        # Each throttled on its own.
        if depth.cancelled():
            logger.warning(
                'no tracks_3d: no depth image was taken at the time of the image',
                throttle_duration_sec=_WARNING_PERIOD,
            )
            return None
        try:
            return self._locator.locate(image.tracks, Scene(*depth.result(), image.size))
        except Exception as error:  # noqa: BLE001 - who completes the depth knows nothing of it
            logger.warning(
                f'no tracks_3d: {one_line(error)}', throttle_duration_sec=_WARNING_PERIOD
            )
            return None

    def _transform(
        self, image: _Image, places: Mapping[int, Place], transform: Future[Pose]
    ) -> None:
        if transform.cancelled():
            self._publish(image, image.header, None)
            return
        camera = self._camera = transform.result()
        moving = self._filter.update(
            [track.id for track in image.tracks],
            {id_: camera.place(place) for id_, place in places.items()},
            stamp_to_nanoseconds(image.header),
            camera.position,
        )
        header = Header(stamp=image.header.stamp, frame_id=self._transforms.target)
        self._publish(image, header, moving)

    def _follow(self, image: _Image, places: Mapping[int, Place]) -> None:
        """Publish where the target is, as far as that is known."""
        stamp, camera = stamp_to_nanoseconds(image.header), self._camera
        distances = {
            id_: float(np.linalg.norm(place.position - camera.position))
            for id_, place in places.items()
            if camera is not None
        }
        target = self._follower.update(
            image.target, image.tracks, distances, stamp, self._patience
        )
        self.target = target
        if target is None or target.id is None or target.sight is Sight.LOST or camera is None:
            return
        motion = self._filter.at(target.id, stamp)
        if motion is None:
            return
        yaw = self._heading.update(target.id, motion.position, motion.velocity, camera.position)
        message = PoseStamped()
        message.header.stamp, message.header.frame_id = image.header.stamp, self._transforms.target
        # On the floor.
        message.pose.position.x, message.pose.position.y = motion.position[:2].tolist()
        message.pose.orientation.z = math.sin(yaw / 2)
        message.pose.orientation.w = math.cos(yaw / 2)
        self._target_publisher.publish(message)

    def _publish(
        self, image: _Image, header: Header, places: Optional[Mapping[int, Place]]
    ) -> None:
        """Publish the places, if they are known, and the markers."""
        if places is not None:
            self._tracks_publisher.publish(places_to_message(image.tracks, places, header))
        if image.number < self._shown:
            # Its transform came late, or never: there are markers of newer tracks.
            return
        self._shown = image.number
        if self._target_publisher is not None:
            self._follow(image, places or {})
        markers = self._markers.update([track.id for track in image.tracks], places or {}, header)
        self._markers_publisher.publish(markers)
