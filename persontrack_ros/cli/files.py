"""Checks of the files that commands read and write."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.output import STANDARD_OUTPUT


def check_files(options: argparse.Namespace) -> None:
    """
    Check the outputs of a command before it begins.

    Parsers have the defaults ``reads``, names of options with inputs, and ``writes``, suffixes of
    the output by name of the option, none for any name.

    :raises OutputError: if an output has another suffix, is an input or another output, or exists
        and may not be overwritten.
    """
    check_outputs(outputs_of(options), read_by(options), getattr(options, 'overwrite', True))
    for name, suffixes in getattr(options, 'writes', {}).items():
        for path in _paths(options, [name]):
            device = path == STANDARD_OUTPUT or (path.exists() and not path.is_file())
            if suffixes and path.suffix.lower() not in suffixes and not device:
                raise OutputError(
                    f'cannot write {path}: the name has to end in {" or ".join(suffixes)}'
                )


def outputs_of(options: argparse.Namespace) -> list[Path]:
    """Return all files that a command writes."""
    return _paths(options, getattr(options, 'writes', {}))


def summarise(options: argparse.Namespace, text: str) -> None:
    """Print a line about the results, not between those on standard output nor with --quiet."""
    if not options.quiet:
        print(text, file=sys.stderr if STANDARD_OUTPUT in outputs_of(options) else sys.stdout)


def read_by(options: argparse.Namespace) -> list[Path]:
    """Return all files and folders that a command reads, among them models of the parameters."""
    texts = [value for _, value in getattr(options, 'set', None) or () if isinstance(value, str)]
    models = [Path(text) for text in texts if text]
    named = _paths(options, getattr(options, 'reads', ()))
    return [*named, *models, *(one.with_suffix('.bin') for one in models)]


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path], overwrite: bool) -> None:
    """
    Check that no output is an input, in a folder of inputs or around one, or another output.

    :param overwrite: whether files that exist are replaced.
    :raises OutputError: if one is, or if a file exists that is not to be replaced.
    """
    read = {path.resolve() for path in inputs}
    written: dict[Path, Path] = {}
    for output in outputs:
        path = output.resolve()
        inside = os.path.exists(path) and read.intersection(path.parents)
        if path in read or inside or any(path in one.parents for one in read if path.is_dir()):
            raise OutputError(f'{output} is the input; write to another file')
        # A device may be written twice.
        if path in written and (os.path.isfile(path) or not os.path.exists(path)):
            raise OutputError(f'{output} and {written[path]} are the same file; rename one')
        if output != STANDARD_OUTPUT and (path.is_file() or path.is_dir()) and not overwrite:
            raise OutputError(f'{output} exists already; --overwrite replaces it')
        written[path] = output


def _paths(options: argparse.Namespace, names: Iterable[str]) -> list[Path]:
    values = [getattr(options, name, None) for name in names]
    nested = [value if isinstance(value, list) else [value] for value in values]
    return [Path(one) for several in nested for one in several if one]
