"""``persontrack compare``: whether two images show the same person."""

from __future__ import annotations

import argparse
from pathlib import Path

from persontrack_ros.cli.options import add_settings_options, settings_from
from persontrack_ros.core.config.settings import NONE, Settings
from persontrack_ros.core.inference.download import with_default_models
from persontrack_ros.core.inference.similarity import compare
from persontrack_ros.core.media.folder import read_image


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'compare',
        help='compare the persons in two images',
        description='Print the cosine similarity of two images, each cropped to one person, and '
        'whether they show the same person, by the threshold of the re-identification model.',
    )
    parser.add_argument('image_a', type=Path, metavar='IMAGE_A')
    parser.add_argument('image_b', type=Path, metavar='IMAGE_B')
    add_settings_options(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    image_a, image_b = (read_image(path) for path in (options.image_a, options.image_b))
    similarity = compare(image_a, image_b, with_reid_model(settings))
    verdict = 'same person' if similarity.same else 'different persons'
    numbers = f'{similarity.cosine:.3f}: {verdict} (threshold {similarity.threshold:.3f})'
    print(f'cosine similarity {numbers}')
    return 0


def with_reid_model(settings: Settings) -> Settings:
    """Get the re-identification model where it is missing; no detector is needed."""
    return with_default_models(Settings.from_values({'detector.model': NONE}, base=settings))
