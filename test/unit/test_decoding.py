"""
Decoders, with heads computed by hand and with real weights on a real frame.

The hand-made models give the same output whatever image they see, see :func:`test_exports.save`.
"""

import cv2
import numpy as np
import openvino as ov
import pytest
import yaml
from test_exports import save

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.geometry import iou
from persontrack_ros.core.config.settings import DetectorSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.runtime import Runtime

opset = ov.opset13


def save_model(folder, outputs, shape=(1, 3, 64, 96)):
    """Save a model that always gives these outputs; return its file."""
    return save(folder / 'x', outputs, shape=shape) / 'model.xml'


def detect(path, image_size, **profile):
    """Return rows of box and score in an image of (height, width)."""
    path.with_suffix('.yaml').write_text(yaml.safe_dump(profile))
    detector = Detector(DetectorSettings(model=str(path), device='CPU'), Runtime())
    found = detector.detect(np.zeros((*image_size, 3), dtype=np.uint8))
    return np.concatenate([found.boxes, found.scores[:, None]], axis=1)


# The rows of a model of 64x96 (height x width), and what they are in an image.
SSD = [
    [0, 1, 0.6, 0.5, 0.25, 0.75, 1.0],
    [0, 2, 0.9, 0.1, 0.1, 0.2, 0.2],
    [0, 1, 0.7, 0.25, 0.0, 0.5, 0.5],
    [0, 1, 0.4, 0.0, 0.0, 1.0, 1.0],
    [-1, 1, 0.9, 0.0, 0.0, 1.0, 1.0],
]
# Centre x, centre y, width, height, objectness, scores of classes 0 and 1.
YOLOV5 = [[0.5, 0.5, 0.25, 0.5, 0.8, 0.1, 0.75], [0.5, 0.5, 0.1, 0.1, 0.9, 0.9, 0.1]]
NMS = [[10, 20, 30, 60, 0.9, 0], [0, 0, 9, 9, 0.8, 2], [0, 0, 0, 0, 0, 0]]
# 64x96 has 8x12 cells of 8 pixels, 4x6 of 16 and 2x3 of 32.
YOLOX = np.zeros((96 + 24 + 6, 5 + 2))
# Cell x=5, y=2 of stride 16: centre (5.5, 2.25) * 16 = (88, 36), size (16, 32).
YOLOX[96 + 2 * 6 + 5] = [0.5, 0.25, 0, np.log(2), 0.8, 0.9, 0]
# Cell x=1, y=1 of stride 32: centre (32, 32), size (32 e, 32), of the other class.
YOLOX[96 + 24 + 3 + 1] = [0, 0, 1, 0, 0.9, 0, 0.9]
# As person-detection-0203 has them.
BOXES = {'boxes': [[48, 16, 96, 64, 0.8], [0, 0, 9, 9, 0.1]], 'labels': [0, 0]}
APART = {'boxes': [[0.5, 0.25, 1, 1], [0, 0, 0.5, 0.5]], 'scores': [0.9, 0.8], 'labels': [3, 1]}


@pytest.mark.parametrize(
    ('outputs', 'profile', 'size', 'expected'),
    [
        # Fractions of the image, whatever the size of the input; the best first.
        (
            [[SSD]],
            {'decoder': 'ssd', 'person_class': 1},
            (200, 400),
            [[100, 0, 100, 100, 0.7], [200, 50, 100, 150, 0.6]],
        ),
        (BOXES, {'decoder': 'boxes'}, (128, 960), [[480, 32, 480, 96, 0.8]]),
        (
            APART,
            {'decoder': 'boxes', 'person_class': 1, 'coordinates': 'relative'},
            (100, 200),
            [[0, 0, 100, 50, 0.8]],
        ),
        (
            [YOLOV5],
            {'decoder': 'yolov5', 'person_class': 1, 'coordinates': 'relative'},
            (64, 96),
            [[36, 16, 24, 32, 0.6]],
        ),
        ([NMS], {'decoder': 'yolo_nms', 'person_class': 0}, (128, 192), [[20, 40, 40, 80, 0.9]]),
        # Exported with nms=True, and described as without.
        ([NMS], {'decoder': 'yolov8', 'person_class': 0}, (128, 192), [[20, 40, 40, 80, 0.9]]),
        (
            [[0, 10, 20, 30, 60, 0, 0.9], [0, 0, 0, 9, 9, 2, 0.8]],
            {'decoder': 'yolo_nms', 'person_class': 0},
            (128, 192),
            [[20, 40, 40, 80, 0.9]],
        ),
        ([YOLOX], {'decoder': 'yolox', 'person_class': 0}, (64, 96), [[80, 20, 16, 32, 0.72]]),
    ],
)
def test_decoders(outputs, profile, size, expected, tmp_path):
    outputs = outputs if isinstance(outputs, dict) else {'out': outputs}
    arrays = {name: np.array(values) for name, values in outputs.items()}
    path = save_model(tmp_path, arrays)
    np.testing.assert_allclose(detect(path, size, **profile), expected, rtol=1e-5)


