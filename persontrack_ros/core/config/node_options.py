"""
The parameters of nodes that are not those of the tracker, which are in the core.

ROS need not be installed to read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.settings import PARAMETERS, TF, Parameter, Settings
from persontrack_ros.core.media.encodings import MAX_MEGAPIXELS

# Values of `input`.
IMAGE = 'image'
IMAGE_AND_DETECTIONS = 'image+detections'
DETECTIONS = 'detections'

# The value of `detections.class_id` that takes detections of all classes.
ANY_CLASS = 'any'

# The default of `time.jump_threshold`, which holds where there is no node, too.
JUMP_THRESHOLD = 1.0

# The value of `target` that takes who is nearest.
NEAREST = 'nearest'

# The parameter of cameras_node; given to its process, it reaches the trackers there, too.
CAMERAS = 'cameras'


def camera_names(text: str) -> list[str]:
    """
    Return the names in the parameter `cameras`.

    :raises SettingsError: if there is none, or they are no different names of namespaces.
    """
    names = text.split()
    if not names:
        raise SettingsError('cameras is empty: name at least one')
    for name in names:
        # ROS allows about 250 letters for the name of a topic, in which this is a part.
        if not re.fullmatch(r'(?!.*__)[A-Za-z_]\w{0,99}', name, re.ASCII) or names.count(name) > 1:
            raise SettingsError(f'cameras: {name[:100]!r} is no name of its own for a namespace')
    return names


# What is judged: name, whether low is bad, default of warn, largest value, when it is bad.
_JUDGED = (
    ('silence', False, 5.0, 3600.0, 'nothing came in for more than so many seconds'),
    (
        'latency',
        False,
        0.0,
        3600.0,
        'the 99 % quantile of the time from arrival to tracks is more than so many seconds',
    ),
    ('rate', True, 0.0, 1000.0, 'fewer than so many images are processed per second'),
)

# Of the node `person_tracker` alone.
NODE_PARAMETERS = (
    Parameter(
        'autostart',
        True,
        'Configure and activate at the start; switch it off where a lifecycle manager does that.',
    ),
    Parameter(
        'input',
        IMAGE,
        'What is subscribed: image; image+detections, where detections of another node replace '
        'those of the built-in detector if detector.model is none, and are added to them if not; '
        'or detections alone, without images.',
        choices=(IMAGE, IMAGE_AND_DETECTIONS, DETECTIONS),
    ),
    Parameter(
        'image_transport',
        'raw',
        'raw: image_raw is subscribed; compressed: image_raw/compressed.',
        choices=('raw', 'compressed'),
    ),
    Parameter(
        'depth',
        False,
        'Subscribe to depth_image, which has to be registered to the images, and to camera_info; '
        'publish tracks_3d and markers.',
    ),
    Parameter(
        'depth_tolerance',
        0.05,
        'Largest difference of the stamps of an image and its depth image; seconds.',
        minimum=0.0,
        maximum=10.0,
    ),
    Parameter(
        'target_frame',
        '',
        'Frame of tracks_3d and markers, which tf knows, stands still and has z up, such as odom '
        'or map: boxes are upright in it, and persons have a velocity; empty: the frame of the '
        'camera.',
    ),
    Parameter(
        'target',
        '',
        'Whom target_pose follows: the id of a track, until ids begin anew; nearest, who is '
        'nearest when it is set, until they are lost for good; or nobody where it is empty. '
        'Needs depth and target_frame.',
        runtime=True,
    ),
    Parameter(
        'detections.class_id',
        'person',
        'Of the detections of another node, those of this class are tracked; any: all.',
        runtime=True,
    ),
    Parameter(
        'max_megapixels',
        MAX_MEGAPIXELS,
        'Compressed images of more pixels are skipped: a small file can hold an image that fills '
        'the memory.',
        minimum=0.01,
        maximum=1000.0,
        runtime=True,
    ),
    Parameter(
        'jpeg_quality',
        80,
        'Quality of annotated_image/compressed.',
        minimum=1,
        maximum=100,
        runtime=True,
    ),
    Parameter(
        'state_file',
        '',
        'File of the services ~/save_state and ~/load_state; they refuse where it is empty.',
        runtime=True,
    ),
    Parameter(
        'time.jump_threshold',
        JUMP_THRESHOLD,
        'Stamps (or the ROS clock) that go back by more than this reset the tracker; seconds.',
        minimum=0.0,
        maximum=3600.0,
        runtime=True,
    ),
    Parameter(
        'time.restart_ids',
        False,
        'Ids start at 1 again when time goes back, instead of continuing upward.',
        runtime=True,
    ),
    *(
        Parameter(
            f'diagnostics.{name}_{level}',
            default if level == 'warn' else 0.0,
            f'Level {level.upper()} where {bad}; 0: never.',
            minimum=0.0,
            maximum=maximum,
            runtime=True,
        )
        for name, _, default, maximum, bad in _JUDGED
        for level in ('warn', 'error')
    ),
)


# Of the node `video_publisher`.
PUBLISHER_PARAMETERS = (
    Parameter(
        'source',
        '0',
        'Video file, folder of images, camera (number or device), or URL of a stream.',
    ),
    Parameter(
        'rate',
        0.0,
        'Images per second; 0 means at the times that the source says.',
        minimum=0.0,
        maximum=1000.0,
    ),
    Parameter('loop', False, 'Start again at the end of a file or folder.'),
    Parameter('flip', False, 'Mirror the images left to right.'),
    Parameter(
        'skip_frames', 0, 'Number of first images to leave out.', minimum=0, maximum=1_000_000
    ),
    Parameter(
        'max_frames', 0, 'End after this number of images; 0: never.', minimum=0, maximum=1_000_000
    ),
    Parameter(
        'width',
        0,
        'Scale the images to this width in pixels; 0 keeps it, or the aspect ratio if a height is '
        'given.',
        minimum=0,
        maximum=16384,
    ),
    Parameter('height', 0, 'The same for the height.', minimum=0, maximum=16384),
    Parameter('frame_id', 'camera', 'The frame_id of the images.'),
    Parameter(
        'stamps',
        'clock',
        'Stamp of the images: the ROS clock when they are published, or the own time of the '
        'source, from 0 at its start.',
        choices=('clock', 'source'),
    ),
    Parameter(
        'wait_for_tracker',
        False,
        'Publish an image only when the tracks of the one before it have come, so that none is '
        'dropped; rate is not kept then.',
    ),
)


def target_id(target: str) -> Optional[int]:
    """Return the id of the track that a value of `target` names; None if it names none."""
    # As they are published: 007 is no id, and 20 digits are none.
    if not (target.isascii() and target.isdecimal()) or target[0] == '0' or len(target) > 18:
        return None
    return int(target)


def check_options(options: Mapping[str, Any]) -> None:
    """
    Check what the parameters of the node mean together.

    :raises SettingsError: if an error would come before its warning, or depth
        lacks images.
    """
    if options['depth'] and options['input'] == DETECTIONS:
        raise SettingsError('depth belongs to images: it cannot be used where input is detections')
    target = options['target']
    if target not in ('', NEAREST) and target_id(target) is None:
        raise SettingsError(f'target: {target!r} is neither the id of a track nor {NEAREST}')
    if target and not (options['depth'] and options['target_frame']):
        raise SettingsError('target needs to know where persons are: set depth and target_frame')
    for name, low, *_ in _JUDGED:
        warn, error = (options[f'diagnostics.{name}_{level}'] for level in ('warn', 'error'))
        if warn and error and (error > warn if low else error < warn):
            raise SettingsError(
                f'diagnostics.{name}_error ({error:g}) must not be {"above" if low else "below"} '
                f'diagnostics.{name}_warn ({warn:g})'
            )


def _check_frame(options: Mapping[str, Any], settings: Settings) -> None:
    """
    Check the fixed frame.

    :raises SettingsError: if there is none and tf is needed, or one that is not.
    """
    frame = options['target_frame']
    if frame.startswith('/'):
        raise SettingsError(
            f'target_frame: tf2 knows no frames that begin with a slash: {frame[1:]!r} '
            f'instead of {frame!r}'
        )
    by_tf = settings.tracker.camera_motion == TF
    if by_tf and not options['target_frame']:
        raise SettingsError(
            'tracker.camera_motion: tf needs a frame that stands still: set target_frame'
        )
    if options['target_frame'] and not (options['depth'] or by_tf):
        raise SettingsError(
            'target_frame is that of tracks_3d and markers: set depth as well, or '
            'tracker.camera_motion: tf'
        )


_DEFAULTS = {one.name: one.default for one in NODE_PARAMETERS}
# All parameters of the node, by name.
DECLARED = {one.name: one for one in (*NODE_PARAMETERS, *PARAMETERS)}


class Configuration(NamedTuple):
    """
    The values of all parameters of the node `person_tracker`, checked together.

    :ivar settings: those of the tracker.
    :ivar options: those of the node alone, by dotted name.
    """

    settings: Settings = Settings()
    options: Mapping[str, Any] = _DEFAULTS

    def changed(self, values: Mapping[str, Any]) -> Configuration:
        """
        Return a configuration with other values, by dotted name.

        :raises SettingsError: if one is not allowed, or they contradict each other.
        """
        own = {one.name: one for one in NODE_PARAMETERS}
        options = {
            **self.options,
            **{name: own[name].check(value) for name, value in values.items() if name in own},
        }
        check_options(options)
        others = {name: value for name, value in values.items() if name not in own}
        settings = Settings.from_values(others, base=self.settings)
        if settings.detector.ignore and options['input'] == DETECTIONS:
            raise SettingsError(
                'detector.ignore belongs to images: it cannot be used where input is detections'
            )
        _check_frame(options, settings)
        return Configuration(settings, options)

    @property
    def values(self) -> dict[str, Any]:
        """All values by dotted name."""
        return {**self.options, **self.settings.values()}
