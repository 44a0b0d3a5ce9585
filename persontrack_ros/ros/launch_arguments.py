"""The arguments of the launch files; launch itself need not be installed to read them."""

from __future__ import annotations

from typing import NamedTuple, Optional

from persontrack_ros.core.config.node_options import PUBLISHER_PARAMETERS


class Argument(NamedTuple):
    """
    Declaration of an argument.

    :ivar default: None where it has to be given.
    :ivar choices: the allowed texts; empty where any text is.
    """

    description: str
    default: Optional[str] = ''
    choices: tuple[str, ...] = ()


_BOOL = ('true', 'false', 'True', 'False')

# Of persontrack.launch.py; the others have them too.
TRACKER = {
    'namespace': Argument('Namespace of the node and of its topics.'),
    'params_file': Argument(
        'Parameter file (YAML) of the node; empty: the defaults, or what an including launch file '
        'sets with SetParameter.'
    ),
    'camera': Argument(
        'Name of the camera, as /camera/camera: image, depth and camera_info are below it, but '
        'those that begin with a slash.'
    ),
    'image': Argument('Topic of the images, as /camera/image_raw.', 'image_raw'),
    'image_transport': Argument(
        'How the images come: raw, or compressed on the topic image/compressed; empty: as in '
        'params_file.',
        choices=('', 'raw', 'compressed'),
    ),
    'depth': Argument(
        'Topic of depth images that are registered to the images; with them, tracks_3d and '
        'markers are published. Empty: as in params_file.'
    ),
    'camera_info': Argument(
        'Topic of the calibration, needed with depth; empty: camera_info beside the images.'
    ),
    'target_frame': Argument(
        'Frame of the 3D positions, such as odom, and fixed frame of rviz2; empty: as in '
        'params_file.'
    ),
    'follow': Argument(
        'Person to follow, as the parameter target, such as nearest. It sets '
        'tracker.camera_motion: tf as well, and publishes target_pose as goal_update, as Nav2 '
        'takes it; needs depth and target_frame. Empty: as in params_file.'
    ),
    'zones_file': Argument('File of lines and zones; empty: as in params_file.'),
    'use_sim_time': Argument(
        'Take the time from /clock; empty: as in params_file.', choices=('', *_BOOL)
    ),
    'autostart': Argument(
        'Configure and activate the node at the start; empty: as in params_file.',
        choices=('', *_BOOL),
    ),
    'respawn': Argument(
        'Start the tracker again, 2 s after it ended for whatever reason but Ctrl-C; then no node '
        'that ends with an error ends the others.',
        'false',
        _BOOL,
    ),
    'log_level': Argument(
        'Log messages of this level and above, of the nodes and not of the libraries below them.',
        'info',
        ('debug', 'info', 'warn', 'error', 'fatal'),
    ),
    'rviz': Argument('Start rviz2 with image, boxes and trails as well.', 'false', _BOOL),
    'fixed_frame': Argument(
        'Fixed frame of rviz2: the frame_id of the images, or a frame that tf knows; empty: '
        'target_frame, or camera where that is empty, too.'
    ),
}

# What video.launch.py has besides: the parameters of the video_publisher.
VIDEO = {
    one.name: Argument(
        one.description,
        str(one.default).lower() if one.type is bool else str(one.default),
        _BOOL if one.type is bool else one.choices,
    )
    for one in PUBLISHER_PARAMETERS
}

# What cameras.launch.py has besides. Topics are relative to the namespace of each camera there.
CAMERAS = {
    'cameras': Argument(
        'Names of the cameras, separated by spaces; each is a namespace.', default=None
    )
}
