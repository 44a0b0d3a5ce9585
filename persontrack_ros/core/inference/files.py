"""The files of models: search path, and checks against the published releases."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.fetching import cache_directory
from persontrack_ros.core.inference.catalogue import (
    QUANTIZED,
    SMALL_DETECTOR,
    Entry,
    Release,
    catalogue,
)

SEARCH_VARIABLE = 'PERSONTRACK_MODEL_PATH'

# Formats of OpenVINO: its own IR, ONNX, TensorFlow Lite, TensorFlow. A TensorFlow SavedModel is a
# folder.
SUFFIXES = ('.xml', '.onnx', '.tflite', '.pb')
# Suffix of the folders of `yolo export format=openvino`.
_EXPORTED = '_openvino_model'
_GIT_LFS = b'version https://git-lfs.github.com/spec/'


def installation_directory() -> Path:
    """Return the directory of downloaded and quantized models."""
    return cache_directory() / 'models'


def without_zoo() -> str:
    """Return the advice of all errors and warnings about models that are missing."""
    return (
        'Without the zoo: "persontrack models download --mirror URL|FOLDER", or copy the files to '
        f'{installation_directory()}/MODEL/PRECISION or a folder of {SEARCH_VARIABLE}, or use the '
        'small models, which miss more persons (vtest.avi: HOTA 61 instead of 67): "persontrack '
        f'models download {SMALL_DETECTOR}", detector.model={SMALL_DETECTOR} and reid.model=color'
    )


def find_model(model: str, precision: str) -> Path:
    """
    Find the file to load.

    :param model: name of a model, or the path of its file or of its folder.
    :param precision: folder of the weights, for example FP16; not used with a path.
    :raises ModelError: if there is no such file; with advice.
    """
    if '/' in model or model.endswith((*SUFFIXES, _EXPORTED)):
        path = Path(model).expanduser()
        if not path.exists():
            raise ModelError(f'no model file {path}')
        # A SavedModel is a folder itself.
        if path.is_file() or (path / 'saved_model.pb').is_file():
            return path
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        if len(files) != 1:
            names = ', '.join(file.name for file in files) or 'none'
            raise ModelError(
                f'{path} is no folder of one model ({", ".join(SUFFIXES)}); it has {names}'
            )
        return files[0]
    entry = catalogue().get(model)
    if entry:
        precision = published_precision(entry, precision)
    named = filter(None, os.environ.get(SEARCH_VARIABLE, '').split(os.pathsep))
    folders = [
        directory / publisher / model / precision
        for directory in (*(Path(each).expanduser() for each in named), installation_directory())
        for publisher in ('intel', '')
    ]
    for folder in folders:
        for suffix in SUFFIXES:
            path = folder / f'{model}{suffix}'
            if path.is_file():
                return path
    looked = f'Looked in {", ".join(map(str, folders))}'
    if entry is None:
        raise ModelError(f'{unknown(model)}. {looked}')
    command = f'persontrack models download {model}'
    if precision == QUANTIZED:
        command = f'persontrack models quantize {model} --calibration VIDEO'
    elif precision != default_precision(entry):
        command += f' --precision {precision}'
    raise ModelError(
        f'the model {model} ({precision}) is not installed. Run "{command}". {without_zoo()}. '
        f'{looked}'
    )


def installed(entry: Entry, precision: str) -> Optional[Path]:
    """Return the file of a published or quantized model, see :func:`find_model`, or None."""
    try:
        return find_model(entry.name, precision)
    except ModelError:
        return None


def check_contents(path: Path) -> str:
    """
    Check the files of a model, as far as hashes are known.

    :param path: the file to load.
    :returns: the hash of the files.
    :raises ModelError: if a file is missing, a pointer of Git LFS, or a damaged published one.
    """
    files = [path]
    if path.suffix == '.xml':
        files.append(path.with_suffix('.bin'))
        if not files[1].is_file():
            raise ModelError(f'{path} has no weights: {path.stem}.bin is missing beside it')
    if path.is_dir():
        files = sorted(file for file in path.rglob('*') if file.is_file())
    digest = hashlib.sha384()
    contents = {}
    for file in files:
        # A pipe would block.
        if not file.is_file():
            raise ModelError(f'{file} is no regular file')
        content = contents[file.name] = file.read_bytes()
        if content.startswith(_GIT_LFS):
            raise ModelError(
                f'{file} is not a model, but the pointer of Git LFS to it: run `git lfs pull` in '
                'the repository that it is from'
            )
        digest.update(content)
    entry = catalogue().get(path.stem)
    releases = entry.releases.get(path.parent.name, ()) if entry else ()
    # There are other releases than those in the catalogue, and changed models.
    published = path.parent.parent.name == path.stem and any(
        contents.keys() == release.files.keys()
        and (
            all(len(contents[name]) == facts.size for name, facts in release.files.items())
            or any(facts.match(contents[name]) for name, facts in release.files.items())
        )
        for release in releases
    )
    if published:
        try:
            check_release(contents, releases)
        except ModelError as error:
            raise ModelError(
                f'{path.parent}: {error}. Run "persontrack models download {path.stem} '
                f'--precision {path.parent.name}", or give a changed model another name'
            ) from error
    return digest.hexdigest()


def unknown(model: str) -> str:
    """Return an error about a name."""
    return (
        f'there is no model called {model}: "persontrack models list" shows those with a name; '
        f'others are given by the path of their file ({", ".join(SUFFIXES)})'
    )


def default_precision(entry: Entry) -> str:
    """Return the default precision."""
    return 'FP16' if 'FP16' in entry.releases else next(iter(entry.releases))


def published_precision(entry: Entry, precision: str) -> str:
    """
    Return the precision to use for a requested one.

    A model with only one precision is used in that one, so that it needs no setting.

    :raises ModelError: if the model is not published in it.
    """
    if len(entry.releases) == 1 and precision != QUANTIZED:
        return default_precision(entry)
    quantizable = (QUANTIZED,) if entry.kind == 'detector' else ()
    if precision not in (*entry.releases, *quantizable):
        raise ModelError(
            f'there is no {precision} of {entry.name}; there are {", ".join(entry.releases)}'
        )
    return precision


def read_release(folder: Path, releases: tuple[Release, ...]) -> dict[str, bytes]:
    """Return the content of the published files that are in a folder."""
    files = {name: folder / name for name in releases[0].files}
    return {name: file.read_bytes() for name, file in files.items() if file.is_file()}


def check_release(contents: Mapping[str, bytes], releases: tuple[Release, ...]) -> Release:
    """
    Return the release of some files.

    :param contents: by the name of the file.
    :raises ModelError: if they are of no release; with the reason.
    """
    for release in releases:
        if all(facts.match(contents.get(name, b'')) for name, facts in release.files.items()):
            return release
    for name in releases[0].files:
        if name not in contents:
            raise ModelError(f'{name} is missing')
        if not any(release.files[name].match(contents[name]) for release in releases):
            sizes = ' or '.join(str(release.files[name].size) for release in releases)
            raise ModelError(
                f'{name} is damaged or was changed: it has {len(contents[name])} bytes '
                f'(published: {sizes}), or another SHA-384'
            )
    raise ModelError('the files are of different releases')
