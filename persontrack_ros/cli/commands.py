"""The commands of ``persontrack``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn, Optional

import persontrack_ros
from persontrack_ros.cli import (
    bag,
    benchmark,
    compare,
    detect,
    devices,
    embed,
    evaluate,
    mask,
    models,
    run,
    sample_video,
    track,
    zones,
)
from persontrack_ros.cli.files import check_files, outputs_of
from persontrack_ros.core.base.errors import PersontrackError, without_passwords
from persontrack_ros.core.base.terminal import tqdm
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference

COMMANDS = (
    run,
    detect,
    track,
    evaluate,
    compare,
    embed,
    bag,
    mask,
    zones,
    models,
    devices,
    benchmark,
    sample_video,
)


class _Parser(argparse.ArgumentParser):
    """Parses arguments, and quotes no password."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        if message.startswith('unrecognized arguments: ') and ': -' not in message:
            message += '; a command takes one source: call it once for each'
        super().error(without_passwords(message))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog='persontrack',
        description='Track persons in videos and bags and compare them, without ROS.',
    )
    parser.add_argument(
        '--version', action='version', version=f'persontrack {persontrack_ros.__version__}'
    )
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for module in COMMANDS:
        module.add_parser(commands)
    _add_options(parser)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands with outputs have."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _add_options(command)
    if parser.get_default('writes') is None:
        return
    parser.add_argument(
        '--quiet', action='store_true', help='no progress bar, and no lines about what was written'
    )
    if parser.get_default('overwrite') is None:
        parser.add_argument(
            '--overwrite', action='store_true', help='replace outputs that exist already'
        )


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; return its exit code, 2 for unusable input."""
    parser = make_parser()
    with suppress(ImportError):
        # Completion of bash and zsh, where it is installed.
        import_module('argcomplete').autocomplete(parser)
    options = parser.parse_args(arguments)
    tqdm.quiet = quiet = getattr(options, 'quiet', False)
    use_one_thread_beside_inference()
    try:
        check_files(options)
        code = options.execute(options)
        sys.stdout.flush()
        for path in outputs_of(options):
            if path.exists() and not quiet:
                print(f'wrote {path}', file=sys.stderr)
        return code
    except PersontrackError as error:
        # Quotes in an error may have several lines.
        print('persontrack: error:', *str(error).split(), file=sys.stderr)
        return 2
    except OSError as error:
        # Files have their own errors; this one is from standard output. Python would fail at its
        # end with what is buffered.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            # The reader of our output, `head` for example, has seen enough.
            return 0
        where = error.filename or 'standard output'
        print(f'persontrack: error: {where}: {error.strerror}', file=sys.stderr)
        return 2
