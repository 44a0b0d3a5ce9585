"""``persontrack models``: list, install and check models."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Optional

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.inference.catalogue import (
    DEFAULT_DETECTOR,
    DEFAULT_REID,
    QUANTIZED,
    Entry,
    catalogue,
)
from persontrack_ros.core.inference.download import MIRROR_VARIABLE, install
from persontrack_ros.core.inference.files import (
    check_release,
    default_precision,
    find_entry,
    find_model,
    published_precision,
    read_release,
)

DEFAULTS = (DEFAULT_DETECTOR, DEFAULT_REID)
PRECISIONS = ('FP32', 'FP16', 'FP16-INT8', QUANTIZED)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'models',
        help='list, download and verify models',
        description='The detection and re-identification models that have a name.',
    )
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)

    action = actions.add_parser('list', help='show the models and which are installed')
    action.set_defaults(execute=show_list)

    action = actions.add_parser(
        'download',
        help='install models',
        description='Install models into the cache of the user, verified by size and SHA-384. '
        'Without NAME the defaults: ' + ' and '.join(DEFAULTS) + '.',
    )
    action.add_argument('names', nargs='*', metavar='NAME')
    _add_precision(action)
    action.add_argument(
        '--mirror',
        default=os.environ.get(MIRROR_VARIABLE, ''),
        metavar='URL|DIR',
        help='source instead of the Open Model Zoo: a copy of its storage, or folders '
        f'[intel/]MODEL/PRECISION/ (default: {MIRROR_VARIABLE})',
    )
    action.set_defaults(execute=download)

    action = actions.add_parser(
        'verify',
        help='compare installed models with the published files',
        description='Compare the size and SHA-384 of installed models with every published '
        'release. Without NAME all that are installed. The exit code is 1 if one differs.',
    )
    action.add_argument('names', nargs='*', metavar='NAME')
    _add_precision(action)
    action.set_defaults(execute=verify)


def _add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--precision', choices=PRECISIONS, help='precision of the weights (default: FP16)'
    )


def show_list(options: argparse.Namespace) -> int:
    """Run ``models list``."""
    for kind, title in (('detector', 'Person detection'), ('reid', 'Re-identification')):
        print(f'{title}\n')
        for entry in catalogue().values():
            if entry.kind == kind:
                _show(entry)
    return 0


def _show(entry: Entry) -> None:
    print(f'  {entry.name}{"  (default)" if entry.name in DEFAULTS else ""}')
    print(f'    {entry.about} {entry.licence}.')
    for precision in (*entry.releases, QUANTIZED):
        path = _installed(entry, precision)
        state = str(path.parent) if path else 'not installed'
        if precision in entry.releases:
            files = entry.releases[precision][0].files.values()
            size = f'{sum(facts.size for facts in files) / 1e6:.1f} MB'
        elif path:
            size = 'made here'
        else:
            continue
        print(f'    {precision:<10}{size:>10}  {state}')
    print()


def download(options: argparse.Namespace) -> int:
    """Run ``models download``."""
    for name in options.names or DEFAULTS:
        entry = find_entry(name)
        precision = published_precision(entry, options.precision or default_precision(entry))
        if precision == QUANTIZED:
            raise ModelError(
                f'{name} is not published as {QUANTIZED}; make it with examples/quantize.py'
            )
        install_and_print(entry, precision, options.mirror)
    return 0


def install_and_print(entry: Entry, precision: str, mirror: str) -> None:
    """
    Install a model, and print the result.

    :raises DownloadError: see :func:`install`.
    """
    path, new = install(entry, precision, mirror)
    print(f'{entry.name} {precision}: {"installed in" if new else "is already in"} {path.parent}')
    used = find_model(entry.name, precision)
    if used != path:
        print(f'note: {used} is found before it, by PERSONTRACK_MODEL_PATH')


def verify(options: argparse.Namespace) -> int:
    """Run ``models verify``."""
    wanted = [
        (entry, precision)
        for entry in map(find_entry, options.names or catalogue())
        for precision in entry.releases
        if options.precision in (None, precision)
        and (_installed(entry, precision) or (options.names and options.precision))
    ]
    if not wanted:
        raise ModelError(
            f'{" and ".join(options.names) or "no model"} is not installed; '
            f'run "persontrack models download {" ".join(options.names)}"'
        )
    good = True
    for entry, precision in wanted:
        folder = find_model(entry.name, precision).parent
        try:
            releases = entry.releases[precision]
            state = f'ok, release {check_release(read_release(folder, releases), releases).name}'
        except ModelError as error:
            good = False
            state = f'BAD: {error}'
        print(f'{entry.name} {precision}: {state} ({folder})')
    return 0 if good else 1


def _installed(entry: Entry, precision: str) -> Optional[Path]:
    try:
        return find_model(entry.name, precision)
    except ModelError:
        return None
