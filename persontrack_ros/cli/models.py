"""``persontrack models``: list, install, check and quantize models."""

from __future__ import annotations

import argparse
import os

from persontrack_ros.cli.options import positive
from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.inference import quantize
from persontrack_ros.core.inference.catalogue import (
    DEFAULT_DETECTOR,
    DEFAULT_PRECISION,
    DEFAULT_REID,
    QUANTIZED,
    catalogue,
)
from persontrack_ros.core.inference.download import MIRROR_VARIABLE, install
from persontrack_ros.core.inference.files import (
    check_release,
    default_precision,
    find_model,
    installed,
    published_precision,
    read_release,
    unknown,
)

DEFAULTS = (DEFAULT_DETECTOR, DEFAULT_REID)
PRECISIONS = ('FP32', 'FP16', 'FP16-INT8', QUANTIZED)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'models',
        help='list, download, verify and quantize models',
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
    action.add_argument(
        '--precision', choices=PRECISIONS, help='precision of the weights (default: FP16)'
    )
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
        'release. The exit code is 1 if one differs.',
    )
    action.set_defaults(execute=verify)

    action = actions.add_parser(
        'quantize',
        help='make an INT8 version of a detector (needs NNCF)',
        description='Make an INT8 version of a detector with NNCF (pip install nncf), into the '
        f'cache of the user as precision {QUANTIZED}. It is compared with the original on the '
        'last fifth of each video, which is not used for calibration, and not installed if it '
        'does not agree.',
    )
    action.add_argument('name', metavar='NAME', help='name or path of a detector')
    action.add_argument(
        '--calibration',
        nargs='+',
        required=True,
        metavar='VIDEO',
        help='videos like those of the camera: hours, weather and distances',
    )
    action.add_argument(
        '--images', type=positive, default=200, metavar='N', help='number of images (default: 200)'
    )
    action.add_argument('--device', default='CPU', help='device to compare on (default: CPU)')
    action.set_defaults(execute=make_int8)


def show_list(options: argparse.Namespace) -> int:
    """Run ``models list``."""
    for kind, title in (('detector', 'Person detection'), ('reid', 'Re-identification')):
        print(f'{title}\n')
        for entry in catalogue().values():
            if entry.kind != kind:
                continue
            print(f'  {entry.name}{"  (default)" if entry.name in DEFAULTS else ""}')
            print(f'    {entry.about} {entry.licence}.')
            for precision in (*entry.releases, QUANTIZED):
                path = installed(entry, precision)
                size = 'made here'
                if precision in entry.releases:
                    files = entry.releases[precision][0].files.values()
                    size = f'{sum(facts.size for facts in files) / 1e6:.1f} MB'
                elif path is None:
                    continue
                print(f'    {precision:<10}{size:>10}  {path.parent if path else "not installed"}')
            print()
    return 0


def download(options: argparse.Namespace) -> int:
    """Run ``models download``."""
    for name in options.names or DEFAULTS:
        entry = catalogue().get(name)
        if entry is None:
            raise ModelError(unknown(name))
        precision = published_precision(entry, options.precision or default_precision(entry))
        if precision == QUANTIZED:
            raise ModelError(
                f'{name} is not published as {QUANTIZED}; make it with "persontrack models '
                f'quantize {name} --calibration VIDEO"'
            )
        path, new = install(entry, precision, options.mirror)
        print(f'{name} {precision}: {"installed in" if new else "is already in"} {path.parent}')
    return 0


def verify(options: argparse.Namespace) -> int:
    """Run ``models verify``."""
    good = True
    for entry in catalogue().values():
        for precision, releases in entry.releases.items():
            path = installed(entry, precision)
            if path is None:
                continue
            try:
                release = check_release(read_release(path.parent, releases), releases)
                state = f'ok, release {release.name}'
            except ModelError as error:
                good = False
                state = f'BAD: {error}'
            print(f'{entry.name} {precision}: {state} ({path.parent})')
    return 0 if good else 1


def make_int8(options: argparse.Namespace) -> int:
    """Run ``models quantize``."""
    entry = catalogue().get(options.name)
    if entry:
        published_precision(entry, QUANTIZED)
    path = find_model(options.name, DEFAULT_PRECISION)
    made, report = quantize.quantize(path, options.device, options.calibration, options.images)
    print(f'{report}\nwritten to {made}')
    print(f'to use it, set detector.model to {path.stem} and detector.precision to {QUANTIZED}')
    return 0
