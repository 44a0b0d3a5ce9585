"""Options of several commands."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from persontrack_ros.core.base.errors import SettingsError, warn
from persontrack_ros.core.base.reading import parse_yaml
from persontrack_ros.core.config.parameter_file import DEFAULT_NODE, read_settings
from persontrack_ros.core.config.settings import NONE, Settings
from persontrack_ros.core.inference.catalogue import catalogue
from persontrack_ros.core.inference.embedder import COLOR

SOURCE = (
    'video file, folder of images, number of a camera or path of its device, or URL of a stream '
    '(http, rtsp and others that FFmpeg knows)'
)

# Suffixes of outputs.
TRACKS = ('.txt', '.csv')
PAGE = ('.html',)


def number(low: float, high: float = math.inf, kind: type = int) -> Callable[[str], Any]:
    """Return a function that converts an option that is a number in a range, for argparse."""

    def convert(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError('not in the range')
        return value

    convert.__name__ = f'number from {low:g}'
    return convert


count = number(0)
positive = number(1)
rate = number(0.001, 1000, float)


def assignment(text: str) -> tuple[str, Any]:
    """Convert an option NAME=VALUE with a YAML value, for argparse."""
    name, equals, value = text.partition('=')
    if not equals:
        raise ValueError('no =')
    return name, parse_yaml(value)


def absolute(name: str) -> str:
    """Return the full name of a node or topic, with its leading slash."""
    return f'/{name.strip("/")}'


def add_max_frames_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that limits the number of images."""
    parser.add_argument(
        '--max-frames', type=count, default=0, metavar='N', help='end after N images (0: never)'
    )


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the replay of stored detections."""
    parser.add_argument(
        '--offline',
        action='store_true',
        help='use the whole video for each image: join, smooth and complete the tracks at its end',
    )
    parser.add_argument(
        '--every', type=positive, default=1, metavar='N', help='use every N-th frame only'
    )
    parser.add_argument(
        '--rate',
        type=rate,
        metavar='FPS',
        help='frames per second of the detections (default: the rate of the file, else 10)',
    )


def add_image_topic_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the images of a bag."""
    parser.add_argument(
        '--image-topic',
        metavar='TOPIC',
        help='topic of the images, compressed or not (default: the only one not annotated)',
    )


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that set parameters."""
    parser.add_argument(
        '--device',
        help='OpenVINO device for both models: AUTO, CPU, GPU, NPU (default: AUTO, or the '
        'value of the parameter file)',
    )
    parser.add_argument(
        '--params',
        type=Path,
        metavar='FILE',
        help='parameter file of the node (YAML), see config/persontrack.yaml',
    )
    parser.add_argument(
        '--node',
        type=absolute,
        help='full name of the node whose values are taken from FILE, for example '
        f'/front/person_tracker (default: {DEFAULT_NODE} or, where FILE has nothing for that, the '
        'only other person_tracker in it)',
    )
    parser.add_argument(
        '--set',
        type=assignment,
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='one parameter, for example reid.model=color; overrides --params',
    )


def settings_from(options: argparse.Namespace) -> Settings:
    """
    Return the parameters set by the options.

    :raises SettingsError: if the parameter file is wrong.
    """
    if options.node and not options.params:
        raise SettingsError('--node chooses a node of a parameter file: give --params too')
    settings = read_settings(options.params, warn, options.node) if options.params else Settings()
    values: dict[str, Any] = dict(options.set)
    if options.device:
        values = {'detector.device': options.device, 'reid.device': options.device, **values}
    for name in ('detector.model', 'reid.model'):
        # Names of models are taken in any case; paths are not.
        if str(values.get(name, '')).lower() in (NONE, COLOR, *catalogue()):
            values[name] = values[name].lower()
    return Settings.from_values(values, base=settings)
