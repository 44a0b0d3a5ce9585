"""
The input and output of a model.

A profile is a YAML file beside the weights (``my_model.yaml`` beside ``my_model.onnx``); profiles
of named models are in the catalogue. docs/models.md explains the keys.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, TypeVar, Union

from persontrack_ros.core.base.errors import ModelError, SourceError
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.inference.catalogue import catalogue
from persontrack_ros.core.inference.exports import EXPECTED, Shapes, recognise


def _key(default: Any, allowed: str, check: Callable[[Any], bool]) -> Any:
    """Declare a key of a profile."""
    return dataclasses.field(default=default, metadata={'allowed': allowed, 'check': check})


def _choice(*choices: str) -> Any:
    return _key(choices[0], ' or '.join(choices), lambda value: value in choices)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9


def _is_per_channel(value: Any) -> bool:
    numbers = value if isinstance(value, list) and len(value) == 3 else [value]
    return all(map(_is_number, numbers))


def _is_size(value: Any) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [None]
    return all(type(side) is int and 0 < side <= 8192 for side in sides)


def _is_fraction(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1


@dataclass(frozen=True)
class Profile:
    """
    One model; detectors have more keys than re-identification models.

    :ivar layout: order of the axes of the input.
    :ivar color: order of its channels.
    :ivar mean: subtracted from the values 0 to 255; a number or one per channel, in that order.
    :ivar scale: divisor after that.
    :ivar size: height and width, where the file leaves them open or can be changed.
    """

    layout: str = _choice('NCHW', 'NHWC')
    color: str = _choice('BGR', 'RGB')
    mean: Union[float, tuple[float, ...]] = _key(0, 'a number or a list of three', _is_per_channel)
    scale: Union[float, tuple[float, ...]] = _key(
        1, 'a number or a list of three', _is_per_channel
    )
    size: Optional[tuple[int, ...]] = _key(None, '[height, width] in pixels', _is_size)


@dataclass(frozen=True)
class DetectorProfile(Profile):
    """
    A detector.

    :ivar decoder: how its output is read, see :mod:`persontrack_ros.core.inference.decoding`.
    :ivar fit: how an image of another shape becomes the input: stretched, or scaled in its own
        proportions with grey below and on the right (letterbox_top_left) or on both sides
        (letterbox).
    :ivar coordinates: unit of boxes: pixels of the input, or its size (relative).
    :ivar person_class: index of the class of persons; None for a model with one class.
    :ivar score_threshold: detections below it are not tracked, unless a parameter says otherwise.
    :ivar nms_threshold: of two boxes with a larger IoU, only the better one counts; for decoders
        of outputs without non-maximum suppression.
    """

    decoder: str = _choice(*EXPECTED)
    fit: str = _choice('stretch', 'letterbox', 'letterbox_top_left')
    coordinates: str = _choice('pixels', 'relative')
    person_class: Optional[int] = _key(
        None, 'the number of a class', lambda value: type(value) is int and value >= 0
    )
    score_threshold: float = _key(0.5, 'a number in (0, 1]', _is_fraction)
    nms_threshold: float = _key(0.5, 'a number in (0, 1]', _is_fraction)


AnyProfile = TypeVar('AnyProfile', bound=Profile)


def read_profile(
    path: Path, kind: type[AnyProfile], inputs: Shapes, outputs: Shapes
) -> AnyProfile:
    """
    Return the profile of a model.

    It is that of the file beside the model or of the catalogue; for a detector also by the
    metadata of its exporter and the shapes; and by default that of the zoo's kind of model.

    :param path: file of the model.
    :param kind: the class wanted.
    :param inputs: shapes by name; None is a length that varies.
    :raises ModelError: if a file beside the model is damaged or a key in it is wrong.
    """
    beside = path.with_suffix('.yaml')
    if beside.is_file():
        try:
            return make_profile(load_yaml(beside, 'model profile'), kind, str(beside))
        except SourceError as error:
            raise ModelError(str(error)) from error
    entry = catalogue().get(path.stem)
    if issubclass(kind, DetectorProfile):
        exported = path.with_name('metadata.yaml')
        if exported.is_file() or entry is None:
            values = recognise(path, inputs, outputs)
            if values is not None:
                return make_profile(values, kind, f'what is beside {path}')
    if entry is None or (entry.kind == 'detector') != issubclass(kind, DetectorProfile):
        return kind()
    return make_profile(entry.profile, kind, path.stem)


def make_profile(values: Any, kind: type[AnyProfile], source: str) -> AnyProfile:
    """
    Create a profile from the content of a YAML file.

    :param source: name for errors.
    :raises ModelError: naming the first key that is wrong.
    """
    keys = {key.name: key for key in dataclasses.fields(kind)}
    if not isinstance(values, Mapping):
        raise ModelError(f'{source} is no model profile: expected keys such as {", ".join(keys)}')
    for name, value in values.items():
        if name not in keys:
            raise ModelError(f'{source}: there is no key {name}; there are {", ".join(keys)}')
        if not keys[name].metadata['check'](value):
            raise ModelError(
                f'{source}: {name} is {value!r}, expected {keys[name].metadata["allowed"]}'
            )
    checked: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return kind(**checked)
