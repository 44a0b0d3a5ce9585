"""
Models as their exporters leave them, told by the files beside them and by their shapes.

The models are stand-ins with one person at the same place in every image: in the middle, 0.2 of
the image wide and 0.5 high.
"""

import json

import numpy as np
import openvino as ov
import pytest
import yaml

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.config.settings import DetectorSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.exports import recognise
from persontrack_ros.core.inference.runtime import Runtime

opset = ov.opset13

BOX = [0.5, 0.5, 0.2, 0.5]
# Of an image of 200x100.
EXPECTED = [[80.0, 25.0, 40.0, 50.0]]
OTHER = [0.2, 0.2, 0.1, 0.1]


def save(
    folder,
    outputs,
    *,
    shape=(1, 3, 64, 64),
    kind=np.float32,
    extras=None,
    scaled=False,
    metadata=None,
):
    """
    Save a model that always gives these outputs.

    :param extras: shapes of inputs beside the image.
    :param scaled: whether boxes are multiplied by the first of them, twice.
    """
    folder.mkdir()
    image = opset.parameter(ov.PartialShape(list(shape)), kind, name='images')
    image.output(0).set_names({'images'})
    inputs = [image]
    # An image has to reach the output, or OpenVINO leaves the input out.
    nothing = opset.multiply(
        opset.reduce_max(opset.convert(image, np.float32), [0, 1, 2, 3]), np.float32(0)
    )
    for name, lengths in (extras or {}).items():
        extra = opset.parameter(ov.PartialShape(lengths), np.int64, name=name)
        extra.output(0).set_names({name})
        inputs.append(extra)
        values = opset.convert(extra, np.float32)
        least = opset.reduce_min(values, np.arange(len(lengths)), False)
        # Not finite where the input is left at zero.
        nothing = opset.add(nothing, opset.subtract(opset.divide(least, least), np.float32(1)))
    results = []
    for name, array in outputs.items():
        node = opset.add(opset.constant(array.astype(np.float32)), nothing)
        if scaled and name == 'boxes':
            sizes = opset.convert(inputs[1], np.float32)
            node = opset.multiply(node, opset.unsqueeze(opset.concat([sizes, sizes], 1), 1))
        if array.dtype in (np.float16, np.int64):
            node = opset.convert(node, array.dtype)
        node.output(0).set_names({name})
        results.append(opset.result(node))
    ov.save_model(ov.Model(results, inputs), folder / 'model.xml', compress_to_fp16=False)
    if metadata is not None:
        values = {'stride': 32, 'task': 'detect', 'imgsz': [64, 64], **metadata}
        (folder / 'metadata.yaml').write_text(yaml.safe_dump(values))
    return folder


def find(folder):
    detector = Detector(DetectorSettings(model=str(folder), device='CPU'), Runtime())
    return detector.detect(np.zeros((100, 200, 3), np.uint8)).boxes.round(1).tolist()


def rows(classes, person=0, count=300):
    """Return rows as RT-DETR of Ultralytics has them."""
    values = np.full((1, count, 4 + classes), 0.01, np.float32)
    values[0, 7, :4], values[0, 7, 4 + person] = BOX, 0.9
    if classes > 1:
        values[0, 9, :4], values[0, 9, 4 + (person + 1) % classes] = OTHER, 0.9
    return values


def best(*found):
    values = np.zeros((1, 300, 6), np.float32)
    values[0, : len(found)] = found
    return values


def names(classes, person=0):
    return {number: f'c{number}' for number in range(classes)} | {person: 'person'}


@pytest.mark.parametrize(('classes', 'person'), [(1, 0), (2, 0), (2, 1), (80, 0), (91, 1)])
@pytest.mark.parametrize(
    ('kind', 'shape'),
    [
        (np.float32, (1, 3, 64, 64)),
        (np.float16, (1, 3, 64, 64)),
        (np.float32, (-1, 3, -1, -1)),
        (np.float32, (4, 3, 64, 64)),
    ],
)
def test_rtdetr_of_ultralytics(tmp_path, classes, person, kind, shape):
    """The shape of a YOLO, turned; the whole image is stretched over the input."""
    about = {'description': 'Ultralytics rtdetr-l model trained on coco.yaml'}
    metadata = {'names': names(classes, person), **(about if classes == 2 else {})}
    values = rows(classes, person).astype(kind)
    folder = save(tmp_path / 'x', {'o': values}, kind=kind, shape=shape, metadata=metadata)
    assert find(folder) == EXPECTED


@pytest.mark.parametrize(
    'metadata',
    [
        {'description': 'Ultralytics rtdetr-l model trained on my.yaml'},
        {'head': 'RTDETRDecoder', 'end2end': False},
        {'end2end': False, 'args': {'nms': False}},
    ],
)
@pytest.mark.parametrize('classes', [1, 2, 80])
def test_rtdetr_that_chooses_the_best(tmp_path, metadata, classes):
    """As newer versions export it: six columns as of YOLO, but other ones."""
    values = best([*BOX, 0.9, 0], *([[*OTHER, 0.9, 1]] if classes > 1 else []))
    folder = save(tmp_path / 'x', {'o': values}, metadata={'names': names(classes), **metadata})
    assert find(folder) == EXPECTED


