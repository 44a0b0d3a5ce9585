"""``persontrack bag play``: a bag as ROS topics, where there is no ``ros2 bag``."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from persontrack_ros.cli.bag.options import add_image_topic_option
from persontrack_ros.cli.options import absolute, count, rate
from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.parameters.node_arguments import node_arguments


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'play',
        help='publish the messages of a bag (needs ROS 2)',
        description='Publish the messages of a bag on their topics, when somebody listens to the '
        'images (or to anything, if the bag has none). Topics whose type is not installed are '
        'left out.',
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='folder, or .mcap or .db3 file')
    parser.add_argument(
        '--rate', type=rate, default=1.0, metavar='R', help='times the speed (default: 1)'
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--clock',
        type=rate,
        nargs='?',
        const=40.0,
        default=0.0,
        metavar='HZ',
        help='publish the time of the bag on /clock (default: 40 times a second)',
    )
    parser.add_argument(
        '--topics', nargs='+', metavar='TOPIC', help='publish these only (default: all)'
    )
    parser.add_argument(
        '--remap', nargs='+', default=[], metavar='OLD:=NEW', help='publish on other topics'
    )
    parser.add_argument(
        '--decode-images',
        action='store_true',
        help='publish compressed images as Image, on their topic without /compressed',
    )
    parser.add_argument('--no-wait', action='store_true', help='do not wait for subscribers')
    parser.add_argument(
        '--wait-for-tracker',
        action='store_true',
        help='publish an image only when the tracks of the one before it have come, so that none '
        'is dropped; the speed is not kept then',
    )
    add_image_topic_option(parser)
    parser.add_argument(
        '--max-frames', type=count, default=0, metavar='N', help='end after N images (0: never)'
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the command: become the node `bag_player`."""
    if find_spec('rclpy') is None:
        raise SettingsError(
            '`bag play` needs ROS 2, and there is no rclpy: source the setup.bash of a ROS 2'
        )
    parameters = {
        'bag': str(options.bag.absolute()),
        'rate': options.rate,
        'loop': options.loop,
        'clock': options.clock,
        'topics': ' '.join(map(absolute, options.topics)) if options.topics else 'all',
        'decode_images': options.decode_images,
        'wait': not options.no_wait,
        'wait_for_tracker': options.wait_for_tracker,
        'image_topic': options.image_topic or 'auto',
        'max_frames': options.max_frames,
    }
    command = [sys.executable, '-m', 'persontrack_ros.ros', 'bag_player']
    sys.stdout.flush()
    os.execv(sys.executable, command + node_arguments(parameters, options.remap))
