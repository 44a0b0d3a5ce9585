"""
The parameters of the tracker: the only declaration of their names, defaults and ranges.

The node's ROS parameters, the YAML file, the command line and the tables in docs/nodes are all
made from, or checked against, this module.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union, cast

from persontrack_ros.core.base.errors import SettingsError

Value = Union[bool, int, float, str]


@dataclass(frozen=True)
class Parameter:
    """
    Declaration of one parameter.

    :ivar name: dotted name, for example ``tracker.max_age``.
    :ivar default: its type is the type of the parameter.
    :ivar limits: smallest and largest allowed number, of every parameter that is a number.
    :ivar choices: allowed texts; empty if any text is allowed.
    :ivar runtime: whether it can change while the tracker runs.
    """

    name: str
    default: Value
    description: str
    limits: tuple[float, float] = (0, 0)
    choices: tuple[str, ...] = ()
    runtime: bool = False

    @property
    def type(self) -> type:
        """The Python type of the value."""
        return type(self.default)

    @property
    def allowed(self) -> str:
        """The allowed values in words; empty if all are allowed."""
        if self.choices:
            return ', '.join(self.choices)
        low, high = self.limits
        return f'{low:.10g} to {high:.10g}' if self.type in (int, float) else ''

    def check(self, value: Any) -> Value:
        """
        Return the value; an integer is converted where a float or a text is wanted.

        YAML reads 0 (a camera or a class) and 5 (for 5.0) as integers.

        :raises SettingsError: if it has another type or lies outside the range.
        """
        if type(value) is int and self.type in (float, str) and abs(value) < 2**64:
            value = self.type(value)
        if type(value) is not self.type:
            names = {bool: 'true or false', int: 'an integer', float: 'a number', str: 'a text'}
            raise SettingsError(f'{self.name}: {value!r} is not {names[self.type]}')
        if isinstance(value, str):
            # Names of choices and devices are taken in any case.
            value = next((each for each in self.choices if each.lower() == value.lower()), value)
            if self.name.endswith('.device'):
                value = value.upper()
        if self.choices and value not in self.choices:
            raise SettingsError(f'{self.name}: {value!r} is not one of {self.allowed}')
        if isinstance(value, (int, float)) and self.type is not bool:
            least, most = self.limits
            if not least <= value <= most:
                raise SettingsError(f'{self.name}: {value} is not in the range {self.allowed}')
        # A text may be empty only if that is the default; it then means "none".
        if self.type is str and not value and self.default:
            raise SettingsError(f'{self.name}: must not be empty')
        return cast(Value, value)


def no_such_parameter(name: str, known: Iterable[str]) -> str:
    """Return the error for an unknown parameter, with similar names."""
    names = list(known)
    near = [each for each in names if each.endswith(f'.{name}')]
    near = near or difflib.get_close_matches(name, names, n=1)
    return f'{name}: no such parameter' + (f'; did you mean {" or ".join(near)}?' if near else '')


def _parameter(default: Any, description: str, **options: Any) -> Any:
    """Declare a field of a settings class; its parameter is named after class and field."""
    return field(default=default, metadata={'description': description, **options})


# The value of `detector.model`, `reid.model` and `tracker.algorithm` that leaves this stage out.
NONE = 'none'

# The words of `detector.pattern`, besides NONE.
LARGE = 'large'
LIGHT = 'light'

# Other values of `tracker.camera_motion`.
AFFINE = 'affine'
TF = 'tf'

_PRECISIONS = ('FP32', 'FP16', 'FP16-INT8', 'INT8')
_DEVICE = (
    'OpenVINO device: AUTO, CPU, GPU, NPU or one of several as GPU.0; '
    'AUTO takes the best one there is, AUTO:NPU,CPU the first of these that there is; see '
    '`persontrack devices`.'
)


@dataclass(frozen=True)
class DetectorSettings:
    """Parameters ``detector.*``."""

    model: str = _parameter(
        'person-detection-0202',
        'Person detection model: a name that `persontrack models list` shows, a path, or none '
        '(the node then tracks the detections of another one, see input).',
    )
    precision: str = _parameter(
        'FP16',
        'Precision of the weights, the folder the model is taken from.',
        choices=_PRECISIONS,
    )
    device: str = _parameter('AUTO', _DEVICE)
    score_threshold: float = _parameter(
        0.0,
        'Detections below this confidence are ignored; 0 uses the threshold of the model, which '
        'is 0.5 for the default one.',
        limits=(0.0, 1.0),
        runtime=True,
    )
    light_model: str = _parameter(
        NONE,
        'A faster model, as detector.model, for the frames that detector.pattern gives it; none: '
        'there is none.',
    )
    pattern: str = _parameter(
        'auto',
        'The detector of each frame, in turn: large is detector.model, light is '
        'detector.light_model, and none predicts the tracks, which costs next to nothing; the '
        'first is large. "large none" detects in every second frame. auto: "large light" with a '
        'light model, otherwise large.',
        runtime=True,
    )
    skip_still: bool = _parameter(
        False,
        'If nothing changed in the image, the last detections are used again, for a second '
        'at most; for fixed cameras.',
        runtime=True,
    )
    ignore: str = _parameter(
        '',
        'Image file (white areas), or polygons in a YAML file that `persontrack mask` makes: '
        'persons who stand in these areas of the image are ignored; empty: no areas.',
    )

    @property
    def turns(self) -> tuple[str, ...]:
        """The words of the pattern."""
        if self.pattern == 'auto':
            return (LARGE,) if self.light_model == NONE else (LARGE, LIGHT)
        return tuple(self.pattern.split())


@dataclass(frozen=True)
class ReidSettings:
    """Parameters ``reid.*``."""

    model: str = _parameter(
        'person-reidentification-retail-0287',
        'Re-identification model: a name that `persontrack models list` shows, a path, color '
        '(colours of the clothes, without a model) or none (motion alone).',
    )
    precision: str = _parameter(
        'FP16',
        'Precision of the weights, the folder the model is taken from.',
        choices=_PRECISIONS,
    )
    device: str = _parameter('AUTO', _DEVICE)


@dataclass(frozen=True)
class InferenceSettings:
    """Parameters ``inference.*``, of all models."""

    hint: str = _parameter(
        'auto',
        'Optimize OpenVINO for the latency of one image or the throughput of many; auto: '
        'throughput for re-identification and where `persontrack run` reads a file, latency '
        'otherwise.',
        choices=('auto', 'latency', 'throughput'),
    )
    threads: int = _parameter(
        0,
        'CPU threads for each model; 0 uses what suits the hint, all cores.',
        limits=(0, 1024),
    )
    streams: int = _parameter(
        0,
        'Images that a CPU or GPU processes in parallel; 0 uses what suits the hint.',
        limits=(0, 1024),
    )
    precision: str = _parameter(
        'auto',
        'Arithmetic: auto is the fastest on the device, bf16 on newer CPUs and f16 on GPUs; '
        'f32 gives the same tracks on every CPU.',
        choices=('auto', 'f32', 'f16', 'bf16'),
    )
    cache_dir: str = _parameter(
        'auto',
        'Directory of compiled models, which shorten the next start; auto is one in the cache of '
        'the user, none keeps nothing.',
    )


@dataclass(frozen=True)
class TrackerSettings:
    """
    Parameters ``tracker.*``.

    The description of a parameter of only one algorithm begins with the name of the algorithm.
    """

    algorithm: str = _parameter(
        'persistent',
        'Tracking algorithm: persistent keeps ids best; deep_sort is the algorithm of the paper; '
        'none: the node only detects.',
        choices=('persistent', 'deep_sort', NONE),
    )
    camera_motion: str = _parameter(
        'none',
        'affine: shift, rotation and zoom of a moving camera are estimated from the background, '
        'which takes 1 to 3 ms per image; tf: the rotation of the camera in target_frame, from tf '
        '(only in the node); none: the camera stands still.',
        choices=('none', AFFINE, TF),
    )
    n_init: int = _parameter(
        3,
        'A track is confirmed, and published, from this number of detections in a row on; '
        'persistent confirms some earlier.',
        limits=(1, 1000),
        runtime=True,
    )
    remember: float = _parameter(
        0.0,
        'persistent: for this time after leaving, a person is re-identified and keeps the '
        'id, in all cameras of a cameras_node; 0: a new id for a person who returns; seconds.',
        limits=(0.0, 86400.0),
    )
    refresh_time: float = _parameter(
        5.0,
        'persistent: the embedding of a person without others nearby is renewed after this time, '
        'in seconds; 0: in every image, which is about half as fast.',
        limits=(0.0, 3600.0),
        runtime=True,
    )
    max_cosine_distance: float = _parameter(
        0.3,
        'deep_sort: a detection with a larger cosine distance to all embeddings of a track is not '
        'matched to it by appearance.',
        limits=(0.0, 2.0),
        runtime=True,
    )
    max_iou_distance: float = _parameter(
        0.7,
        'deep_sort: a detection is matched to a track by overlap where 1 - IoU is at most this.',
        limits=(0.0, 1.0),
        runtime=True,
    )
    max_age: int = _parameter(
        70,
        'deep_sort: a confirmed track is deleted after more than this number of frames without a '
        'detection.',
        limits=(1, 100000),
        runtime=True,
    )
    nn_budget: int = _parameter(
        100,
        'deep_sort: number of newest embeddings each track keeps.',
        limits=(1, 10000),
    )


@dataclass(frozen=True)
class DrawingSettings:
    """Parameters ``drawing.*``: the annotated image."""

    speed: bool = _parameter(
        True,
        'Write the mean processing time and the images per second into the corner.',
        runtime=True,
    )
    scores: bool = _parameter(
        False,
        'Write the score of the newest detection beside the id of each person.',
        runtime=True,
    )
    scale: float = _parameter(
        1.0,
        'Size of text and lines, relative to what suits the image.',
        limits=(0.25, 4.0),
        runtime=True,
    )
    trails: float = _parameter(
        0.0,
        'Draw the path of the feet of each person over this number of seconds; 0: no trails.',
        limits=(0.0, 60.0),
        runtime=True,
    )


@dataclass(frozen=True)
class Settings:
    """All parameters of the tracker."""

    detector: DetectorSettings = DetectorSettings()
    reid: ReidSettings = ReidSettings()
    inference: InferenceSettings = InferenceSettings()
    tracker: TrackerSettings = TrackerSettings()
    drawing: DrawingSettings = DrawingSettings()

    def __post_init__(self) -> None:
        """
        Check every value.

        :raises SettingsError: naming the first wrong parameter, or two that contradict each other.
        """
        for parameter in PARAMETERS:
            group, name = parameter.name.split('.')
            settings = getattr(self, group)
            object.__setattr__(settings, name, parameter.check(getattr(settings, name)))
        if self.tracker.remember and self.reid.model == NONE:
            raise SettingsError('tracker.remember needs embeddings: set reid.model')
        turns = self.detector.turns
        if turns[:1] != (LARGE,) or not {LARGE, LIGHT, NONE}.issuperset(turns):
            raise SettingsError(
                f'detector.pattern: {self.detector.pattern!r} is neither auto nor words of large, '
                'light and none, the first of them large'
            )
        if LIGHT in turns and self.detector.light_model == NONE:
            raise SettingsError('detector.pattern has "light": set detector.light_model')

    @classmethod
    def from_values(cls, values: Mapping[str, Any], base: Optional[Settings] = None) -> Settings:
        """
        Make settings from values by dotted name; other values come from `base` or the defaults.

        :raises SettingsError: if a name is unknown or a value is not allowed.
        """
        base = base or cls()
        changes: dict[str, dict[str, Any]] = {group.name: {} for group in _GROUPS}
        known = [parameter.name for parameter in PARAMETERS]
        for name, value in values.items():
            if name not in known:
                raise SettingsError(no_such_parameter(name, known))
            group, leaf = name.split('.')
            changes[group][leaf] = value
        return cls(
            **{
                group: dataclasses.replace(getattr(base, group), **change)
                for group, change in changes.items()
            }
        )

    def values(self) -> dict[str, Value]:
        """Return all values by dotted name."""
        return {
            parameter.name: getattr(getattr(self, parameter.name.split('.')[0]), leaf)
            for parameter in PARAMETERS
            for leaf in [parameter.name.split('.')[1]]
        }


# Any: mypy cannot know that all fields have defaults.
_GROUPS: Any = dataclasses.fields(Settings)

PARAMETERS: tuple[Parameter, ...] = tuple(
    Parameter(name=f'{group.name}.{leaf.name}', default=leaf.default, **leaf.metadata)
    for group in _GROUPS
    for leaf in cast(Any, dataclasses.fields(type(group.default)))
)
