"""3D positions of persons as markers for rviz2."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from persontrack_ros.core.drawing import track_color
from persontrack_ros.core.tracks3d.depth import Box3D
from persontrack_ros.ros.tracker.messages import orientation

BOXES = 'boxes'
IDS = 'ids'
TRAILS = 'trails'
VELOCITIES = 'velocities'

# Positions in a trail.
TRAIL_LENGTH = 100

# In metres.
_LEAST_SIDE = 0.05  # of a box: rviz shows nothing that is flat
_TEXT_HEIGHT = 0.25
_LINE_WIDTH = 0.03
_ARROW = Vector3(x=0.05, y=0.12, z=0.15)

# Slower persons have no arrow, in m/s.
_LEAST_SPEED = 0.2


class Markers:
    """
    Box, id, trail and, where it is known, velocity of each person.

    Their namespaces are the constants of this module.
    """

    def __init__(self) -> None:
        """Start without markers."""
        self._trails: dict[int, deque[Point]] = {}

    def update(
        self, ids: Iterable[int], boxes: Mapping[int, Box3D], header: Header
    ) -> MarkerArray:
        """
        Show the persons of one frame.

        :param ids: of the persons whose markers stay, with or without a box in this frame; other
            markers are deleted.
        :param boxes: by id, in the frame of the header.
        """
        markers = []
        for ended in sorted(self._trails.keys() - set(ids)):
            del self._trails[ended]
            markers += [
                Marker(header=header, ns=namespace, id=ended, action=Marker.DELETE)
                for namespace in (BOXES, IDS, TRAILS, VELOCITIES)
            ]
        for id_, box in boxes.items():
            markers += self._show(id_, box, header)
        return MarkerArray(markers=markers)

    def clear(self, header: Header) -> MarkerArray:
        """Delete all markers."""
        self._trails.clear()
        return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])

    def _show(self, id_: int, person: Box3D, header: Header) -> list[Marker]:
        x, y, z = person.position.tolist()
        size = Vector3(**dict(zip('xyz', np.maximum(person.size, _LEAST_SIDE).tolist())))
        trail = self._trails.setdefault(id_, deque(maxlen=TRAIL_LENGTH))
        trail.append(Point(x=x, y=y, z=z))
        blue, green, red = (channel / 255 for channel in track_color(id_))

        def make(namespace: str, kind: int, scale: Vector3, alpha: float) -> Marker:
            color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
            return Marker(header=header, ns=namespace, id=id_, type=kind, scale=scale, color=color)

        box = make(BOXES, Marker.CUBE, size, 0.4)
        box.pose.position = trail[-1]
        box.pose.orientation = orientation(person)
        text = make(IDS, Marker.TEXT_VIEW_FACING, Vector3(z=_TEXT_HEIGHT), 1.0)
        text.text = str(id_)
        if person.yaw is None:
            # Over the head: y points down.
            text.pose.position = Point(x=x, y=y - size.y / 2 - _TEXT_HEIGHT, z=z)
        else:
            text.pose.position = Point(x=x, y=y, z=z + size.z / 2 + _TEXT_HEIGHT)
        shown = [box, text]
        if len(trail) > 1:
            line = make(TRAILS, Marker.LINE_STRIP, Vector3(x=_LINE_WIDTH), 1.0)
            line.points = list(trail)
            shown.append(line)
        if person.velocity is not None:
            arrow = make(VELOCITIES, Marker.ARROW, _ARROW, 1.0)
            ends = person.position + person.velocity
            # To the position in a second.
            arrow.points = [trail[-1], Point(**dict(zip('xyz', ends.tolist())))]
            if np.linalg.norm(person.velocity) < _LEAST_SPEED:
                arrow = Marker(header=header, ns=VELOCITIES, id=id_, action=Marker.DELETE)
            shown.append(arrow)
        return shown