@pytest.mark.parametrize(
    'metadata',
    [
        {},
        {'description': 'Ultralytics YOLO26n model trained on /data/rtdetr/x.yaml'},
        {'end2end': True},
        {'head': 'Detect', 'end2end': False, 'args': {'nms': True}},
    ],
)
@pytest.mark.parametrize('classes', [1, 2, 80])
def test_yolo_without_need_of_suppression(tmp_path, metadata, classes):
    # Pixels of the input, in which the image has 16 rows of grey above and below.
    values = best([25.6, 24, 38.4, 40, 0.9, 0], *([[1, 20, 9, 30, 0.9, 1]] if classes > 1 else []))
    folder = save(tmp_path / 'x', {'o': values}, metadata={'names': names(classes), **metadata})
    if classes == 2 and not metadata:
        # It may be an RT-DETR of two classes.
        with pytest.raises(ModelError, match=r'not clear for the 2 classes of .*model.yaml'):
            find(folder)
    else:
        assert find(folder) == EXPECTED


@pytest.mark.parametrize('shape', [(1, 300, 84), (1, 85, 8400), (300, 84), (1, 84, 8, 8)])
def test_other_shapes_of_yolo_are_refused(tmp_path, shape):
    folder = save(tmp_path / 'x', {'o': np.zeros(shape)}, metadata={'names': names(3)})
    with pytest.raises(ModelError, match='not clear for the 3 classes'):
        find(folder)


@pytest.mark.parametrize('turned', [False, True])
def test_boxes_that_cannot_be_in_the_image(tmp_path, turned):
    """Another kind of output of the same shape, told by its boxes before the first image."""
    values = np.zeros((1, 84, 300), np.float32)
    # Parts of the image where pixels are expected, and the other way round.
    values[0, :5, 3] = [*np.array(BOX) * (64 if turned else 1), 0.9]
    outputs = {'o': values.transpose(0, 2, 1) if turned else values}
    folder = save(tmp_path / 'x', outputs, metadata={'names': names(80)})
    with pytest.raises(ModelError, match='impossible boxes'):
        find(folder)


