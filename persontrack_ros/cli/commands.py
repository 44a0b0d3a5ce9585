"""The commands of ``persontrack``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, Optional

from persontrack_ros.cli import (
    bag,
    benchmark,
    compare,
    detect,
    devices,
    evaluate,
    mask,
    models,
    run,
    sample_video,
    track,
)
from persontrack_ros.cli.files import check_files
from persontrack_ros.core.base.errors import PersontrackError, without_passwords
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference

COMMANDS = (
    run,
    detect,
    track,
    evaluate,
    compare,
    bag,
    mask,
    models,
    devices,
    benchmark,
    sample_video,
)


class _Parser(argparse.ArgumentParser):
    """Parses arguments, and quotes no password."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        super().error(without_passwords(message))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; return its exit code, 2 for unusable input."""
    parser = _Parser(
        prog='persontrack',
        description='Track persons in videos and bags and compare them, without ROS.',
    )
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for module in COMMANDS:
        module.add_parser(commands)
    options = parser.parse_args(arguments)
    use_one_thread_beside_inference()
    try:
        check_files(options)
        code = options.execute(options)
        sys.stdout.flush()
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
