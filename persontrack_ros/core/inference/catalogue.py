"""The models with a name; ``catalogue.yaml`` has the table."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import yaml

from persontrack_ros.core.base.fetching import Facts

DEFAULT_DETECTOR = 'person-detection-0202'
DEFAULT_REID = 'person-reidentification-retail-0287'
DEFAULT_PRECISION = 'FP16'
# Of the Python package index, used where the zoo cannot be reached.
SMALL_DETECTOR = 'yolox-nano'

# Made by `persontrack models quantize`; it is not published, so there is nothing to verify.
QUANTIZED = 'INT8'


@dataclass(frozen=True)
class Release:
    """
    One published set of files of a model in one precision.

    :ivar files: size and hash by file name; the file to load is the last one.
    :ivar url: URL of the files, ending in a slash; empty for files in a wheel.
    :ivar wheel: a Python package with the file: its requirement for pip, sha256, and the member.
    """

    name: str
    files: Mapping[str, Facts]
    url: str = ''
    wheel: Optional[Mapping[str, str]] = None


@dataclass(frozen=True)
class Entry:
    """
    One model.

    :ivar kind: ``detector`` or ``reid``.
    :ivar about: purpose of the model, in one line.
    :ivar profile: input and output of the model, see
        :mod:`persontrack_ros.core.inference.profile`.
    :ivar releases: by precision, the newest first.
    """

    name: str
    kind: str
    licence: str
    about: str
    profile: Mapping[str, Any]
    releases: Mapping[str, tuple[Release, ...]]


@functools.lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Entry]:
    """Return all models by name."""
    table = yaml.safe_load(Path(__file__).with_name('catalogue.yaml').read_text())
    return {
        name: Entry(
            **{'profile': {}, 'name': name, **row},
            releases={
                precision: tuple(_release(name, release) for release in releases)
                for precision, releases in files.items()
            },
        )
        for name, row in table.items()
        for files in [row.pop('files')]
    }


def _release(model: str, row: Mapping[str, Any]) -> Release:
    return Release(
        name=row['release'],
        files={model + key: Facts(**value) for key, value in row.items() if key[0] == '.'},
        url=row.get('url', ''),
        wheel=row.get('wheel'),
    )
