"""
Entries of the executables of the nodes.

Importing ROS, OpenCV and OpenVINO takes a second, and Ctrl-C is quiet there too: therefore this
module sets up the handler before it imports them.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading

from persontrack_ros.core.base.errors import PersontrackError, one_line
from persontrack_ros.ros.memory import check_space, keep_freed_memory


def tracker_node() -> int:
    """Run the node `person_tracker`."""
    return _run('tracker_node')


def cameras_node() -> int:
    """Run a node `person_tracker` for each of several cameras."""
    return _run('cameras_node')


def video_publisher() -> int:
    """Run the node `video_publisher`."""
    return _run('video_publisher')


def _run(node: str) -> int:
    # Until ROS takes over, there is nothing to clean up.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(0))
    keep_freed_memory()
    code = _main(node)
    if any(thread.name == 'tracker worker' for thread in threading.enumerate()):
        # It hangs within OpenVINO, where Python would wait for it, or crash.
        sys.stderr.flush()
        os._exit(code)
    return code


def _main(node: str) -> int:
    try:
        check_space()
        return importlib.import_module(f'persontrack_ros.ros.nodes.{node}').main()
    except ModuleNotFoundError as error:
        print(
            f'{node}: error: the Python module {error.name} is missing in {sys.executable}; '
            'see "On a robot" in the README for what to install',
            file=sys.stderr,
        )
        return 2
    except Exception as error:  # noqa: BLE001 - any error ends in one line and an exit code
        print(f'{node}: error: {one_line(error)}', file=sys.stderr)
        return 2 if isinstance(error, PersontrackError) else 1


if __name__ == '__main__':
    sys.exit(_run(sys.argv.pop(1)))
