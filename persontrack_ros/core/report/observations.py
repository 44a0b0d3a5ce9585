"""The data of a report: little enough for hours of video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional

import cv2
import numpy as np

from persontrack_ros.core.base.geometry import FloatArray, iou, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.tracking.track import Track

# A longer absence, in seconds, begins a new visit.
AWAY = 1.0

# Height of the picture of a person and width of that of the scene, in pixels, and their quality.
PICTURE_HEIGHT = 144
SCENE_WIDTH = 960
QUALITY = 80

# A picture is replaced by one that is better by this factor.
_BETTER = 1.3

# The path of a person has points this far apart, as a part of the image, and at most this number:
# then every second one is removed.
_STEP = 0.01
_POINTS = 200

# The number of persons is counted for at most this number of equal intervals, of a second at
# first.
_BINS = 600


@dataclass
class Person:
    """
    The data of one person.

    :ivar visits: start and end of each visit, in seconds.
    :ivar ways: path of the feet in each visit, as parts of width and height.
    :ivar picture: the best picture of the person, as JPEG; None without images.
    """

    visits: list[tuple[float, float]] = field(default_factory=list)
    ways: list[list[tuple[float, float]]] = field(default_factory=list)
    picture: Optional[bytes] = None
    value: float = 0.0

    @property
    def present(self) -> float:
        """Duration of all visits, in seconds."""
        return sum(last - first for first, last in self.visits)

    def stand(self, time: float, foot: tuple[float, float]) -> None:
        """Record the position of the person."""
        if self.visits and time - self.visits[-1][1] <= AWAY:
            self.visits[-1] = (self.visits[-1][0], time)
        else:
            self.visits.append((time, time))
            self.ways.append([])
        way = self.ways[-1]
        if not way or np.hypot(way[-1][0] - foot[0], way[-1][1] - foot[1]) >= _STEP:
            way.append(foot)
        if len(way) > _POINTS:
            self.ways[-1] = way[::2]


class Observations:
    """
    Positions and times of all persons.

    :ivar persons: by id.
    :ivar start: time of the first image, in nanoseconds.
    :ivar duration: from the first image to the last one, in seconds.
    :ivar images: number of images.
    :ivar size: width and height of the images, where they are known.
    :ivar counts: the largest number of persons in each interval.
    :ivar interval: length of the intervals in seconds.
    :ivar scene: the image with the fewest persons, as JPEG; None without images.
    """

    def __init__(self, size: Optional[tuple[int, int]] = None) -> None:
        """
        Start without an image.

        :param size: width and height of the images, if no image is given.
        """
        self.persons: dict[int, Person] = {}
        self.start = 0
        self.duration = 0.0
        self.images = 0
        self.most = 0
        self.size = size
        self.scene: Optional[bytes] = None
        self._fewest = 0
        self._offset = 0
        self.interval = 1.0
        self.counts: list[int] = []

    def add_tracks(
        self, stamp: int, tracks: Iterable[Track], image: Optional[BgrImage] = None
    ) -> None:
        """Record the tracks in the next image; see :meth:`add`."""
        tracks = list(tracks)
        boxes = np.array([track.box for track in tracks], dtype=np.float64).reshape(-1, 4)
        scores = [0.0 if track.detection is None else track.score for track in tracks]
        self.add(stamp, [track.id for track in tracks], boxes, scores, image)

    def add(
        self,
        stamp: int,
        ids: Sequence[int],
        boxes: FloatArray,
        scores: Sequence[float],
        image: Optional[BgrImage] = None,
    ) -> None:
        """
        Record the persons in the next image.

        :param stamp: time of the image in nanoseconds; if it goes back, time goes on.
        :param boxes: ``[left, top, width, height]`` of each, shape ``(N, 4)``.
        :param scores: confidence of each; 0 for a predicted box.
        :param image: uint8 BGR, shape ``(height, width, 3)``; None without an image.
        """
        if not self.images:
            self.start = stamp
        time = (stamp - self.start + self._offset) / SECOND
        if time < self.duration:
            self._offset += round((self.duration - time + AWAY) * SECOND)
            time = self.duration + AWAY
        self.duration = time
        self.images += 1
        self.most = max(self.most, len(ids))
        self._count(time, len(ids))
        if image is not None:
            self.size = (image.shape[1], image.shape[0])
            if self.scene is None or len(ids) < self._fewest:
                self._fewest = len(ids)
                self.scene = _encode(image, min(1.0, SCENE_WIDTH / image.shape[1]))
            self._portray(image, ids, boxes, scores)
        if self.size is None:
            # For a recording without the size: the smallest size with all boxes.
            width, height = (boxes[:, :2] + boxes[:, 2:]).max(axis=0, initial=1.0)
            self.size = (int(width), int(height))
        for id_, (left, top, width, height) in zip(ids, boxes.tolist()):
            foot = ((left + width / 2) / self.size[0], (top + height) / self.size[1])
            self.persons.setdefault(id_, Person()).stand(time, foot)

    def _count(self, time: float, number: int) -> None:
        while time >= self.interval * _BINS:
            self.interval *= 2
            pairs = zip(self.counts[::2], [*self.counts[1::2], 0])
            self.counts = [max(pair) for pair in pairs]
        index = int(time / self.interval)
        self.counts += [0] * (index + 1 - len(self.counts))
        self.counts[index] = max(self.counts[index], number)

    def _portray(
        self, image: BgrImage, ids: Sequence[int], boxes: FloatArray, scores: Sequence[float]
    ) -> None:
        """Keep the best picture of each person: large, clear, complete, without others in it."""
        height, width = image.shape[:2]
        corners = pixel_rectangles(boxes, width, height)
        overlaps = iou(boxes, boxes) - np.eye(len(boxes))
        areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        whole = areas / np.maximum(boxes[:, 2] * boxes[:, 3], 1.0)
        clear = np.array(scores) * (1 - overlaps.max(axis=1, initial=0.0))
        values = areas * np.minimum(whole, 1.0) ** 4 * clear**2
        for id_, (left, top, right, bottom), value in zip(ids, corners, values):
            person = self.persons.setdefault(id_, Person())
            if value > _BETTER * person.value:
                person.value = float(value)
                crop = image[top:bottom, left:right]
                person.picture = _encode(crop, min(1.0, PICTURE_HEIGHT / crop.shape[0]))


def _encode(image: BgrImage, scale: float) -> bytes:
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
