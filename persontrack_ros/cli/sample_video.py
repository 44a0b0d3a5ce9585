"""``persontrack sample-video``: OpenCV's sample vtest.avi, which is the sequence PETS09-S2L1."""

from __future__ import annotations

import argparse
from pathlib import Path

from persontrack_ros.core.base.errors import DownloadError
from persontrack_ros.core.base.fetching import Facts, cache_directory, fetch, store

NAME = 'vtest.avi'
URL = f'https://raw.githubusercontent.com/opencv/opencv/4.x/samples/data/{NAME}'
FACTS = Facts(
    8131690,
    '1271ed7fa779b7f9241e53eab5e55e294f1a81976a38ead1'
    'e8103d47372daeffd04365aaebff7e1a343df3baf5965828',
)


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


def sample_video(url: str = URL) -> Path:
    """
    Return the sample video, fetched into the user's cache if it is not there yet.

    :raises DownloadError: if it cannot be fetched.
    :raises OutputError: if the cache cannot be written.
    """
    target = cache_directory() / 'videos' / NAME
    if target.is_file() and FACTS.match(target.read_bytes()):
        return target
    try:
        content = fetch(url, FACTS.size)
    except DownloadError as error:
        raise DownloadError(f'no sample video: {error}. Give a video of your own') from error
    if not FACTS.match(content):
        raise DownloadError(f'{url} is not the published {NAME}: its SHA-384 differs')
    store(target, content)
    return target
