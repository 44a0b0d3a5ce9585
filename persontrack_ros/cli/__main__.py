"""
Entry of ``persontrack`` and of ``python -m persontrack_ros``.

Importing OpenCV and OpenVINO takes a second. This module handles signals and errors in that time.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Optional

# Packages whose names are not those of their modules.
_PACKAGES = {'cv2': 'opencv-python', 'PIL': 'pillow', 'yaml': 'pyyaml'}


def _end(number: int, frame: Optional[FrameType]) -> None:
    """End with the shells' exit code, but not before temporary files are removed."""
    sys.exit(128 + number)


def main() -> int:
    """Run the command line; return its exit code, 2 for unusable input."""
    # An interrupt inside a library that is being imported is an ImportError with a traceback;
    # and there is nothing to clean up yet. The code is the shells' for a program ended by Ctrl-C.
    handler = signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    try:
        from persontrack_ros.cli import commands

        signal.signal(signal.SIGINT, handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            # What is ignored, as by nohup, stays ignored.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)
        return commands.main()
    except ModuleNotFoundError as error:
        print(
            f'persontrack: error: the Python module {error.name} is missing: '
            f'"{sys.executable} -m pip install {_PACKAGES.get(str(error.name), error.name)}" '
            'installs it; on a robot, see "On a robot" in the README',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        # `run` catches it where it has results.
        return 130


if __name__ == '__main__':
    sys.exit(main())
