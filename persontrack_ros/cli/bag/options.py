"""Options that several commands for bags have."""

from __future__ import annotations

import argparse


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
