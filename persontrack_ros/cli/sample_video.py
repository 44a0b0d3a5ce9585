"""``persontrack sample-video``: a sample video."""

from __future__ import annotations

import argparse

from persontrack_ros.core.media.sample import sample_video


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'sample-video',
        help='fetch a sample video and print its path',
        description='Fetch a video of walking persons (8 MB) from OpenCV into the cache, '
        'verified. Prints its path.',
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    print(sample_video())
    return 0