def test_yolov5_is_as_wide_as_it_has_classes(tmp_path):
    values = np.zeros((1, 84, 8), np.float32)
    values[0, 3, :6] = [32, 32, 12.8, 16, 1, 0.9]
    for classes in (3, 80):
        folder = save(tmp_path / f'{classes}', {'o': values})
        metadata = {'stride': 32, 'names': names(classes)}
        (folder / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
        if classes == 3:
            assert find(folder) == EXPECTED
        else:
            with pytest.raises(ModelError, match='not clear for the 80 classes'):
                find(folder)


def test_of_several_classes_of_persons_one_is_tracked(tmp_path, caplog):
    """As those of VisDrone."""
    classes = {0: 'pedestrian', 1: 'people', 2: 'car'}
    assert find(save(tmp_path / 'x', {'o': rows(3)}, metadata={'names': classes})) == EXPECTED
    assert 'only number 0 (pedestrian) is tracked' in caplog.text


def of_authors():
    boxes = np.zeros((1, 300, 4), np.float32)
    boxes[0, :2] = [[0.4, 0.25, 0.6, 0.75], [0, 0, 0.1, 0.1]]
    scores, labels = np.zeros((1, 300), np.float32), np.zeros((1, 300), np.int64)
    scores[0, :2], labels[0, 1] = 0.9, 16
    return {'labels': labels, 'boxes': boxes, 'scores': scores}


@pytest.mark.parametrize('shape', [(1, 3, 64, 64), (1, 3, 64, 96), (-1, 3, 64, 96)])
def test_rtdetr_and_dfine_of_their_authors(tmp_path, shape, caplog):
    """Boxes come in the size, width first, that is fed beside the image."""
    sizes = {'orig_target_sizes': [shape[0], 2]}
    folder = save(tmp_path / 'x', of_authors(), shape=shape, extras=sizes, scaled=True)
    assert find(folder) == EXPECTED
    assert 'number 0 is taken for a person' in caplog.text


def detr(columns, person, nobody, pairs=('logits', 'pred_boxes')):
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
def test_detr_of_the_usual_data_sets(tmp_path, columns, person, nobody, shape, caplog):
    assert find(save(tmp_path / 'x', detr(columns, person, nobody), shape=shape)) == EXPECTED
    assert f'number {person} is taken for a person' in caplog.text


def test_rf_detr(tmp_path):
    assert find(save(tmp_path / 'x', detr(91, 1, False, ('labels', 'dets')))) == EXPECTED


@pytest.mark.parametrize('mask', [[-1, -1, -1], [1, 64, 64], [-1, 16, 16]])
def test_detr_with_a_mask(tmp_path, mask):
    folder = save(tmp_path / 'x', detr(92, 1, True), extras={'pixel_mask': mask})
    assert find(folder) == EXPECTED


@pytest.mark.parametrize(
    ('labels', 'columns', 'person', 'nobody'),
    [
        ({'0': 'N/A', '1': 'person', '90': 'toothbrush'}, 92, 1, True),
        ({'0': 'N/A', '1': 'person', '90': 'toothbrush'}, 91, 1, False),
        ({'0': 'worker'}, 1, 0, False),
        ({'0': 'worker'}, 2, 0, True),
        ({'0': 'car', '1': 'Pedestrian'}, 2, 1, False),
        ({'0': 'car', '1': 'Pedestrian'}, 3, 1, True),
    ],
)
@pytest.mark.parametrize('suffix', ['', 'onnx'])
def test_detr_with_its_classes(tmp_path, labels, columns, person, nobody, suffix, caplog):
    """With the files of transformers beside it, or above the folder onnx."""
    outputs = detr(columns, person, nobody)
    folder = save(tmp_path / suffix, outputs) if suffix else save(tmp_path / 'x', outputs)
    beside = tmp_path if suffix else folder
    config = {'model_type': 'detr', 'id2label': labels}
    (beside / 'config.json').write_text(json.dumps(config))
    assert find(folder) == EXPECTED
    assert 'is taken for a person' not in caplog.text


CATS = {'config.json': '{"id2label": {"0": "cat", "1": "dog"}}'}


@pytest.mark.parametrize(
    ('columns', 'files', 'said'),
    [
        (7, {}, r'7 columns of logits.* copy its config.json .*\(decoder detr or detr_sigmoid'),
        (7, {'config.json': '{"id2label": {"0": "person"}}'}, '7 columns .* go up to 0'),
        (1, CATS, '1 columns .* go up to 1'),
        (2, CATS, 'no class person, but cat, d'),
        (2, {'config.json': '{"id2label": {"a": "person"}}'}, 'expected the classes by their num'),
        (80, {'config.json': '[]'}, 'expected keys and values'),
        (80, {'config.json': '{"id2label": '}, r'cannot read .*config.json'),
        (80, {'preprocessor_config.json': '{"rescale_factor": "x"}'}, 'rescale_factor is no num'),
        (
            80,
            {'preprocessor_config.json': '{"do_normalize": true, "image_mean": 3}'},
            'image_mean',
        ),
    ],
)
def test_detrs_that_are_not_clear(tmp_path, columns, files, said):
    folder = save(tmp_path / 'x', detr(columns, 0, False))
    for name, content in files.items():
        (folder / name).write_text(content)
    with pytest.raises(ModelError, match=said):
        find(folder)


def test_a_profile_of_your_own_counts_more(tmp_path):
    folder = save(tmp_path / 'x', detr(7, 5, False))
    profile = {'decoder': 'detr_sigmoid', 'person_class': 5, 'color': 'RGB'}
    (folder / 'model.yaml').write_text(yaml.safe_dump(profile))
    assert find(folder) == EXPECTED


MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
OWN = {'rescale_factor': 0.01, 'image_mean': [0.5, 1, 0], 'image_std': [0.5, 1, 2]}
D_FINE = {'model_type': 'd_fine', 'id2label': {'0': 'person'}}


@pytest.mark.parametrize(
    ('columns', 'config', 'preprocessor', 'size', 'expected'),
    [
        (91, {}, {}, [800, 1066], lambda rgb: (rgb / 255 - MEAN) / DEVIATION),
        (80, {}, {}, [640, 640], lambda rgb: rgb / 255),
        (
            80,
            {},
            {'do_normalize': True, 'size': {'height': 480, 'width': 640}},
            [480, 640],
            lambda rgb: (rgb / 255 - MEAN) / DEVIATION,
        ),
        (91, {}, OWN, [800, 1066], lambda rgb: (rgb / 100 - [0.5, 1, 0]) / [0.5, 1, 2]),
        (
            91,
            {},
            {'do_normalize': False, 'size': {'shortest_edge': 600}},
            [600, 800],
            lambda rgb: rgb / 255,
        ),
        (91, {}, {'do_normalize': False, 'do_rescale': False}, [800, 1066], lambda rgb: rgb),
        (1, D_FINE, {}, [640, 640], lambda rgb: rgb / 255),
    ],
)
def test_what_a_detr_sees(tmp_path, columns, config, preprocessor, size, expected):
    (tmp_path / 'config.json').write_text(json.dumps(config))
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(preprocessor))
    path = tmp_path / 'model.xml'
    outputs = {'logits': [1, 100, columns], 'pred_boxes': [1, 100, 4]}
    profile = recognise(path, {'images': [1, 3, None, None]}, outputs)
    rgb = np.array([90, 60, 30])
    seen = (rgb - profile.get('mean', 0)) / profile['scale']
    np.testing.assert_allclose(seen, expected(rgb), atol=1e-4)
    assert (profile['color'], profile['size']) == ('RGB', size)
    assert 'size' not in recognise(path, {'images': [1, 3, 64, 64]}, outputs)


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
def test_what_is_not_known_is_refused(tmp_path, outputs, extras):
    folder = save(tmp_path / 'x', outputs, extras=extras)
    with pytest.raises(ModelError, match=r'model.xml .*(expected|Describe the model in)'):
        find(folder)