# A 192x64 (width x height) image in an input of 96x64: half the size, 96x32, with 32 rows of grey.
WIDE = (64, 192)


@pytest.mark.parametrize(('fit', 'rows_above'), [('letterbox', 16), ('letterbox_top_left', 0)])
def test_yolov8_letterboxed(fit, rows_above, tmp_path):
    # Columns: centre x, centre y, width, height, score of class 0, of class 1.
    head = np.array(
        [
            [24, 10 + rows_above, 8, 16, 0.9, 0.0],
            [25, 10 + rows_above, 8, 16, 0.8, 0.0],
            [60, 10 + rows_above, 8, 16, 0.0, 0.95],
            [72, 16 + rows_above, 4, 8, 0.7, 0.1],
        ]
    )
    path = save_model(tmp_path, {'out': head.T[None]})
    found = detect(path, WIDE, decoder='yolov8', fit=fit, person_class=0)
    # The second overlaps the first by 7 of 9 columns, the third is of another class.
    expected = [[40, 4, 16, 32, 0.9], [140, 24, 8, 16, 0.7]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_boxes_that_overlap_less_stay(tmp_path):
    head = np.array([[24, 32, 8, 16, 0.9], [25, 32, 8, 16, 0.8]])
    path = save_model(tmp_path, {'out': head.T[None]})
    # IoU 7/9 = 0.78.
    assert len(detect(path, (64, 96), decoder='yolov8', nms_threshold=0.8)) == 2
    assert len(detect(path, (64, 96), decoder='yolov8', nms_threshold=0.75)) == 1


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('color', ['BGR', 'RGB'])
def test_what_the_model_sees(layout, color, tmp_path):
    """A model whose scores are its three channels, as it gets them."""
    shape = [1, 3, 8, 8] if layout == 'NCHW' else [1, 8, 8, 3]
    image = opset.parameter(shape, ov.Type.f32)
    channels = opset.reduce_mean(image, [2, 3] if layout == 'NCHW' else [1, 2])
    boxes = np.array([[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]], dtype=np.float32)[None]
    rows = opset.concat([opset.constant(boxes), opset.reshape(channels, [1, 3, 1], False)], 2)
    rows.output(0).set_names({'boxes'})
    path = tmp_path / 'm.xml'
    ov.save_model(ov.Model([rows], [image]), path, compress_to_fp16=False)
    path.with_suffix('.yaml').write_text(
        yaml.safe_dump(
            {
                'decoder': 'boxes',
                'layout': layout,
                'color': color,
                'mean': [-10, -20, -30],
                'scale': [200, 400, 500],
                'score_threshold': 0.01,
            }
        )
    )
    detector = Detector(DetectorSettings(model=str(path), device='CPU'), Runtime())
    found = detector.detect(np.full((8, 8, 3), (90, 60, 30), dtype=np.uint8))
    scores = dict(zip(found.boxes[:, 0], found.scores))
    first, third = (90, 30) if color == 'BGR' else (30, 90)
    expected = {0: (first + 10) / 200, 2: (60 + 20) / 400, 4: (third + 30) / 500}
    assert scores == pytest.approx(expected)


@pytest.mark.parametrize(
    ('profile', 'said'),
    [
        ({'decoder': 'yolov9'}, "decoder is 'yolov9', expected ssd or boxes or"),
        ({'decodr': 'ssd'}, 'there is no key decodr; there are layout, '),
        ({'score_threshold': 2}, 'score_threshold is 2, expected a number in (0, 1]'),
        ({'mean': [1, 2]}, 'mean is [1, 2], expected a number or a list of three'),
        ({'layout': 'NHWC'}, 'expected one image of the layout NHWC with 3 channels'),
        ({'decoder': 'ssd'}, 'expected one output [1, 1, N, 7]'),
        ({'decoder': 'yolov8', 'person_class': 5}, 'person_class 5'),
        ('text', 'is no model profile'),
        (None, 'they fit the decoder yolov5 or yolov8 or rtdetr. Describe the model in'),
    ],
)
def test_wrong_profiles(profile, said, tmp_path):
    path = save_model(tmp_path, {'out': np.zeros((1, 6, 100))})
    if profile is not None:
        path.with_suffix('.yaml').write_text(yaml.safe_dump(profile))
    with pytest.raises(ModelError) as caught:
        Detector(DetectorSettings(model=str(path), device='CPU'), Runtime())
    assert said in str(caught.value)
    assert str(path.stem) in str(caught.value)


def test_a_model_without_its_weights(tmp_path):
    (tmp_path / 'm.xml').write_text('<net')
    with pytest.raises(ModelError, match='m.bin is missing beside it'):
        Detector(DetectorSettings(model=str(tmp_path / 'm.xml'), device='CPU'), Runtime())


def test_impossible_scores_are_damaged_weights(tmp_path):
    path = save_model(tmp_path, {'out': np.full((1, 1, 2, 7), 1e6)})
    with pytest.raises(ModelError, match='impossible scores'):
        Detector(DetectorSettings(model=str(path), device='CPU'), Runtime())


def test_the_threshold_of_the_parameter_counts_before_that_of_the_model(tmp_path):
    head = np.array([[24, 32, 8, 16, 0.9], [60, 32, 8, 16, 0.4]])
    path = save_model(tmp_path, {'out': head.T[None]})
    path.with_suffix('.yaml').write_text('{decoder: yolov8, score_threshold: 0.6}')
    for threshold, count in ((0.0, 1), (0.3, 2), (0.95, 0)):
        settings = DetectorSettings(model=str(path), device='CPU', score_threshold=threshold)
        found = Detector(settings, Runtime()).detect(np.zeros((64, 96, 3), dtype=np.uint8))
        assert len(found) == count


@pytest.mark.parametrize(
    'name',
    [
        'person-detection-0202',
        'person-detection-0200',
        'pedestrian-detection-adas-0002',
        'yolox-nano',
    ],
)
def test_known_people_on_a_real_frame(name, data, small_models, monkeypatch):
    monkeypatch.setenv('PERSONTRACK_MODEL_PATH', str(data('models')))
    capture = cv2.VideoCapture(str(data('videos/vtest.avi')))
    read, image = capture.read()
    assert read
    truth = np.loadtxt(data('mot/PETS09-S2L1/gt/gt.txt'), delimiter=',')
    people = truth[truth[:, 0] == 1, 2:6]
    found = Detector(DetectorSettings(model=name, device='CPU'), Runtime()).detect(image)
    overlap = iou(people, found.boxes)
    assert overlap.shape == (3, 3)
    assert (overlap.max(axis=1) > 0.6).all()
    assert (overlap.max(axis=0) > 0.6).all()


RAW = np.zeros((1, 7, 42), np.float32)
RAW[0, :, 5] = [40, 30, 20, 10, 0.1, 0.9, 0.2]
RAW[0, :, 9] = [80, 30, 20, 10, 0.9, 0.1, 0.2]
NAMES = {0: 'dog', 1: 'Person', 2: 'car'}


def export(folder, shape=(1, 3, 64, 96), **metadata):
    """Make a folder as `yolo export format=openvino` does."""
    metadata = {'imgsz': [64, 96], 'names': NAMES, **metadata}
    return save(folder, {'output0': RAW}, shape=shape, metadata=metadata)


def find(folder, image_size=(64, 96)):
    detector = Detector(DetectorSettings(model=str(folder), device='CPU'), Runtime())
    return detector.detect(np.zeros((*image_size, 3), dtype=np.uint8)).boxes


@pytest.mark.parametrize('shape', [(1, 3, 64, 96), ov.PartialShape([-1, 3, -1, -1])])
def test_exported_folder(tmp_path, shape):
    """The class is found by its name; the image is put in its own proportions, 16 to each side."""
    folder = export(tmp_path / 'x_openvino_model', shape)
    np.testing.assert_allclose(find(folder), [[30, 25, 20, 10]])
    np.testing.assert_allclose(find(folder, (128, 128)), [[(30 - 16) * 2, 50, 40, 20]])


@pytest.mark.parametrize(
    ('metadata', 'reason'),
    [
        ({'task': 'segment'}, "task 'segment', expected detect"),
        ({'names': {0: 'cat', 1: 'dog', 2: 'x'}}, r'but cat, dog, x: .*person_class'),
        ({'names': 5}, 'names is 5'),
        ({'imgsz': 'big'}, "size is 'big'"),
        ({'imgsz': [10**400, 1]}, '401 digits is too large'),
    ],
)
def test_exported_folders_that_cannot_be_used(tmp_path, metadata, reason):
    with pytest.raises(ModelError, match=reason):
        find(export(tmp_path / 'x', **metadata))


def test_folders_without_one_model(tmp_path):
    folder = export(tmp_path / 'x')
    (folder / 'other.xml').touch()
    with pytest.raises(ModelError, match='no folder of one model .* model.xml, other.xml'):
        find(folder)


@pytest.mark.parametrize('suffix', ['.xml', '.bin'])
def test_pointers_of_git_lfs(tmp_path, suffix):
    folder = export(tmp_path / 'x')
    (folder / f'model{suffix}').write_text(
        'version https://git-lfs.github.com/spec/v1\n'
        'oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n'
    )
    with pytest.raises(ModelError, match=rf'model{suffix} is .* the pointer of Git LFS'):
        find(folder)
