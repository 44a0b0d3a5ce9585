"""``persontrack bag track``: the tracks of a bag, beside its images."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from persontrack_ros.cli.files import summarise
from persontrack_ros.cli.options import (
    absolute,
    add_image_topic_option,
    add_max_frames_option,
    add_settings_options,
)
from persontrack_ros.cli.outputs import WRITES, Outputs, add_output_options, settings_of
from persontrack_ros.core.base.terminal import Interrupt, tqdm
from persontrack_ros.core.inference.download import with_default_models
from persontrack_ros.core.media.source import Partial
from persontrack_ros.core.pipeline import Pipeline


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'track',
        help='track the persons in the images of a bag',
        description='Track the persons in every image of a bag. The new bag has all messages of '
        'the bag unchanged, and the tracks with the stamps of the images. Ctrl-C ends it, with '
        'the files complete up to there. In a damaged bag, all readable images are tracked; the '
        'exit code is then 2.',
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='folder, or .mcap or .db3 file')
    add_image_topic_option(parser)
    parser.add_argument('-o', '--output', type=Path, metavar='OUT_BAG', help='new bag')
    parser.add_argument(
        '--tracks-topic', default='/tracks', metavar='TOPIC', help='default: /tracks'
    )
    parser.add_argument(
        '--annotated',
        action='store_true',
        help='add images with the tracks drawn in, on the topic annotated_image, for '
        'rviz2, which has no display for 2D detections',
    )
    add_output_options(parser)
    add_max_frames_option(parser)
    add_settings_options(parser)
    parser.set_defaults(
        execute=execute,
        reads=('bag', 'params', 'zones'),
        writes={'output': (), **WRITES},
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    from persontrack_ros.bags.reader import BagReader
    from persontrack_ros.bags.track import TracksRecorder, track_images
    from persontrack_ros.bags.writer import BagWriter

    settings = settings_of(options)
    tracks_topic = absolute(options.tracks_topic)
    namespace = tracks_topic.rpartition('/')[0]
    annotated_topic = f'{namespace}/annotated_image' if options.annotated else ''
    frames = 0
    with ExitStack() as stack:
        bag = stack.enter_context(BagReader(options.bag))
        topic = bag.choose_image_topic(options.image_topic)
        interrupt = stack.enter_context(Interrupt())
        outputs = Outputs(stack, options, settings, options.bag.resolve().name)
        recorder = None
        if options.output:
            new_bag = stack.enter_context(
                BagWriter(options.output, bag.storage, options.overwrite)
            )
            recorder = TracksRecorder(
                bag, new_bag, tracks_topic, annotated_topic, settings.drawing
            )
        pipeline = Pipeline(with_default_models(settings))
        total = min(topic.msgcount, options.max_frames or topic.msgcount)
        progress = stack.enter_context(tqdm(total=total, unit='frame'))
        results = Partial(track_images(bag, topic, pipeline, recorder))
        for image, time, tracks in results:
            outputs.add(image.number, time, tracks, image.image)
            frames += 1
            progress.update()
            if interrupt.requested or frames == options.max_frames:
                break
    milliseconds = 1e3 * pipeline.mean_time
    summarise(options, f'{frames} frames, {len(outputs.ids)} ids, {milliseconds:.1f} ms per frame')
    results.check()
    bag.check_whole()
    return 0
