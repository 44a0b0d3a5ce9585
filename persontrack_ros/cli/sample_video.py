"""``persontrack sample-video``: a sample video."""

from __future__ import annotations

import argparse
from pathlib import Path

from persontrack_ros.cli.progress import tqdm
from persontrack_ros.core.media.sample import FACTS, NAME, sample_video


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'sample-video',
        help='fetch a sample video and print its path',
        description='Fetch a video of walking persons (8 MB) from OpenCV or, if that cannot be '
        'reached, from a package of Debian; verified and cached. Prints its path.',
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    print(sample_video_with_progress())
    return 0


def sample_video_with_progress() -> Path:
    """Return the sample video, see :func:`sample_video`; show a progress bar if it is fetched."""
    with tqdm(total=FACTS.size, desc=NAME, unit='B', unit_scale=True, leave=False) as bar:
        return sample_video(bar.update)
