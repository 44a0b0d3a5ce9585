"""``persontrack bag record``: a video or camera to a bag."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from persontrack_ros.cli.files import summarise
from persontrack_ros.cli.options import SOURCE, absolute, add_max_frames_option
from persontrack_ros.core.base.terminal import Interrupt, tqdm
from persontrack_ros.core.media.source import Partial, SourceOptions, VideoSource


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'record',
        help='record a video or camera to a bag',
        description='Record a video, a folder of images or a camera to a bag. The images are '
        'stamped with the time of the video, from 0 on, or the time of the camera. Ctrl-C '
        'ends it, with the bag complete up to there, and so does a video that was cut off, with '
        'exit code 2.',
    )
    parser.add_argument('source', help=SOURCE)
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='BAG', help='new bag')
    parser.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='default: mcap'
    )
    parser.add_argument(
        '--compress', choices=('png', 'jpeg'), help='compressed images; jpeg changes the pixels'
    )
    parser.add_argument(
        '--image-topic', default='/image_raw', metavar='TOPIC', help='default: /image_raw'
    )
    parser.add_argument('--frame-id', default='camera', help='default: camera')
    add_max_frames_option(parser)
    parser.set_defaults(execute=execute, reads=('source',), writes={'output': ()})


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    from persontrack_ros.bags.images import ImageRecorder
    from persontrack_ros.bags.writer import BagWriter

    source_options = SourceOptions(max_frames=options.max_frames)
    recorded = 0
    interrupt = Interrupt()
    with ExitStack() as stack:
        source = stack.enter_context(
            VideoSource(options.source, source_options, lambda: interrupt.requested)
        )
        stack.enter_context(interrupt)
        bag = stack.enter_context(BagWriter(options.output, options.storage, options.overwrite))
        topic, compression = absolute(options.image_topic), options.compress or ''
        recorder = ImageRecorder(bag, topic, options.frame_id, compression)
        frames = Partial(source)
        for frame in tqdm(frames, total=source.frame_count, unit='frame'):
            recorder.write(frame)
            recorded += 1
    summarise(options, f'{recorded} images recorded to {options.output}')
    frames.check()
    return 0
