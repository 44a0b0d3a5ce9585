"""Checks of the files that commands read and write."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from persontrack_ros.core.base.errors import OutputError


def check_files(options: argparse.Namespace) -> None:
    """
    Check that a command does not overwrite its inputs.

    Commands list the options with inputs and outputs in the defaults ``reads`` and ``writes`` of
    their parsers.

    :raises OutputError: if an output is an input or another output.
    """
    check_outputs(_paths(options, 'writes'), read_by(options))


def read_by(options: argparse.Namespace) -> list[Path]:
    """Return all files and folders that a command reads, among them models of the parameters."""
    texts = [value for _, value in getattr(options, 'set', None) or () if isinstance(value, str)]
    models = [Path(text) for text in texts if text]
    return [*_paths(options, 'reads'), *models, *(one.with_suffix('.bin') for one in models)]


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """
    Check that no output is an input, in a folder of inputs, or another output.

    :raises OutputError: if one is.
    """
    read = {path.resolve() for path in inputs}
    written: dict[Path, Path] = {}
    for output in outputs:
        path = output.resolve()
        if path in read or (os.path.exists(path) and read.intersection(path.parents)):
            raise OutputError(f'{output} is the input; write to another file')
        # A device may be written twice.
        if path in written and (os.path.isfile(path) or not os.path.exists(path)):
            raise OutputError(f'{output} and {written[path]} are the same file; rename one')
        written[path] = output


def _paths(options: argparse.Namespace, kind: str) -> list[Path]:
    values = [getattr(options, name) for name in getattr(options, kind, ())]
    nested = [value if isinstance(value, list) else [value] for value in values]
    return [Path(one) for several in nested for one in several if one]
