#!/usr/bin/env python3
"""The demo: a video through the topics of the tracker node, with its results in files."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from persontrack_ros.cli.files import check_outputs, read_by
from persontrack_ros.cli.options import (
    SOURCE,
    add_max_frames_option,
    add_settings_options,
    settings_from,
)
from persontrack_ros.cli.sample_video import sample_video
from persontrack_ros.core.base.errors import OutputError, PersontrackError
from persontrack_ros.core.base.messages import message_to_tracks, stamp_to_nanoseconds
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.inference.download import with_default_models
from persontrack_ros.core.media.encodings import image_to_bgr
from persontrack_ros.core.media.source import VideoSource
from persontrack_ros.core.media.writer import VideoWriter
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.ros.tools.replay import replay


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the demo; return 2 for input that it cannot work with."""
    parser = argparse.ArgumentParser(
        prog='scripts/demo',
        description='Track the persons in a video through ROS topics: a video publisher and a '
        'tracker node in two processes. Writes annotated.mp4 and tracks.txt (MOTChallenge '
        'format). No image is dropped. Ctrl-C ends it, with the files complete up to there.',
    )
    parser.add_argument(
        'source',
        nargs='?',
        metavar='SOURCE',
        help=f'{SOURCE} (default: a sample video, fetched once)',
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('demo_output'),
        metavar='DIR',
        help='directory of the results (default: demo_output)',
    )
    add_max_frames_option(parser)
    add_settings_options(parser)
    parser.set_defaults(reads=('source', 'params'))
    try:
        _run(parser.parse_args(arguments))
    except PersontrackError as error:
        print(f'demo: error: {error}', file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    options.source = options.source or str(sample_video())
    settings = with_default_models(settings_from(options))
    # An error of source, models or device ends the demo here, in one line, instead of a node that
    # waits to be configured again.
    with VideoSource(options.source) as source:
        rate = source.rate
    Pipeline(settings)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'cannot create {options.output}: {error.strerror}') from error
    tracks_file, annotated = (options.output / name for name in ('tracks.txt', 'annotated.mp4'))
    check_outputs((tracks_file, annotated), read_by(options), overwrite=True)
    images = 0
    ids: set[int] = set()
    with MotWriter(tracks_file) as mot, VideoWriter(annotated, rate) as video:

        def on_tracks(message: Detection2DArray) -> None:
            nonlocal images
            images += 1
            tracks = message_to_tracks(message)
            mot.add(images, tracks)
            ids.update(track_id for track_id, _, _ in tracks)

        def on_annotated(message: Image) -> None:
            video.write(image_to_bgr(message), stamp_to_nanoseconds(message.header))

        try:
            replay(
                options.source,
                settings.values(),
                max_frames=options.max_frames,
                timeout=math.inf,
                on_tracks=on_tracks,
                on_annotated=on_annotated,
            )
        except KeyboardInterrupt:
            print('stopped', file=sys.stderr)
    print(f'{images} frames tracked, {len(ids)} ids; see {annotated} and {tracks_file}')


if __name__ == '__main__':
    sys.exit(main())
