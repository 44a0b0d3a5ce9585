"""
``persontrack bag``: bags of ROS 2.

The commands import :mod:`persontrack_ros.bags` when they run: without the library rosbags, which
that is built on, all other commands work.
"""

from __future__ import annotations

import argparse

from persontrack_ros.cli.bag import compare, play, record, track

COMMANDS = (record, track, play, compare)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    parser = commands.add_parser(
        'bag',
        help='record, track, play and compare bags of ROS 2',
        description='Record, track, play and compare bags of ROS 2. Only `play` needs ROS itself.',
    )
    subcommands = parser.add_subparsers(dest='bag_command', metavar='COMMAND', required=True)
    for module in COMMANDS:
        module.add_parser(subcommands)
