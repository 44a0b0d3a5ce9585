"""The topics of persons in space: ``tracks_3d`` and ``markers``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from persontrack_ros.core.depth import Locator
from persontrack_ros.core.depth import Scene
from persontrack_ros.core.errors import one_line
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.ros.depth_input import Depth
from persontrack_ros.ros.markers import Markers
from persontrack_ros.ros.messages import places_to_message

_WARNING_PERIOD = 5.0


class Space:
    """
    Publishes where the persons in the images are, as soon as their depth is there.

    That may be on the worker's thread or the executor's; all methods can be called by both.
    """

    def __init__(self, node: Node, tracks: Publisher, markers: Publisher) -> None:
        """Publish on these."""
        self._node = node
        self._tracks_publisher = tracks
        self._markers_publisher = markers
        self._lock = threading.Lock()
        self._locator = Locator()
        self._markers = Markers()
        self._era = 0

    def publish(
        self,
        tracks: Sequence[Track],
        header: Header,
        image_size: tuple[int, int],
        depth: Future[Depth],
    ) -> None:
        """
        Publish the places of the tracks of an image, now or later.

        :param depth: of the image; where it is cancelled, no places are known.
        """
        era = self._era

        def publish(future: Future[Depth]) -> None:
            with self._lock:
                # After a reset, nobody wants to hear of the tracks from before.
                if era == self._era and self._node.context.ok():
                    self._publish(tracks, header, image_size, future)

        depth.add_done_callback(publish)

    def clear(self) -> None:
        """Forget all tracks, and delete their markers."""
        with self._lock:
            self._era += 1
            self._locator = Locator()
            markers = self._markers.clear(Header())
            if self._node.context.ok():
                self._markers_publisher.publish(markers)

    def _publish(
        self,
        tracks: Sequence[Track],
        header: Header,
        image_size: tuple[int, int],
        depth: Future[Depth],
    ) -> None:
        logger = self._node.get_logger()
        places = {}
        # Each throttled on its own.
        if depth.cancelled():
            logger.warning(
                'no tracks_3d: no depth image was taken at the time of the image',
                throttle_duration_sec=_WARNING_PERIOD,
            )
        else:
            try:
                places = self._locator.locate(tracks, Scene(*depth.result(), image_size))
            except Exception as error:  # noqa: BLE001 - who completes the depth knows nothing of it
                logger.warning(
                    f'no tracks_3d: {one_line(error)}', throttle_duration_sec=_WARNING_PERIOD
                )
            else:
                self._tracks_publisher.publish(places_to_message(tracks, places, header))
        markers = self._markers.update([track.id for track in tracks], places, header)
        self._markers_publisher.publish(markers)
