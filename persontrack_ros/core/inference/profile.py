"""
The input and output of a model.

A profile is a YAML file beside the weights (``my_model.yaml`` beside ``my_model.onnx``); profiles
of named models are in the catalogue. docs/models.md explains the keys.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, TypeVar, Union

import openvino as ov

from persontrack_ros.core.base.errors import ModelError, SourceError
from persontrack_ros.core.base.reading import load_yaml
from persontrack_ros.core.inference.cache import FAILURES
from persontrack_ros.core.inference.catalogue import catalogue
from persontrack_ros.core.inference.exports import recognise, shapes_of


def _key(default: Any, allowed: str, check: Callable[[Any], bool]) -> Any:
    """Declare a key of a profile."""
    return dataclasses.field(default=default, metadata={'allowed': allowed, 'check': check})


def _choice(*choices: str) -> Any:
    return _key(choices[0], ' or '.join(choices), lambda value: value in choices)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9


def _is_per_channel(value: Any) -> bool:
    return _is_number(value) or (
        isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
    )


def _is_divisor(value: Any) -> bool:
    return _is_per_channel(value) and 0 not in (value if isinstance(value, list) else [value])


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(side) is int and 0 < side <= 8192 for side in value)
    )


def _is_class(value: Any) -> bool:
    return type(value) is int and value >= 0


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
        1, 'a number or a list of three, none of them 0', _is_divisor
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

    decoder: str = _choice(
        'ssd',
        'boxes',
        'yolo_nms',
        'yolox',
        'yolov5',
        'yolov8',
        'rtdetr',
        'detr',
        'detr_sigmoid',
    )
    fit: str = _choice('stretch', 'letterbox', 'letterbox_top_left')
    coordinates: str = _choice('pixels', 'relative')
    person_class: Optional[int] = _key(None, 'the number of a class', _is_class)
    score_threshold: float = _key(0.5, 'a number in (0, 1]', _is_fraction)
    nms_threshold: float = _key(0.5, 'a number in (0, 1]', _is_fraction)


AnyProfile = TypeVar('AnyProfile', bound=Profile)


def read_profile(path: Path, kind: type[AnyProfile]) -> Optional[AnyProfile]:
    """
    Return the profile of a model.

    It is that of the file beside the model or of the catalogue; for a detector also by the
    metadata of its exporter and the shapes.

    :param path: file of the model.
    :param kind: the class wanted.
    :returns: None where there is none of these.
    :raises ModelError: if the file is damaged or a key in it is wrong.
    """
    beside = path.with_suffix('.yaml')
    if beside.is_file():
        return make_profile(_load(beside), kind, str(beside))
    exported = path.with_name('metadata.yaml').is_file()
    entry = catalogue().get(path.stem)
    if issubclass(kind, DetectorProfile) and (exported or entry is None):
        try:
            model = ov.Core().read_model(path)
        except FAILURES:
            # The code that loads the model reports the reason.
            return None
        values = recognise(path, shapes_of(model.inputs), shapes_of(model.outputs))
        if values is not None:
            return make_profile(values, kind, f'what is beside {path}')
    if entry is None or (entry.kind == 'detector') != issubclass(kind, DetectorProfile):
        return None
    return make_profile(entry.profile, kind, path.stem)


def _load(path: Path) -> Any:
    try:
        return load_yaml(path, 'model profile')
    except SourceError as error:
        raise ModelError(str(error)) from error


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
            near = difflib.get_close_matches(str(name), keys, n=1)
            hint = f'did you mean {near[0]}?' if near else f'there are {", ".join(keys)}'
            raise ModelError(f'{source}: there is no key {name}; {hint}')
        if not keys[name].metadata['check'](value):
            raise ModelError(
                f'{source}: {name} is {value!r}, expected {keys[name].metadata["allowed"]}'
            )
    checked: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return kind(**checked)
