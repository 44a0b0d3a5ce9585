"""Tracks as ROS messages."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

from std_msgs.msg import Header
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from persontrack_ros.core.depth import Place
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
    detection.results = [_hypothesis(track)]
    return detection


def places_to_message(
    tracks: Iterable[Track], places: Mapping[int, Place], header: Header
) -> Detection3DArray:
    """
    Fill the message of the ``tracks_3d`` topic.

    :param places: of the tracks by id; those that have none are left out.
    :param header: that of the image; it goes into the array and into every detection.
    """
    return Detection3DArray(
        header=header,
        detections=[
            _place_to_detection(track, places[track.id], header)
            for track in tracks
            if track.id in places
        ],
    )


def _place_to_detection(track: Track, place: Place, header: Header) -> Detection3D:
    detection = Detection3D(header=header, id=str(track.id))
    center, size, result = detection.bbox.center, detection.bbox.size, _hypothesis(track)
    center.position.x, center.position.y, center.position.z = place.position.tolist()
    size.x, size.y, size.z = place.size.tolist()
    result.pose.pose = center
    detection.results = [result]
    return detection


def _hypothesis(track: Track) -> ObjectHypothesisWithPose:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = CLASS_ID
    result.hypothesis.score = track.score
    return result
