"""Checks of the files that commands read and write."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from persontrack_ros.core.base.output import check_outputs
from persontrack_ros.core.media.folder import IMAGE_SUFFIXES

# Files of a folder that are read: of a MOTChallenge sequence, and of a bag.
_READ = ('gt/gt.txt', 'det/det.txt', 'seqinfo.ini', 'metadata.yaml')
_READ_SUFFIXES = (*IMAGE_SUFFIXES, '.mcap', '.db3', '.zstd')


def check_files(options: argparse.Namespace) -> None:
    """
    Check that a command does not overwrite its inputs.

    Commands list the options with inputs and outputs in the defaults ``reads`` and ``writes`` of
    their parsers.

    :raises OutputError: if an output is an input or another output.
    """
    writes = [path for name in getattr(options, 'writes', ()) for path in _paths(options, name)]
    check_outputs(writes, read_by(options))


def read_by(options: argparse.Namespace) -> list[Path]:
    """Return all files and folders that a command reads."""
    named = [path for name in getattr(options, 'reads', ()) for path in _paths(options, name)]
    # Models, among the parameters.
    for _, value in getattr(options, 'set', None) or ():
        if isinstance(value, str):
            named += [Path(value), Path(value).with_suffix('.bin')] if value else []
    return [path for one in named for path in (one, *_inside(one))]


def _paths(options: argparse.Namespace, name: str) -> list[Path]:
    value = getattr(options, name)
    values = value if isinstance(value, list) else [value]
    return [Path(one) for one in values if one]


def _inside(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (folder / name for name in _READ)
        yield from (one for one in folder.iterdir() if one.suffix.lower() in _READ_SUFFIXES)
