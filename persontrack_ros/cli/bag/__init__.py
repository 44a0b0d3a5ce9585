"""
``persontrack bag``: bags of ROS 2.

The commands import :mod:`persontrack_ros.bags` when they run, so that all other commands work
without the library rosbags.
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
        description='Record, track and compare bags of ROS 2, without ROS.',
    )
    subcommands = parser.add_subparsers(dest='bag_command', metavar='COMMAND', required=True)
    for module in COMMANDS:
        module.add_parser(subcommands)
