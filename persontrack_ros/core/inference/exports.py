"""
The outputs of detectors: their shapes, and the profiles of models as their exporters leave them.

Sources: https://github.com/ultralytics/ultralytics and .../yolov5 (export),
https://github.com/huggingface/transformers (models of object detection, as Optimum exports them),
https://github.com/lyuwenyu/RT-DETR and https://github.com/Peterande/D-FINE (export_onnx.py), and
https://github.com/roboflow/rf-detr.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import openvino as ov

from persontrack_ros.core.base.errors import ModelError, SourceError
from persontrack_ros.core.base.reading import MAX_YAML, load_yaml, read_bytes

_logger = logging.getLogger(__name__)

Shapes = Mapping[str, Sequence[Optional[int]]]

# What the classes of detectors of persons are called, the usual first.
_PERSONS = ('person', 'pedestrian', 'people', 'human')

# The outputs that each decoder expects, in words.
EXPECTED = {
    'ssd': 'one output [1, 1, N, 7] of rows [image, class, score, left, top, right, bottom]',
    'boxes': 'an output "boxes" [N, 5] of rows [left, top, right, bottom, score], or [N, 4] with '
    'an output "scores" [N]; and an output "labels" [N] where there are several classes',
    'yolo_nms': 'one output [1, N, 6] of rows [left, top, right, bottom, score, class], or [N, 7] '
    'of rows [image, left, top, right, bottom, class, score]',
    'yolox': 'one output [1, N, 5 + classes], a row for each cell of the strides 8, 16 and 32',
    'yolov5': 'one output [1, N, 5 + classes]',
    'yolov8': 'one output [1, 4 + classes, N]',
    'rtdetr': 'one output [1, N, 4 + classes], or [1, N, 6] of rows [centre, size, score, class]',
    'detr': 'outputs "logits" [1, N, classes + 1] and "pred_boxes" [1, N, 4]',
    'detr_sigmoid': 'outputs "logits" [1, N, classes] and "pred_boxes" [1, N, 4]',
}

# DETRs of the datasets that they are published for, by their columns of logits: COCO (without and
# with the numbers that it leaves out, and with a class for no object) and Objects365 (without and
# with a class before the first). The class that is a person, and whether images are normalised.
_DATASETS = {80: (0, False), 91: (1, True), 92: (1, True), 365: (0, False), 366: (1, False)}
# Of ImageNet, RGB from 0 to 1.
_MEAN, _DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Models of transformers whose images are not normalised.
_PLAIN = ('rt_detr', 'rt_detr_v2', 'd_fine')

# The names of logits and boxes: of Hugging Face, and of RF-DETR.
DETR_OUTPUTS = (('logits', 'pred_boxes'), ('pred_logits', 'pred_boxes'), ('labels', 'dets'))

# Inputs beside the image: the size that boxes are measured in, and where the image is.
SIZES = 'orig_target_sizes'
MASK = 'pixel_mask'


def shapes_of(ports: Sequence[ov.Output]) -> dict[str, list[Optional[int]]]:
    """Return the shapes of inputs or outputs by name; None is a length that varies."""
    shapes: dict[str, list[Optional[int]]] = {}
    for index, port in enumerate(ports):
        shape = port.partial_shape
        lengths = [] if shape.rank.is_dynamic else list(shape)
        shapes[min(port.names, default=f'output {index}')] = [
            None if length.is_dynamic else length.get_length() for length in lengths
        ]
    return shapes


def describe(shapes: Shapes) -> str:
    """Return shapes in words, for errors."""
    return ', '.join(
        f'{name} [{", ".join("N" if length is None else str(length) for length in shape)}]'
        for name, shape in shapes.items()
    )


def detr_outputs(shapes: Shapes) -> Optional[tuple[str, str]]:
    """Return the names of logits ``[1, N, classes]`` and boxes ``[1, N, 4]``, or None."""
    for logits, boxes in DETR_OUTPUTS:
        one, other = shapes.get(logits, ()), shapes.get(boxes, ())
        # As many rows, where both are known.
        if len(one) == len(other) == 3 and other[2] == 4 and len({one[1], other[1], None}) < 3:
            return logits, boxes
    return None


def recognise(path: Path, inputs: Shapes, outputs: Shapes) -> Optional[dict[str, Any]]:
    """
    Return the profile of a detector that an exporter made, or None.

    :param path: file of the model.
    :param inputs: shapes by name; None is a length that varies.
    :param outputs: shapes by name.
    :raises ModelError: if a file beside it is damaged, or says that it finds no persons.
    """
    names = path.with_name('metadata.yaml')
    if names.is_file():
        try:
            values = load_yaml(names, 'description of a model')
        except SourceError as error:
            raise ModelError(str(error)) from error
        if isinstance(values, Mapping) and {'stride', 'names'} <= values.keys():
            return _of_yolo(values, names, path, outputs)
    detr = detr_outputs(outputs)
    if SIZES in inputs and {'boxes', 'scores', 'labels'} <= outputs.keys():
        _warn_of_class(path, 0)
        return {'color': 'RGB', 'scale': 255, 'decoder': 'boxes', 'person_class': 0}
    return None if detr is None else _of_detr(path, inputs, outputs[detr[0]][2])


def _of_detr(path: Path, inputs: Shapes, columns: Optional[int]) -> dict[str, Any]:
    """
    Return the profile of a DETR, by what transformers or Optimum wrote beside it.

    A softmax has a last class for no object, a sigmoid has none.

    :param columns: of its logits.
    """
    config, source = _beside(path, 'config.json')
    labels = config.get('id2label')
    if labels is not None:
        classes = _classes(labels, source)
        # Classes without a name count as well.
        last = max(classes)
        if columns not in (last + 1, last + 2):
            raise ModelError(
                f'{path} has {columns} columns of logits, but the classes of {source} go up to '
                f'{last}'
            )
        person, sigmoid = _person(classes, source, path), columns == last + 1
        normalised = config.get('model_type') not in _PLAIN
    elif columns in _DATASETS:
        person, normalised = _DATASETS[columns]
        # DETR and YOLOS of COCO have 92.
        sigmoid = columns != 92
        _warn_of_class(path, person)
    else:
        raise ModelError(
            f'{path} has the outputs of a DETR with {columns} columns of logits, which says '
            'neither which one is a person nor whether the last one is for no object: copy its '
            'config.json and preprocessor_config.json beside it, or describe it in '
            f'{path.with_suffix(".yaml")} (decoder detr or detr_sigmoid), see docs/models.md'
        )
    profile = {
        'color': 'RGB',
        'decoder': 'detr_sigmoid' if sigmoid else 'detr',
        'person_class': person,
        **_preprocessing(*_beside(path, 'preprocessor_config.json'), normalised),
    }
    if all(None not in shape[2:] for shape in inputs.values() if len(shape) == 4):
        del profile['size']
    return profile


def _preprocessing(config: Mapping[str, Any], source: Path, normalised: bool) -> dict[str, Any]:
    """Return the size, mean and scale that a preprocessor_config.json of transformers has."""
    sides = config.get('size')
    sides = sides if isinstance(sides, Mapping) else {}
    shortest = sides.get('shortest_edge', 800 if normalised else 640)
    # Such models take images of any size, but are compiled for one: that of 4:3.
    longest = shortest * 4 // 3 if normalised and isinstance(shortest, int) else shortest
    profile: dict[str, Any] = {
        'size': [sides.get('height', shortest), sides.get('width', longest)]
    }
    try:
        # What is one for the model.
        one = 1 / config.get('rescale_factor', 1 / 255) if config.get('do_rescale', True) else 1.0
        profile['scale'] = one
        if config.get('do_normalize', normalised):
            profile['mean'] = [one * each for each in config.get('image_mean', _MEAN)]
            profile['scale'] = [one * each for each in config.get('image_std', _DEVIATION)]
        return profile
    except (TypeError, ZeroDivisionError) as error:
        raise ModelError(
            f'{source}: rescale_factor is no number, or image_mean or image_std are not three'
        ) from error


def _beside(path: Path, name: str) -> tuple[Mapping[str, Any], Path]:
    """Read a file of transformers, where there is one: beside the model, or above `onnx`."""
    file = path.with_name(name)
    if path.parent.name == 'onnx' and not file.is_file():
        file = path.parents[1] / name
    if not file.is_file():
        return {}, file
    try:
        values = json.loads(read_bytes(file, MAX_YAML, 'description of a model'))
    except (SourceError, ValueError, RecursionError) as error:
        raise ModelError(f'cannot read {file}: {error}') from error
    if not isinstance(values, dict):
        raise ModelError(f'{file} is {values!r:.50}, expected keys and values')
    return values, file


def _of_yolo(
    values: Mapping[str, Any], source: Path, path: Path, outputs: Shapes
) -> dict[str, Any]:
    """
    Return the profile of a model that `yolo export` or YOLOv5's export.py made.

    The latter writes no task.

    :param source: of the values, named in errors.
    """
    task = values.get('task', 'detect')
    if task != 'detect':
        raise ModelError(f'{source} is of a model for the task {task!r}, expected detect')
    classes = _classes(values['names'], source)
    person = _person(classes, source, path)
    decoder = _yolo_decoder(values, 4 + len(classes), outputs)
    if decoder is None:
        raise ModelError(
            f'{path} has the outputs {describe(outputs)}, which are not clear for the '
            f'{len(classes)} classes of {source.name}. Describe the model in '
            f'{path.with_suffix(".yaml")}, see docs/models.md'
        )
    profile = {
        'color': 'RGB',
        'scale': 255,
        'fit': 'stretch' if decoder == 'rtdetr' else 'letterbox',
        'decoder': decoder,
        'person_class': person,
    }
    size = values.get('imgsz')
    if size is not None:
        profile['size'] = [size, size] if isinstance(size, int) else size
    return profile


def _yolo_decoder(values: Mapping[str, Any], columns: int, outputs: Shapes) -> Optional[str]:
    """Return the kind of output, by what the exporter says of the model, and by the shape."""
    shape = next(iter(outputs.values())) if len(outputs) == 1 else ()
    rows, last = shape[1:] if len(shape) == 3 else (0, 0)
    if 'task' not in values:
        return 'yolov5' if last in (columns + 1, None) else None
    arguments = values.get('args')
    suppressed = isinstance(arguments, Mapping) and arguments.get('nms') is True
    # The name of a data set follows.
    name, _, _ = str(values.get('description')).partition(' trained on ')
    about = f'{values.get("head")} {name}'.lower().replace('-', '')
    if rows == columns:
        return 'yolov8'
    if last == 6:
        if suppressed or values.get('end2end'):
            return 'yolo_nms'
        # Newer versions tell which models need no suppression, and call RT-DETR none of these.
        if 'rtdetr' in about or values.get('end2end') is False:
            return 'rtdetr'
        return 'yolo_nms' if 'yolo' in about or columns != 6 else None
    if last == columns:
        return 'rtdetr'
    # Of lengths that vary, more is known when the model has a size.
    return 'yolov8' if rows is None and last is None else None


def _classes(names: Any, source: Path) -> dict[int, str]:
    """Return the names of classes by number."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    try:
        classes = {int(number): str(name) for number, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        classes = {}
    if not classes:
        raise ModelError(f'{source}: names is {names!r}, expected the classes by their numbers')
    return classes


def _person(classes: Mapping[int, str], source: Path, path: Path) -> int:
    """Return the class that is a person."""
    known = {number: name.strip().lower() for number, name in classes.items()}
    persons = sorted(
        (_PERSONS.index(name), number) for number, name in known.items() if name in _PERSONS
    )
    if not persons and len(classes) > 1:
        raise ModelError(
            f'{source} has no class {_PERSONS[0]}, but {", ".join(classes.values())}: write which '
            f'one to track, as person_class, into {path.with_suffix(".yaml")}, with the other '
            'keys of docs/models.md'
        )
    person = persons[0][1] if persons else min(classes)
    if len(persons) > 1:
        _logger.warning(
            '%s has several classes of persons: only number %d (%s) is tracked. Write another one '
            'into %s, see docs/models.md',
            source,
            person,
            classes[person],
            path.with_suffix('.yaml').name,
        )
    return person


def _warn_of_class(path: Path, person: int) -> None:
    _logger.warning(
        '%s says nothing of its classes: number %d is taken for a person, as of the published '
        'models. Write another into %s, see docs/models.md',
        path,
        person,
        path.with_suffix('.yaml').name,
    )
