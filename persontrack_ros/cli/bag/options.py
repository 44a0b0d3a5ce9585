"""Options that several commands for bags have."""

from __future__ import annotations

import argparse

# Those of persontrack_ros.core.evaluation.scores.Scores that a comparison may demand.
SCORES = ('hota', 'idf1', 'mota')


def add_image_topic_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the images of a bag."""
    parser.add_argument(
        '--image-topic',
        metavar='TOPIC',
        help='topic of the images, compressed or not (default: the one there is)',
    )


def add_force_option(parser: argparse.ArgumentParser) -> None:
    """Add the option without which nothing is overwritten."""
    parser.add_argument('--force', action='store_true', help='overwrite outputs that exist')


def add_score_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that demand least scores."""
    for name in SCORES:
        parser.add_argument(
            f'--min-{name}',
            type=float,
            metavar='PERCENT',
            help=f'with ground truth: least {name.upper()}, instead of --allow',
        )


def least_scores(options: argparse.Namespace) -> dict[str, float]:
    """Return the scores that the options demand, by name."""
    values = {name: getattr(options, f'min_{name}') for name in SCORES}
    return {name: value for name, value in values.items() if value is not None}


def pixels(text: str) -> float:
    """Convert an option that is a number of pixels, for argparse."""
    number = float(text)
    if not 0 <= number < float('inf'):
        raise ValueError('negative')
    return number
