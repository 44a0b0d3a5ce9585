"""Options of several commands for bags."""

from __future__ import annotations

import argparse


def add_image_topic_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the images of a bag."""
    parser.add_argument(
        '--image-topic',
        metavar='TOPIC',
        help='topic of the images, compressed or not (default: the only one)',
    )
