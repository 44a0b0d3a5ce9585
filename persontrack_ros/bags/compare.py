"""Comparison of tracks from bags, files of tracks and ground truth."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import ImageTopic
from persontrack_ros.bags.types import COMPRESSED_IMAGE, IMAGE, TRACKS, deserialise, stamp_of
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import message_to_tracks, stamp_to_nanoseconds
from persontrack_ros.core.base.output import write_image
from persontrack_ros.core.evaluation.comparison import Difference, Frames, compare, rename_like
from persontrack_ros.core.evaluation.comparison_picture import draw_differences
from persontrack_ros.core.evaluation.mot import GroundTruth, read_mot
from persontrack_ros.core.evaluation.scores import Scores, evaluate

# Number of frames in a picture.
_DRAWN = 3


@dataclass(frozen=True)
class TrackedFrames:
    """
    The tracks of one run, or ground truth.

    :ivar frames: boxes by id, by number of the frame, counted from 1.
    :ivar stamps: stamp of each frame in nanoseconds; empty if unknown.
    :ivar truth: the ground truth, if this is no run.
    """

    path: Path
    frames: dict[int, dict[int, FloatArray]]
    stamps: dict[int, int]
    truth: Optional[GroundTruth] = None

    def by_stamp(self) -> dict[int, dict[int, FloatArray]]:
        """Return the frames by their stamps."""
        return {self.stamps[number]: boxes for number, boxes in self.frames.items()}

    def over(self, numbers: range) -> dict[int, dict[int, FloatArray]]:
        """Return the frames with these numbers; missing frames are empty."""
        return {number: self.frames.get(number, {}) for number in numbers}


class Comparison:
    """
    The differences of two runs, or of a run and the ground truth.

    With ground truth, a track gets the id of the person that it overlaps in most frames; other
    tracks get their own id with a minus.

    :ivar differences: the frames that differ.
    :ivar count: number of frames compared.
    :ivar scores: scores of the run against ground truth; else None.
    """

    def __init__(self, a: TrackedFrames, b: TrackedFrames, tolerance: float) -> None:
        """
        Compare.

        :param tolerance: largest difference of boxes in pixels; not used with ground truth.
        :raises OutputError: if there is ground truth and motrics is not installed.
        """
        self.scores: Optional[Scores] = None
        self._stamps: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        with_truth = (a.truth is None) != (b.truth is None)
        if a.stamps and b.stamps and not with_truth:
            self.a: Frames = a.by_stamp()
            self.b: Frames = b.by_stamp()
            for side in (b, a):
                self._numbers.update({stamp: number for number, stamp in side.stamps.items()})
            self._stamps = {stamp: stamp for stamp in self._numbers}
        else:
            runs = [side for side in (a, b) if not (with_truth and side.truth)]
            last = max((number for side in runs for number in side.frames), default=0)
            self.a, self.b = (side.over(range(1, last + 1)) for side in (a, b))
            self._stamps = {**b.stamps, **a.stamps}
        if with_truth:
            tolerance = float('inf')
            truth, run = (self.a, self.b) if a.truth else (self.b, self.a)
            rows = _rows(run)
            if known := a.truth or b.truth:
                rows = known.without_distractors(rows)
            self.scores = evaluate([(_rows(truth), rows)])
            kept = _by_frame(rows)
            run = rename_like(truth, {key: kept.get(key, {}) for key in run})
            self.a, self.b = (truth, run) if a.truth else (run, truth)
        self.differences = compare(self.a, self.b, tolerance)
        self.count = len({*self.a, *self.b})

    @property
    def ids(self) -> list[int]:
        """The ids that differ in any frame."""
        return sorted(set().union(*(one.ids_a | one.ids_b for one in self.differences)))

    def title(self, difference: Difference) -> str:
        """Return the number of a frame and, if known, its time in seconds."""
        number = self._numbers.get(difference.key, difference.key)
        if difference.key not in self._stamps:
            return f'frame {number}'
        return f'frame {number} ({self._stamps[difference.key] / 1e9:.3f} s)'

    def draw(self, path: Path, bags: Iterable[Path], image_topic: Optional[str]) -> None:
        """
        Draw the first differences into a file.

        :param bags: where to look for the images.
        :raises OutputError: if the file cannot be written.
        """
        first = self.differences[:_DRAWN]
        stamps = {self._stamps[one.key]: one.key for one in first if one.key in self._stamps}
        images: dict[int, BgrImage] = {}
        for bag in bags:
            if len(images) < len(stamps):
                found = read_images(bag, image_topic, stamps.keys())
                images.update({stamps[stamp]: image for stamp, image in found.items()})
        titles = [self.title(one) for one in first]
        picture = draw_differences(first, titles, self.a, self.b, images)
        write_image(path, picture)


def read_tracks(
    path: Path, tracks_topic: Optional[str] = None, image_topic: Optional[str] = None
) -> TrackedFrames:
    """
    Read tracks.

    :param path: a bag with tracks, a file of tracks in MOTChallenge format, or ground truth: a
        file ``gt.txt``, or the folder of a MOTChallenge sequence.
    :param tracks_topic: of a bag; None where there should be only one.
    :param image_topic: of a bag, to number the frames by; None for the only one, if there is one.
    :raises SourceError: if it cannot be read, or the bag has no tracks or needs a choice.
    """
    if path.name == 'gt.txt' or (path / 'gt' / 'gt.txt').is_file():
        truth = GroundTruth.load(path)
        return TrackedFrames(path, _by_frame(truth.rows), {}, truth)
    if path.suffix == '.txt':
        return TrackedFrames(path, _by_frame(read_mot(path)), {})
    with BagReader(path) as bag:
        return _read_bag(bag, tracks_topic, image_topic)


def _rows(frames: Frames) -> FloatArray:
    rows = [[key, id_, *box] for key, boxes in frames.items() for id_, box in boxes.items()]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def _by_frame(rows: FloatArray) -> dict[int, dict[int, FloatArray]]:
    frames: dict[int, dict[int, FloatArray]] = {}
    for row in rows:
        frames.setdefault(int(row[0]), {})[int(row[1])] = row[2:6]
    return frames


def _read_bag(
    bag: BagReader, tracks_topic: Optional[str], image_topic: Optional[str]
) -> TrackedFrames:
    tracks = _choose_tracks_topic(bag, tracks_topic)
    images = [one.topic for one in bag.connections if one.msgtype in (IMAGE, COMPRESSED_IMAGE)]
    if image_topic or len(images) == 1:
        images = [bag.choose_image_topic(image_topic).topic]
    numbers: dict[int, int] = {}
    found: dict[int, dict[int, FloatArray]] = {}
    for connection, _, data in bag.messages([tracks, *images[: len(images) == 1]]):
        if connection.topic != tracks:
            numbers.setdefault(stamp_of(data), len(numbers) + 1)
            continue
        message = deserialise(data, TRACKS)
        stamp = stamp_to_nanoseconds(message.header)
        if stamp in found:
            raise SourceError(
                f'{bag.path} has two messages with the stamp {stamp} on the topic {tracks}; was '
                'the video or bag that was tracked played in a loop?'
            )
        found[stamp] = {id_: box for id_, box, _ in message_to_tracks(message)}
    if not numbers.keys() >= found.keys():
        numbers = {stamp: number for number, stamp in enumerate(found, start=1)}
    return TrackedFrames(
        bag.path,
        {numbers[stamp]: boxes for stamp, boxes in found.items()},
        {numbers[stamp]: stamp for stamp in found},
    )


def _choose_tracks_topic(bag: BagReader, name: Optional[str]) -> str:
    topics = [one.topic for one in bag.connections if one.msgtype == TRACKS]
    there = f'its topics of type {TRACKS} are {", ".join(topics)}'
    if not topics:
        raise SourceError(f'{bag.path} has no tracks; `persontrack bag track` makes some')
    if name is None:
        if len(topics) > 1:
            raise SourceError(f'{bag.path}: {there}; choose one with --tracks-topic')
        return topics[0]
    if name not in topics:
        raise SourceError(f'{bag.path} has no tracks on the topic {name}; {there}')
    return name


def read_images(
    path: Path, topic_name: Optional[str], stamps: Collection[int]
) -> dict[int, BgrImage]:
    """Return the images of a bag that have these stamps, as far as it has any."""
    found: dict[int, BgrImage] = {}
    with BagReader(path) as bag:
        try:
            topic = bag.choose_image_topic(topic_name)
        except SourceError:
            return found
        images = ImageTopic(topic)
        for _, time, data in bag.messages([topic.topic]):
            if stamp_of(data) in stamps:
                found.update({one.stamp: one.image for one in images.decode(time, data)})
                if len(found) == len(stamps):
                    break
    return found
