"""
The parameters that only nodes have, in addition to those of the tracker.

This module works without ROS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.settings import NONE, PARAMETERS, TF, Parameter, Settings
from persontrack_ros.core.media.encodings import MAX_MEGAPIXELS

# Values of `input`.
IMAGE = 'image'
IMAGE_AND_DETECTIONS = 'image+detections'
DETECTIONS = 'detections'

# The value of `detections.class_id` that takes detections of all classes.
ANY_CLASS = 'any'

# The default of `time.jump_threshold`, also used without a node.
JUMP_THRESHOLD = 1.0

# Values of `target`, besides ids: the nearest person, the one in the middle of the image, and
# files with this suffix.
NEAREST = 'nearest'
MIDDLE = 'middle'
EMBEDDING_SUFFIX = '.npz'

# The parameter of cameras_node; set for its process, it reaches the trackers in it, too.
CAMERAS = 'cameras'


def camera_names(text: str) -> list[str]:
    """
    Return the names in the parameter `cameras`.

    :raises SettingsError: if there is none, or they are not distinct, valid namespaces.
    """
    names = text.split()
    if not names:
        raise SettingsError('cameras is empty: name at least one')
    for name in names:
        # ROS allows about 250 characters for a topic name, which contains this name.
        if not re.fullmatch(r'(?!.*__)[A-Za-z_]\w{0,99}', name, re.ASCII) or names.count(name) > 1:
            raise SettingsError(f'cameras: {name[:100]!r} is no valid namespace, or occurs twice')
    return names


# Of the node `person_tracker` alone.
NODE_PARAMETERS = (
    Parameter(
        'autostart',
        True,
        'Configure and activate at the start; set it to false if a lifecycle manager does that.',
    ),
    Parameter(
        'input',
        IMAGE,
        'Subscriptions: image; image+detections, where detections of another node replace '
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
        'Subscribe to depth_image, which must be registered to the images, and to camera_info; '
        'publish tracks_3d and markers.',
    ),
    Parameter(
        'depth_tolerance',
        0.05,
        'Largest difference of the stamps of an image and its depth image; seconds.',
        limits=(0.0, 10.0),
    ),
    Parameter(
        'rectified',
        False,
        'The images are rectified: P of camera_info is used, instead of K and D.',
    ),
    Parameter(
        'target_frame',
        '',
        'Fixed frame of tracks_3d and markers, known to tf and with z up, such as odom '
        'or map: boxes are upright in it, and persons have a velocity; empty: the frame of the '
        'camera.',
    ),
    Parameter(
        'target',
        '',
        'Person to follow: the id of a track, until ids begin anew; nearest (without depth: '
        'largest) or middle (of the image), the person who is that when it is set, until they '
        'are lost for good; a file of persontrack embed (.npz), the person in its picture; '
        'empty: none.',
        runtime=True,
    ),
    Parameter(
        'target_tf',
        False,
        'Publish the frame target on tf beside target_pose; needs depth and target_frame.',
    ),
    Parameter(
        'zones_file',
        '',
        'File of lines and zones (YAML, docs/zones.md): who crosses and enters them is published '
        'and counted; empty: none.',
    ),
    Parameter(
        'hri',
        False,
        'Publish bodies and, with tracker.remember, persons on /humans, as REP 155 (ROS4HRI) '
        'describes; needs images and hri_msgs.',
    ),
    Parameter(
        'detections.class_id',
        'person',
        'Class of the detections of another node that are tracked; any: all classes.',
        runtime=True,
    ),
    Parameter(
        'max_megapixels',
        MAX_MEGAPIXELS,
        'Compressed images of more pixels are skipped: a small file can hold an image that fills '
        'the memory.',
        limits=(0.01, 1000.0),
        runtime=True,
    ),
    Parameter(
        'jpeg_quality',
        80,
        'Quality of annotated_image/compressed.',
        limits=(1, 100),
        runtime=True,
    ),
    Parameter(
        'inference.cores',
        0.0,
        'Cores that the node may use in the mean, all cameras of a cameras_node together: it '
        'chooses the best detector.pattern that fits, and drops frames where none does; 0: no '
        'limit.',
        limits=(0.0, 1024.0),
        runtime=True,
    ),
    Parameter(
        'state_file',
        '',
        'File of the services ~/save_state and ~/load_state; they fail if it is empty.',
        runtime=True,
    ),
    Parameter(
        'time.jump_threshold',
        JUMP_THRESHOLD,
        'Stamps that go back by more than this reset the tracker; seconds.',
        limits=(0.0, 3600.0),
        runtime=True,
    ),
    *(
        Parameter(
            f'diagnostics.silence_{level}',
            default,
            f'Level {level.upper()} where no image arrived for more than this number of seconds; '
            '0: never.',
            limits=(0.0, 3600.0),
            runtime=True,
        )
        for level, default in (('warn', 5.0), ('error', 0.0))
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
        'Images per second; 0 uses the times of the source.',
        limits=(0.0, 1000.0),
    ),
    Parameter('loop', False, 'Start again at the end of a file or folder.'),
    Parameter('flip', False, 'Mirror the images left to right.'),
    Parameter('skip_frames', 0, 'Number of first images to leave out.', limits=(0, 1_000_000)),
    Parameter(
        'max_frames', 0, 'End after this number of images; 0: never.', limits=(0, 1_000_000)
    ),
    Parameter(
        'width',
        0,
        'Scale the images to this width in pixels; 0 keeps it, or the aspect ratio if a height is '
        'given.',
        limits=(0, 16384),
    ),
    Parameter('height', 0, 'The same for the height.', limits=(0, 16384)),
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
        'Publish an image only when the tracks of the last one have arrived, so that none is '
        'dropped; rate is not kept then.',
    ),
)


def target_id(target: str) -> Optional[int]:
    """Return the id in a value of `target`; None if it is no id."""
    # As published: 007 is no id, and neither are 20 digits.
    if not (target.isascii() and target.isdecimal()) or target[0] == '0' or len(target) > 18:
        return None
    return int(target)


def check_options(options: Mapping[str, Any], settings: Settings = Settings()) -> None:
    """
    Check the parameters of the node and those of the tracker for contradictions.

    :raises SettingsError: if two of them contradict each other.
    """
    images = options['input'] != DETECTIONS
    frame, target = options['target_frame'], options['target']
    by_tf = settings.tracker.camera_motion == TF
    rules: list[tuple[Any, str]] = [
        (not images and options['depth'], 'depth needs images: not with input: detections'),
        (
            options['hri'] and not (images and settings.tracker.algorithm != NONE),
            'hri needs images and tracks: not with input: detections or tracker.algorithm: none',
        ),
        (
            not images and settings.detector.ignore,
            'detector.ignore needs images: not with input: detections',
        ),
        (
            target not in ('', NEAREST, MIDDLE)
            and target_id(target) is None
            and not target.endswith(EMBEDDING_SUFFIX),
            f'target: {target!r} is neither the id of a track, {NEAREST}, {MIDDLE}, nor a file of '
            f'persontrack embed ({EMBEDDING_SUFFIX})',
        ),
        (
            target == MIDDLE and not images,
            f'target: {MIDDLE} needs images: not with input: detections',
        ),
        (
            target and settings.tracker.algorithm == NONE,
            'target needs tracks: not with tracker.algorithm: none',
        ),
        (
            options['target_tf'] and not (options['depth'] and frame),
            'target_tf needs 3D positions: set depth and target_frame',
        ),
        (
            frame.startswith('/'),
            f'target_frame: frames of tf2 have no slash at their beginning: {frame!r}',
        ),
        (by_tf and not frame, 'tracker.camera_motion: tf needs a fixed frame: set target_frame'),
        (
            frame and not (options['depth'] or by_tf),
            'target_frame is the frame of tracks_3d and markers: set depth as well, or '
            'tracker.camera_motion: tf',
        ),
        (
            options['inference.cores'] and settings.detector.pattern != 'auto',
            'inference.cores chooses the pattern: leave detector.pattern at auto, or set '
            'inference.cores to 0',
        ),
    ]
    for broken, text in rules:
        if broken:
            raise SettingsError(text)


_DEFAULTS = {one.name: one.default for one in NODE_PARAMETERS}
# All parameters of the node, by name.
DECLARED = {one.name: one for one in (*NODE_PARAMETERS, *PARAMETERS)}


class Configuration(NamedTuple):
    """
    The values of all parameters of the node `person_tracker`, checked together.

    :ivar settings: parameters of the tracker.
    :ivar options: other parameters of the node, by dotted name.
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
        others = {name: value for name, value in values.items() if name not in own}
        settings = Settings.from_values(others, base=self.settings)
        check_options(options, settings)
        return Configuration(settings, options)

    @property
    def values(self) -> dict[str, Any]:
        """All values by dotted name."""
        return {**self.options, **self.settings.values()}
