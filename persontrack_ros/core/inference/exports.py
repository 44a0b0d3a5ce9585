"""
Profiles of models as their exporters leave them: by the files beside them and by their shapes.

Sources: https://github.com/ultralytics/ultralytics and .../yolov5 (export), and
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

Shape = Sequence[Optional[int]]
Shapes = Mapping[str, Shape]

# What the classes of detectors of persons are called, the usual first.
_PERSONS = ('person', 'pedestrian', 'people', 'human')

# Of ImageNet, RGB from 0 to 255.
_MEAN = [0.485, 0.456, 0.406]
_DEVIATION = [0.229, 0.224, 0.225]

# Of the datasets that detectors are published for (COCO without and with the numbers that it
# leaves out, Objects365 without and with a class before the first), by their number of classes:
# the class that is a person, and whether DETRs of that kind take images normalised as ImageNet.
_DATASETS = {80: (0, False), 91: (1, True), 365: (0, False), 366: (1, False)}

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
    if SIZES in inputs and {'boxes', 'scores', 'labels'} <= outputs.keys():
        _warn_of_class(path, 0)
        return {'color': 'RGB', 'scale': 255, 'decoder': 'boxes', 'person_class': 0}
    names_of_outputs = detr_outputs(outputs)
    if names_of_outputs is None:
        return None
    return _of_detr(path, inputs, outputs[names_of_outputs[0]][2])


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
    columns = 4 + len(classes)
    decoder = _yolo_decoder(values, columns, outputs)
    if decoder is None:
        expected = f'[1, N, {columns + 1}] is of YOLOv5'
        if 'task' in values:
            expected = (
                f'[1, {columns}, N] is of YOLO, [1, N, {columns}] of RT-DETR, [1, N, 6] of either'
            )
        raise ModelError(
            f'{path} has the outputs {describe(outputs)}, which are not clear by {source.name}: '
            f'{expected}. Describe the model in {path.with_suffix(".yaml")}, see docs/models.md'
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
    """Tell the kinds of output apart by what the exporter says of the model, and the shape."""
    shape = next(iter(outputs.values())) if len(outputs) == 1 else ()
    rows, last = shape[1:] if len(shape) == 3 else (0, 0)
    if 'task' not in values:
        return 'yolov5' if last in (columns + 1, None) else None
    arguments = values.get('args')
    suppressed = isinstance(arguments, Mapping) and arguments.get('nms') is True
    # The name of a data set follows.
    name, _, _ = str(values.get('description')).partition(' trained on ')
    about = f'{values.get("head")} {name}'.lower().replace('-', '')
    rtdetr = 'rtdetr' in about
    yolo = 'yolo' in about or 'detect' in about or values.get('end2end')
    if rows == columns and (last != columns or yolo):
        return 'yolov8'
    if last == 6:
        if suppressed:
            return 'yolo_nms'
        # Newer versions tell which models need no suppression, and call RT-DETR none of these.
        if rtdetr or values.get('end2end') is False:
            return 'rtdetr'
        return 'yolo_nms' if yolo or columns != 6 else None
    if last == columns and (rows != columns or rtdetr):
        return 'rtdetr'
    # Of lengths that vary, more is known when the model has a size.
    return 'yolov8' if rows is None and last is None else None


def _of_detr(path: Path, inputs: Shapes, columns: Optional[int]) -> dict[str, Any]:
    """
    Return the profile of a DETR, by what transformers or Optimum wrote beside it.

    A softmax has a last class for "no object", a sigmoid has none.

    :param columns: of its logits.
    """
    config = _beside(path, 'config.json')
    labels = config.get('id2label')
    if labels is not None:
        source = path.with_name('config.json')
        classes = _classes(labels, source)
        # Those without a name count as well.
        last = max(classes)
        if columns not in (last + 1, last + 2):
            raise ModelError(
                f'{path} has {columns} columns of logits, but the classes of {source} go up to '
                f'{last}'
            )
        sigmoid = columns == last + 1
        person = _person(classes, source, path)
        normalised = config.get('model_type') not in ('rt_detr', 'rt_detr_v2', 'd_fine')
    else:
        # DETR and YOLOS of COCO have 92.
        sigmoid = columns != 92
        count = columns if sigmoid else 91
        if count not in _DATASETS:
            raise ModelError(
                f'{path} has the outputs of a DETR with {columns} columns of logits, which says '
                'neither which one is a person nor whether the last one is nobody: copy its '
                'config.json and preprocessor_config.json beside it, or describe it in '
                f'{path.with_suffix(".yaml")} (decoder detr or detr_sigmoid), see docs/models.md'
            )
        person, normalised = _DATASETS[count]
        _warn_of_class(path, person)
    profile = {
        'color': 'RGB',
        'decoder': 'detr_sigmoid' if sigmoid else 'detr',
        'person_class': person,
        **_preprocessing(_beside(path, 'preprocessor_config.json'), normalised),
    }
    if all(None not in shape[2:] for shape in inputs.values() if len(shape) == 4):
        del profile['size']
    return profile


def _preprocessing(config: Mapping[str, Any], normalised: bool) -> dict[str, Any]:
    """Return the part of a profile that a preprocessor_config.json of transformers says."""
    sides = config.get('size')
    sides = sides if isinstance(sides, Mapping) else {}
    shortest = sides.get('shortest_edge', 800 if normalised else 640)
    # Such models take images of any size, but are compiled for one: that of 4:3.
    longest = shortest * 4 // 3 if normalised and isinstance(shortest, int) else shortest
    size = [sides.get('height', shortest), sides.get('width', longest)]
    try:
        # What is one for the model.
        one = 1.0
        if config.get('do_rescale', True):
            one = 1 / config.get('rescale_factor', 1 / 255)
        if not config.get('do_normalize', normalised):
            return {'size': size, 'scale': one}
        mean, deviation = config.get('image_mean', _MEAN), config.get('image_std', _DEVIATION)
        return {
            'size': size,
            'mean': [one * each for each in mean],
            'scale': [one * each for each in deviation],
        }
    except (TypeError, ZeroDivisionError) as error:
        raise ModelError(
            'preprocessor_config.json: rescale_factor is no number, or image_mean or image_std '
            'are not three'
        ) from error


def _beside(path: Path, name: str) -> Mapping[str, Any]:
    """Read a file of transformers, where there is one: beside the model, or above `onnx`."""
    folders = [path.parent, *([path.parent.parent] if path.parent.name == 'onnx' else [])]
    for file in (folder / name for folder in folders):
        if file.is_file():
            try:
                values = json.loads(read_bytes(file, MAX_YAML, 'description of a model'))
            except (ValueError, RecursionError) as error:
                raise ModelError(f'cannot read {file}: {error}') from error
            except SourceError as error:
                raise ModelError(str(error)) from error
            if not isinstance(values, dict):
                raise ModelError(f'{file} is {values!r:.50}, expected keys and values')
            return values
    return {}


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
    persons = sorted(
        (_PERSONS.index(name.strip().lower()), number)
        for number, name in classes.items()
        if name.strip().lower() in _PERSONS
    )
    if len(persons) > 1:
        _logger.warning(
            '%s has several classes of persons: only number %d (%s) is tracked. Write another one '
            'into %s, see docs/models.md',
            source,
            persons[0][1],
            classes[persons[0][1]],
            path.with_suffix('.yaml').name,
        )
    if persons or len(classes) == 1:
        return persons[0][1] if persons else min(classes)
    raise ModelError(
        f'{source} has no class {_PERSONS[0]}, but {", ".join(classes.values())}: write which one '
        f'to track, as person_class, into {path.with_suffix(".yaml")}, with the other keys of '
        'docs/models.md'
    )


def _warn_of_class(path: Path, person: int) -> None:
    _logger.warning(
        '%s says nothing of its classes: number %d is taken for a person, as of the published '
        'models. Write another into %s, see docs/models.md',
        path,
        person,
        path.with_suffix('.yaml').name,
    )
