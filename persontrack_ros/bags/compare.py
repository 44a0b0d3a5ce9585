"""Tracks and images of bags, for comparisons."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Optional

from persontrack_ros.bags.reader import BagReader
from persontrack_ros.bags.track import decode_images
from persontrack_ros.bags.types import COMPRESSED_IMAGE, IMAGE, TRACKS, deserialise, stamp_of
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.messages import message_to_tracks, stamp_to_nanoseconds
from persontrack_ros.core.evaluation.comparison import TrackedFrames
from persontrack_ros.core.evaluation.mot import read_mot


def read_tracks(
    path: Path, tracks_topic: Optional[str] = None, image_topic: Optional[str] = None
) -> TrackedFrames:
    """
    Read tracks.

    :param path: a bag with tracks, or a file of tracks in MOTChallenge format.
    :param tracks_topic: of a bag; None where there should be only one.
    :param image_topic: of a bag, to number the frames by; None for the only one, if there is one.
    :raises SourceError: if it cannot be read, or the bag has no tracks or needs a choice.
    """
    if path.suffix == '.txt':
        frames: dict[int, dict[int, FloatArray]] = {}
        for row in read_mot(path):
            frames.setdefault(int(row[0]), {})[int(row[1])] = row[2:6]
        return TrackedFrames(frames, {})
    with BagReader(path) as bag:
        topics = [one.topic for one in bag.connections if one.msgtype == TRACKS]
        if not topics:
            raise SourceError(f'{bag.path} has no tracks; `persontrack bag track` makes some')
        if tracks_topic not in topics and (tracks_topic or len(topics) > 1):
            there = f'its topics of type {TRACKS} are {", ".join(topics)}'
            raise SourceError(f'{bag.path}: {there}; choose one with --tracks-topic')
        tracks = tracks_topic or topics[0]
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
                    f'{path} has two messages with the stamp {stamp} on the topic {tracks}; was '
                    'the video or bag that was tracked played in a loop?'
                )
            found[stamp] = {id_: box for id_, box, _ in message_to_tracks(message)}
        if not numbers.keys() >= found.keys():
            numbers = {stamp: number for number, stamp in enumerate(found, start=1)}
        return TrackedFrames(
            {numbers[stamp]: boxes for stamp, boxes in found.items()},
            {numbers[stamp]: stamp for stamp in found},
        )


def read_images(
    path: Path, topic_name: Optional[str], stamps: Collection[int]
) -> dict[int, BgrImage]:
    """
    Return the images of a bag that have these stamps.

    :raises SourceError: if the bag has no images, or needs a choice.
    """
    with BagReader(path) as bag:
        topic = bag.choose_image_topic(topic_name)
        messages = ((time, data) for _, time, data in bag.messages([topic.topic]))
        wanted = ((time, data) for time, data in messages if stamp_of(data) in stamps)
        return {
            stamp_to_nanoseconds(one.header): one.image for one in decode_images(topic, wanted)
        }
