"""``persontrack bag compare``: the differences of two runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from persontrack_ros.cli.bag.options import add_image_topic_option
from persontrack_ros.cli.options import count
from persontrack_ros.core.base.errors import SettingsError

# The fields of persontrack_ros.core.evaluation.scores.Scores that have a minimum option.
_SCORES = ('hota', 'idf1', 'mota')


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'compare',
        help='compare the tracks of two bags, or of a bag with ground truth',
        description='Print the frames in which the tracks of two runs differ, with the ids. '
        'Frames of two bags are matched by their stamps, otherwise by their numbers. The exit '
        'code is 1 if more differs than is allowed.',
    )
    what = 'bag with tracks, MOTChallenge file of tracks, or ground truth: gt.txt or the folder '
    parser.add_argument('a', type=Path, metavar='A', help=f'{what} of a sequence')
    parser.add_argument('b', type=Path, metavar='B', help='the same')
    parser.add_argument(
        '--tolerance',
        type=_pixels,
        default=0.01,
        metavar='PX',
        help='pixels by which boxes with the same id may differ (default: 0.01); with ground '
        'truth, an overlap of half (IoU) is enough',
    )
    parser.add_argument(
        '--allow',
        type=count,
        default=0,
        metavar='N',
        help='number of frames that may differ (default: 0)',
    )
    for name in _SCORES:
        parser.add_argument(
            f'--min-{name}',
            type=float,
            metavar='PERCENT',
            help=f'with ground truth: minimum {name.upper()}, instead of --allow',
        )
    parser.add_argument(
        '--picture', type=Path, metavar='FILE', help='draw the first differences (.png or .jpg)'
    )
    parser.add_argument(
        '--show', type=count, default=20, metavar='N', help='list the first N (default: 20)'
    )
    parser.add_argument(
        '--tracks-topic', metavar='TOPIC', help='of both bags (default: the only one)'
    )
    add_image_topic_option(parser)
    parser.set_defaults(execute=execute, reads=('a', 'b'), writes={'picture': ('.png', '.jpg')})


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    from persontrack_ros.bags.compare import Comparison, read_tracks
    from persontrack_ros.bags.writer import check_output

    if options.picture:
        check_output(options.picture, options.overwrite)
    topics = (options.tracks_topic, options.image_topic)
    sides = read_tracks(options.a, *topics), read_tracks(options.b, *topics)
    minima = _least_scores(options)
    comparison = Comparison(*sides, options.tolerance)
    if comparison.scores is None and minima:
        raise SettingsError('minimum scores need ground truth: gt.txt or the folder of a sequence')
    differences = comparison.differences
    for difference in differences[: options.show]:
        print(f'{comparison.title(difference)}: {difference}')
    if len(differences) > options.show:
        print(f'and {len(differences) - options.show} more (--show {len(differences)})')
    print(f'{len(differences)} of {comparison.count} frames differ')
    if differences:
        print(f'ids that differ: {" ".join(map(str, comparison.ids))}')
    if differences and options.picture:
        comparison.draw(
            options.picture, [side.path for side in sides if side.stamps], options.image_topic
        )
    if comparison.scores is None:
        return int(len(differences) > options.allow)
    values = {name: getattr(comparison.scores, name) for name in _SCORES}
    print(', '.join(f'{name.upper()} {value:.1f}' for name, value in values.items()))
    if not minima:
        return int(len(differences) > options.allow)
    return int(any(values[name] < least for name, least in minima.items()))


def _least_scores(options: argparse.Namespace) -> dict[str, float]:
    """Return the minimum scores of the options, by name."""
    values = {name: getattr(options, f'min_{name}') for name in _SCORES}
    return {name: value for name, value in values.items() if value is not None}


def _pixels(text: str) -> float:
    """Convert an option that is a number of pixels, for argparse."""
    number = float(text)
    if not 0 <= number < float('inf'):
        raise ValueError('negative')
    return number
