"""
Entry of ``persontrack`` and of ``python -m persontrack_ros.cli``.

Importing OpenCV and OpenVINO takes a second. Here is what must work in that time, too.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; return its exit code, 2 for input it cannot work with."""
    try:
        from persontrack_ros.cli import commands

        return commands.main()
    except ModuleNotFoundError as error:
        print(
            f'persontrack: error: the Python module {error.name} is missing in {sys.executable}; '
            'see "On a robot" in the README for what to install',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        # The shells' code for a program ended by Ctrl-C; `run` catches it where it has results.
        return 130


if __name__ == '__main__':
    sys.exit(main())
