"""The topics of lines and zones."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import UInt32
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import boxes_to_bytes
from persontrack_ros.core.config.node_options import DETECTIONS
from persontrack_ros.core.report.events import ZoneCounter, draw_zones
from persontrack_ros.core.report.zones import Zones
from persontrack_ros.ros.tracker.processing import FrameResult

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class ZoneTopics:
    """Publishes who is in the zones, and the counts of lines and zones when they change."""

    def __init__(self, node: Node, options: Mapping[str, Any]) -> None:
        """
        Make the publishers.

        :raises SourceError: if the file cannot be read.
        :raises SettingsError: if it is wrong, or needs other parameters.
        """
        self._node = node
        self._zones = Zones.load(Path(options['zones_file']).expanduser())
        frame = self._zones.frame
        if frame and not (options['depth'] and options['target_frame'] == frame):
            raise SettingsError(f'zones_file is in metres of {frame}: set depth, and target_frame')
        if not frame and options['input'] == DETECTIONS and not self._zones.image_size:
            raise SettingsError('zones_file: without images, image_size is needed in it')
        self._counter = ZoneCounter(self._zones)
        # Frames and services come from different threads.
        self._lock = threading.Lock()
        self._persons = {
            name: node.create_publisher(Detection2DArray, f'zones/{name}/tracks', 10)
            for name in self._zones.zones
        }
        # The topic of each number, by name and event; the event of the persons inside is empty.
        topics = {(name, ''): f'zones/{name}/count' for name in self._zones.zones}
        for name, line in self._zones.lines.items():
            topics |= {(name, side): f'lines/{name}/{side}' for side in (line.left, line.right)}
        self._numbers = {
            key: node.create_publisher(UInt32, topic, _LATCHED) for key, topic in topics.items()
        }
        self._published: dict[tuple[str, str], int] = {}
        self._publish_numbers()

    def publish(self, result: FrameResult, positions: Mapping[int, FloatArray]) -> None:
        """
        Take the tracks of a frame.

        :param positions: by id, in the frame of the zones, for zones in metres.
        :raises SettingsError: if the zones are pixels of images of another size.
        """
        with self._lock:
            self._follow(result, positions)
            self._publish_numbers()
            inside = {name: self._counter.inside(name) for name in self._persons}
        for name, publisher in self._persons.items():
            if publisher.get_subscription_count():
                rows = [
                    (track.box, track.score, str(track.id))
                    for track in result.tracks
                    if track.id in inside[name]
                ]
                publisher.publish(boxes_to_bytes(rows, result.header))

    def _follow(self, result: FrameResult, positions: Mapping[int, FloatArray]) -> None:
        if self._zones.frame:
            known = [track for track in result.tracks if track.id in positions]
            places = np.array([positions[track.id][:2] for track in known]).reshape(-1, 2)
            self._counter.update(result.moment.time, [track.id for track in known], places)
        else:
            # Tracks end where the size of the images changes.
            if result.image is not None and self._counter.fit(result.image.shape[1::-1]):
                self._counter.forget()
            self._counter.follow(result.moment.time, result.tracks, measured=True)

    def _publish_numbers(self) -> None:
        for (name, event), publisher in self._numbers.items():
            number = (
                self._counter.counts[name, event] if event else len(self._counter.inside(name))
            )
            if self._published.get((name, event)) != number:
                publisher.publish(UInt32(data=number))
                self._published[name, event] = number

    def draw(self, image: BgrImage) -> None:
        """Draw the lines, zones and counts into the annotated image, if they are in pixels."""
        if not self._zones.frame:
            with self._lock:
                draw_zones(image, self._counter)

    def forget(self) -> None:
        """Forget the persons, as all tracks have ended; the counts stay."""
        with self._lock:
            self._counter.forget()

    def state(self) -> str:
        """Return the counts as text, for :meth:`restore`."""
        with self._lock:
            return json.dumps([[*key, number] for key, number in self._counter.counts.items()])

    def restore(self, state: str) -> None:
        """Go on with saved counts, of the lines and zones that still exist."""
        saved = {(name, event): number for name, event, number in json.loads(state)}
        self._set({key: int(saved.get(key, 0)) for key in self._counter.counts})

    def reset(self) -> None:
        """Set all counts to 0."""
        self._set(dict.fromkeys(self._counter.counts, 0))

    def _set(self, counts: dict[tuple[str, str], int]) -> None:
        with self._lock:
            self._counter.counts = counts
            self._counter.forget()
            self._publish_numbers()

    def destroy(self) -> None:
        """End the publishers."""
        for publisher in (*self._persons.values(), *self._numbers.values()):
            self._node.destroy_publisher(publisher)
