"""DETRs as their authors and other exporters leave them; the models are those of test_exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import yaml
from test_exports import BOX, COCO_91, EXPECTED, OTHER, find, opset, save

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.config.settings import DetectorSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.runtime import Runtime


def of_authors() -> dict[str, np.ndarray]:
    boxes = np.zeros((1, 300, 4), np.float32)
    boxes[0, :2] = [[0.4, 0.25, 0.6, 0.75], [0, 0, 0.1, 0.1]]
    scores, labels = np.zeros((1, 300), np.float32), np.zeros((1, 300), np.int64)
    scores[0, :2], labels[0, 1] = 0.9, 16
    return {'labels': labels, 'boxes': boxes, 'scores': scores}


@pytest.mark.parametrize('shape', [(1, 3, 64, 64), (1, 3, 64, 96), (-1, 3, 64, 96)])
def test_rtdetr_and_dfine_of_their_authors(tmp_path: Path, shape: Any, caplog: Any) -> None:
    """Boxes come in the size, width first, that is fed beside the image."""
    sizes = {'orig_target_sizes': [shape[0], 2]}
    folder = save(tmp_path / 'x', of_authors(), shape=shape, extras=sizes, scaled=True)
    assert find(folder) == EXPECTED
    assert 'number 0 is taken for a person' in caplog.text


def detr(columns: int, person: int, nobody: bool, pairs=('logits', 'pred_boxes')):
    """Return logits of a person and of something else, among queries that found nothing."""
    boxes = np.tile(np.float32(OTHER), (1, 100, 1))
    logits = np.full((1, 100, columns), -9, np.float32)
    if nobody:
        logits[..., -1] = 9
    boxes[0, 3], logits[0, 3, -1], logits[0, 3, person] = BOX, -9, 3
    if columns > 1:
        logits[0, 5, -1], logits[0, 5, (person + 1) % columns] = -9, 3
    return dict(zip(pairs, (logits, boxes)))


@pytest.mark.parametrize(
    ('columns', 'person', 'nobody'),
    [(92, 1, True), (91, 1, False), (80, 0, False), (365, 0, False), (366, 1, False)],
)
@pytest.mark.parametrize('shape', [(1, 3, 64, 64), (-1, 3, -1, -1)])
def test_detr_of_the_usual_data_sets(
    tmp_path: Path, columns: int, person: int, nobody: bool, shape: Any, caplog: Any
) -> None:
    assert find(save(tmp_path / 'x', detr(columns, person, nobody), shape=shape)) == EXPECTED
    assert f'number {person} is taken for a person' in caplog.text


def test_rf_detr(tmp_path: Path) -> None:
    assert find(save(tmp_path / 'x', detr(91, 1, False, ('labels', 'dets')))) == EXPECTED


@pytest.mark.parametrize('mask', [[-1, -1, -1], [1, 64, 64], [-1, 16, 16]])
def test_detr_with_a_mask(tmp_path: Path, mask: list[int]) -> None:
    folder = save(tmp_path / 'x', detr(92, 1, True), extras={'pixel_mask': mask})
    assert find(folder) == EXPECTED


@pytest.mark.parametrize(
    ('labels', 'columns', 'person', 'nobody'),
    [
        (COCO_91, 92, 1, True),
        (COCO_91, 91, 1, False),
        ({'0': 'worker'}, 1, 0, False),
        ({'0': 'worker'}, 2, 0, True),
        ({'0': 'car', '1': 'Pedestrian'}, 2, 1, False),
        ({'0': 'car', '1': 'Pedestrian'}, 3, 1, True),
        # The labels of Objects365, which begin at 1.
        ({str(number): 'x' for number in range(2, 366)} | {'1': 'Person'}, 366, 1, False),
    ],
)
@pytest.mark.parametrize('suffix', ['', 'onnx'])
def test_detr_that_says_its_classes(
    tmp_path: Path, labels: Any, columns: int, person: int, nobody: bool, suffix: str, caplog: Any
) -> None:
    folder = save(
        tmp_path / 'x',
        detr(columns, person, nobody),
        files={'config.json': {'model_type': 'detr', 'id2label': labels}},
        suffix=suffix,
    )
    assert find(folder) == EXPECTED
    assert 'is taken for a person' not in caplog.text


@pytest.mark.parametrize(
    ('columns', 'files', 'said'),
    [
        (2, {}, '2 columns of logits, which says neither'),
        (7, {}, r'copy its config.json .*\(decoder detr or detr_sigmoid'),
        (7, {'config.json': {'id2label': {'0': 'person'}}}, '7 columns .* go up to 0'),
        (1, {'config.json': {'id2label': {'0': 'cat', '1': 'dog'}}}, '1 columns .* go up to 1'),
        (
            2,
            {'config.json': {'id2label': {'0': 'cat', '1': 'dog'}}},
            'no class person, but cat, d',
        ),
        (2, {'config.json': {'id2label': {'a': 'person'}}}, 'expected the classes by their num'),
        (80, {'config.json': []}, 'expected keys and values'),
        (80, {'preprocessor_config.json': {'rescale_factor': 'x'}}, 'rescale_factor is no number'),
        (80, {'preprocessor_config.json': {'do_normalize': True, 'image_mean': 3}}, 'image_mean'),
    ],
)
def test_detrs_that_are_not_clear(tmp_path: Path, columns: int, files: Any, said: str) -> None:
    folder = save(tmp_path / 'x', detr(columns, 0, False), files=files)
    with pytest.raises(ModelError, match=said):
        find(folder)


def test_files_that_are_no_json(tmp_path: Path) -> None:
    folder = save(tmp_path / 'x', detr(80, 0, False))
    (folder / 'config.json').write_text('{"id2label": ')
    with pytest.raises(ModelError, match=r'cannot read .*config.json'):
        find(folder)


MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ('columns', 'files', 'expected'),
    [
        (91, {}, lambda rgb: (rgb / 255 - MEAN) / DEVIATION),
        (80, {}, lambda rgb: rgb / 255),
        (
            80,
            {'preprocessor_config.json': {'do_normalize': True, 'do_rescale': True}},
            lambda rgb: (rgb / 255 - MEAN) / DEVIATION,
        ),
        (
            91,
            {
                'preprocessor_config.json': {
                    'rescale_factor': 0.01,
                    'image_mean': [0.5, 1, 0],
                    'image_std': [0.5, 1, 2],
                }
            },
            lambda rgb: (rgb / 100 - [0.5, 1, 0]) / [0.5, 1, 2],
        ),
        (91, {'preprocessor_config.json': {'do_normalize': False}}, lambda rgb: rgb / 255),
        (
            1,
            {'config.json': {'model_type': 'd_fine', 'id2label': {'0': 'person'}}},
            lambda rgb: rgb / 255,
        ),
    ],
)
def test_what_a_detr_sees(tmp_path: Path, columns: int, files: Any, expected: Any) -> None:
    """A model whose logits of a person are its channels, as it gets them."""
    tmp_path.joinpath('x').mkdir()
    image = opset.parameter([1, 3, 16, 16], ov.Type.f32)
    channels = opset.reshape(opset.reduce_mean(image, [2, 3]), [1, 3, 1], False)
    person = 1 if columns == 91 else 0
    chosen = (np.arange(columns) == person).astype(np.float32)[None, None]
    logits = opset.subtract(
        opset.multiply(channels, opset.constant(chosen)), opset.constant(20 * (1 - chosen))
    )
    logits.output(0).set_names({'logits'})
    boxes = opset.constant(np.float32([[OTHER, BOX, [0.8, 0.8, 0.1, 0.1]]]))
    results = [opset.result(logits), opset.result(boxes)]
    boxes.output(0).set_names({'pred_boxes'})
    path = tmp_path / 'x' / 'model.xml'
    ov.save_model(ov.Model(results, [image]), path, compress_to_fp16=False)
    for name, content in files.items():
        path.with_name(name).write_text(json.dumps(content))
    detector = Detector(
        DetectorSettings(model=str(path), device='CPU', score_threshold=0.001), Runtime()
    )
    found = detector.detect(np.full((16, 16, 3), (30, 60, 90), np.uint8))
    scores = found.scores[np.argsort(found.boxes[:, 0])]
    logits_found = np.log(scores / (1 - scores))
    np.testing.assert_allclose(logits_found, expected(np.array([90, 60, 30])), atol=0.01)


@pytest.mark.parametrize(
    ('outputs', 'extras'),
    [
        ({'o': np.zeros((1, 300, 84))}, None),
        ({'a': np.zeros((1, 300, 80)), 'b': np.zeros((1, 300, 4))}, None),
        (of_authors(), {'orig_target_sizes': [1, 2], 'im_shape': [1, 2]}),
        ({'logits': np.zeros((1, 1000))}, None),
        ({'logits': np.zeros((1, 100, 92)), 'pred_boxes': np.zeros((1, 50, 4))}, None),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, outputs: Any, extras: Any) -> None:
    folder = save(tmp_path / 'x', outputs, extras=extras)
    with pytest.raises(ModelError, match=r'model.xml .*(expected|describe the model in)'):
        find(folder)


def test_a_profile_counts_more(tmp_path: Path) -> None:
    folder = save(tmp_path / 'x', detr(7, 5, False))
    profile = {'decoder': 'detr_sigmoid', 'person_class': 5, 'color': 'RGB'}
    (folder / 'model.yaml').write_text(yaml.safe_dump(profile))
    assert find(folder) == EXPECTED
