"""``persontrack compare``: do two pictures show the same person?"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from persontrack_ros.cli.options import add_settings_options
from persontrack_ros.cli.options import settings_from
from persontrack_ros.core.embedding import make_embedder
from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.models.runtime import Runtime
from persontrack_ros.core.sameness import sameness
from persontrack_ros.core.sources.folder import read_image


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'compare',
        help='compare the persons in two images',
        description='Print the cosine similarity of two images, each cut to one person, and '
        'whether they show the same person, by the limit of the re-identification model, with how '
        'sure that is.',
    )
    parser.add_argument('image_a', type=Path, metavar='IMAGE_A')
    parser.add_argument('image_b', type=Path, metavar='IMAGE_B')
    add_settings_options(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = settings_from(options)
    images = [read_image(path) for path in (options.image_a, options.image_b)]
    embedder = make_embedder(settings.reid, Runtime(settings.inference))
    if not embedder.dimension:
        raise SettingsError(f'reid.model {settings.reid.model} has no looks to compare by')
    vectors = [
        embedder.embed(image, np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]))[0]
        for image in images
    ]
    similarity = float(vectors[0] @ vectors[1])
    known = sameness(settings.reid.model)
    verdict = 'same person' if 1 - similarity <= known.limit else 'different persons'
    print(
        f'cosine similarity {similarity:.3f}: {verdict} (same from {1 - known.limit:.3f} on); '
        f'{known.sure(1 - similarity)}'
    )
    return 0
