"""``persontrack bag compare``: the differences of two runs."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from persontrack_ros.cli.options import add_image_topic_option, count

# Number of frames in a picture.
_DRAWN = 3


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'compare',
        help='compare the tracks of two bags',
        description='Print the frames in which the tracks of two runs differ, with the ids. '
        'Frames of two bags are matched by their stamps, otherwise by their numbers. The exit '
        'code is 1 if more differs than is allowed.',
    )
    what = 'bag with tracks, or MOTChallenge file of tracks (.txt)'
    parser.add_argument('a', type=Path, metavar='A', help=what)
    parser.add_argument('b', type=Path, metavar='B', help='the same')
    parser.add_argument(
        '--tolerance',
        type=float,
        default=0.01,
        metavar='PX',
        help='pixels by which boxes with the same id may differ (default: 0.01)',
    )
    parser.add_argument(
        '--allow',
        type=count,
        default=0,
        metavar='N',
        help='number of frames that may differ (default: 0)',
    )
    parser.add_argument(
        '--picture',
        type=Path,
        metavar='FILE',
        help=f'draw the first {_DRAWN} frames that differ (.png or .jpg)',
    )
    parser.add_argument(
        '--tracks-topic', metavar='TOPIC', help='of both bags (default: the only one)'
    )
    add_image_topic_option(parser)
    parser.set_defaults(execute=execute, reads=('a', 'b'), writes={'picture': ('.png', '.jpg')})


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    from persontrack_ros.bags.compare import read_images, read_tracks
    from persontrack_ros.core.base.errors import SourceError
    from persontrack_ros.core.base.output import write_file
    from persontrack_ros.core.evaluation.comparison import compare, draw_differences

    topics = (options.tracks_topic, options.image_topic)
    a, b = read_tracks(options.a, *topics), read_tracks(options.b, *topics)
    differences, total = compare(a, b, options.tolerance)
    for difference in differences:
        print(difference.text)
    print(f'{len(differences)} of {total} frames differ')
    if differences and options.picture:
        bag = options.a if a.stamps else options.b
        stamps = {one.stamp for one in differences[:_DRAWN] if one.stamp is not None}
        images = read_images(bag, options.image_topic, stamps)
        drawn = [one for one in differences[:_DRAWN] if one.stamp in images]
        if not drawn:
            raise SourceError(f'{bag} has no images of the frames that differ')
        picture = cv2.imencode(options.picture.suffix, draw_differences(drawn, images))[1]
        write_file(options.picture, picture.tobytes())
    return int(len(differences) > options.allow)
