"""The arguments of the launch files; launch itself need not be installed to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Argument:
    """
    Declaration of an argument.

    :ivar default: None where it has to be given.
    :ivar choices: the allowed texts; empty where any text is.
    """

    name: str
    description: str
    default: Optional[str] = ''
    choices: tuple[str, ...] = ()


_BOOL = ('true', 'false', 'True', 'False')

# Of persontrack.launch.py; the others have them too.
TRACKER = (
    Argument('namespace', 'Namespace of the node and of its topics.'),
    Argument('params_file', "Parameter file (YAML) of the node; empty: the package's own."),
    Argument('image', 'Topic of the images, as /camera/image_raw.', 'image_raw'),
    Argument(
        'image_transport',
        'How the images come: raw, or compressed on the topic image/compressed; empty: as in '
        'params_file.',
        choices=('', 'raw', 'compressed'),
    ),
    Argument(
        'depth',
        'Topic of depth images that are registered to the images; with them, tracks_3d and '
        'markers are published. Empty: as in params_file.',
    ),
    Argument(
        'camera_info',
        'Topic of the calibration, needed with depth; empty: camera_info beside the images.',
    ),
    Argument(
        'use_sim_time', 'Take the time from /clock; empty: as in params_file.', '', ('', *_BOOL)
    ),
    Argument(
        'autostart',
        'Configure and activate the node at the start; empty: as in params_file.',
        '',
        ('', *_BOOL),
    ),
    Argument(
        'log_level',
        'Log messages of this level and above.',
        'info',
        ('debug', 'info', 'warn', 'error', 'fatal'),
    ),
    Argument('rviz', 'Start rviz2 with image, boxes and trails as well.', 'false', _BOOL),
)

# What cameras.launch.py has besides. Topics are relative to the namespace of each camera there.
CAMERAS = (
    Argument(
        'cameras', 'Names of the cameras, separated by spaces; each is a namespace.', default=None
    ),
)
