"""Tracks as ROS messages."""

from __future__ import annotations

from collections.abc import Iterable

from std_msgs.msg import Header
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from persontrack_ros.core.messages import CLASS_ID
from persontrack_ros.core.tracking.track import Track


def tracks_to_message(tracks: Iterable[Track], header: Header) -> Detection2DArray:
    """
    Fill the message of the ``tracks`` topic.

    :param header: that of the image; it goes into the array and into every detection.
    """
    return Detection2DArray(
        header=header, detections=[_track_to_detection(track, header) for track in tracks]
    )


def _track_to_detection(track: Track, header: Header) -> Detection2D:
    left, top, width, height = track.box.tolist()
    detection = Detection2D(header=header, id=str(track.id))
    # x, y and theta of the centre have moved between versions of vision_msgs; 4.x, which all
    # supported distributions have, knows `position`.
    detection.bbox.center.position.x = left + width / 2
    detection.bbox.center.position.y = top + height / 2
    detection.bbox.size_x = width
    detection.bbox.size_y = height
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id = CLASS_ID
    hypothesis.hypothesis.score = track.score
    detection.results = [hypothesis]
    return detection
