"""A video to try: OpenCV's sample vtest.avi, which is the sequence PETS09-S2L1."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO, cast

from persontrack_ros.core.base.errors import DownloadError
from persontrack_ros.core.base.fetching import (
    Facts,
    Progress,
    cache_directory,
    fetch,
    locked,
    put,
    run_tool,
    save,
)

NAME = 'vtest.avi'
URL = f'https://raw.githubusercontent.com/opencv/opencv/4.x/samples/data/{NAME}'
FACTS = Facts(
    8131690,
    '1271ed7fa779b7f9241e53eab5e55e294f1a81976a38ead1'
    'e8103d47372daeffd04365aaebff7e1a343df3baf5965828',
)

PACKAGE = 'opencv-doc'


def sample_video(progress: Progress, url: str = URL) -> Path:
    """
    Return the sample video, fetched into the user's cache if it is not there yet.

    It comes from OpenCV's repository or, where that cannot be reached, out of Debian's or
    Ubuntu's package opencv-doc, which is not installed for it.

    :raises DownloadError: if neither has it.
    :raises OutputError: if the cache cannot be written.
    """
    folder = cache_directory() / 'videos'
    target, part = folder / NAME, folder / f'{NAME}.part'
    with locked(folder):
        if FACTS.match(target):
            return target
        try:
            fetch(url, part, FACTS.size, progress)
        except DownloadError as error:
            try:
                _fetch_from_package(part, progress)
            except DownloadError as other:
                raise DownloadError(
                    f'no sample video: {error}; nor from the package {PACKAGE}: {other}. Give a '
                    'video of your own'
                ) from other
        if not FACTS.match(part):
            part.unlink()
            raise DownloadError(f'what came as {NAME} is another file: its SHA-384 differs')
        put(part, target)
    return target


def _fetch_from_package(target: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        download = ['apt-get', '--quiet', '--quiet', 'download', PACKAGE]
        try:
            run_tool(download, folder)
        except DownloadError:
            # The lists of packages are missing or old. Only root may renew them, but lists of our
            # own do as well.
            own = ['-o', f'Dir::State::Lists={folder}', '-o', f'Dir::Cache={folder}']
            run_tool(['apt-get', '--quiet', *own, 'update'], folder)
            run_tool([*download, *own], folder)
        (package,) = folder.glob('*.deb')
        content = subprocess.Popen(
            # That of the system, as apt-get before.
            ['dpkg', '--fsys-tarfile', str(package)],  # noqa: S607
            stdout=subprocess.PIPE,
        )
        with content, tarfile.open(fileobj=content.stdout, mode='r|') as archive:
            for member in archive:
                if member.isfile() and Path(member.name).name == NAME:
                    stream = cast(IO[bytes], archive.extractfile(member))
                    save(stream, f'{package.name}, {member.name}', target, FACTS.size, progress)
                    content.terminate()
                    return
    raise DownloadError(f'{package.name} has no {NAME}')
