"""
``persontrack bag``: bags of ROS 2.

The commands import :mod:`persontrack_ros.bags` when they run: without the library rosbags, which
that is built on, all other commands work.
"""

from __future__ import annotations

import argparse

from persontrack_ros.cli.bag import compare, record, track

COMMANDS = (record, track, compare)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    parser = commands.add_parser(
        'bag',
        help='record, track and compare bags of ROS 2',
        description='Record, track and compare bags of ROS 2; no ROS is needed.',
    )
    subcommands = parser.add_subparsers(dest='bag_command', metavar='COMMAND', required=True)
    for module in COMMANDS:
        module.add_parser(subcommands)
