"""``persontrack embed``: the embedding of a person, to follow them by the parameter `target`."""

from __future__ import annotations

import argparse
from pathlib import Path

from persontrack_ros.cli.compare import with_reid_model
from persontrack_ros.cli.options import add_settings_options, settings_from
from persontrack_ros.core.config.node_options import EMBEDDING_SUFFIX
from persontrack_ros.core.inference.similarity import embed, save_embedding
from persontrack_ros.core.media.folder import read_image


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'embed',
        help='make a file of the person in an image, for the parameter target of the node',
        description='Write the embedding of an image, cropped to one person, to a file for the '
        'parameter target.',
    )
    parser.add_argument('image', type=Path, metavar='IMAGE')
    parser.add_argument(
        'output', type=Path, metavar='FILE', help=f'file to write ({EMBEDDING_SUFFIX})'
    )
    add_settings_options(parser)
    parser.set_defaults(
        execute=execute, reads=('image', 'params'), writes={'output': (EMBEDDING_SUFFIX,)}
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    image, settings = read_image(options.image), settings_from(options)
    settings = with_reid_model(settings)
    (embedding,) = embed([image], settings)
    save_embedding(options.output, embedding, settings.reid.model)
    return 0
