"""
Models of TensorFlow, as graphs put together here.

Frozen graphs are protocol buffers of the message ``tensorflow.GraphDef``; TensorFlow itself would
be half a gigabyte to install.
"""

from __future__ import annotations

import numpy as np
import pytest

from persontrack_ros.core.config.settings import DetectorSettings, ReidSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.embedder import make_embedder
from persontrack_ros.core.inference.runtime import Runtime

FLOAT, INT32 = 1, 3  # of tensorflow.DataType


def varint(number):
    data = b''
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number, value):
    """Encode a field: an integer, or a text, message or bytes with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def shape_of(lengths):
    return b''.join(field(2, field(1, length)) for length in lengths)


def node(name, operation, inputs=(), **attributes):
    data = field(1, name) + field(2, operation) + b''.join(field(3, each) for each in inputs)
    for key, value in attributes.items():
        data += field(5, field(1, key) + field(2, value))
    return field(1, data)


def image(*lengths):
    return node('image', 'Placeholder', dtype=field(6, FLOAT), shape=field(7, shape_of(lengths)))


def constant(name, array):
    kind = FLOAT if array.dtype == np.float32 else INT32
    tensor = field(1, kind) + field(2, shape_of(array.shape)) + field(4, array.tobytes())
    return node(name, 'Const', dtype=field(6, kind), value=field(8, tensor))


def mean(name, source, axes):
    types = {'T': field(6, FLOAT), 'Tidx': field(6, INT32), 'keep_dims': field(5, 0)}
    axes = constant(f'{name}_axes', np.array(axes, dtype=np.int32))
    return axes + node(name, 'Mean', (source, f'{name}_axes'), **types)


@pytest.mark.parametrize(('color', 'expected'), [('BGR', [3, 4, 12]), ('RGB', [12, 4, 3])])
def test_reidentification(tmp_path, color, expected):
    """The mean colour of a crop, in the order of channels that the profile names."""
    path = tmp_path / 'mean.pb'
    path.write_bytes(image(1, 64, 32, 3) + mean('vector', 'image', [1, 2]))
    path.with_suffix('.yaml').write_text(f'layout: NHWC\ncolor: {color}\n')
    picture = np.zeros((100, 100, 3), dtype=np.uint8)
    picture[20:60, 10:30] = (3, 4, 12)
    embedder = make_embedder(ReidSettings(model=str(path), device='CPU'), Runtime())
    (vector,) = embedder.embed(picture, np.array([[10.0, 20.0, 20.0, 40.0]]))
    assert vector * 13 == pytest.approx(expected, abs=0.1)


def test_detection(tmp_path):
    """One row with the mean grey of the image as score, and one that is always the same."""
    rows = np.zeros((1, 1, 2, 7), dtype=np.float32)
    rows[0, 0, :, 2:] = [[0.0, 0.1, 0.2, 0.3, 0.8], [0.9, 0.5, 0.5, 0.75, 1.0]]
    where = np.zeros_like(rows)
    where[0, 0, 0, 2] = 1.0
    path = tmp_path / 'rows.pb'
    path.write_bytes(
        image(1, 40, 80, 3)
        + mean('grey', 'image', [0, 1, 2, 3])
        + constant('where', where)
        + constant('rows', rows)
        + node('score', 'Mul', ('grey', 'where'), T=field(6, FLOAT))
        + node('detections', 'AddV2', ('score', 'rows'), T=field(6, FLOAT))
    )
    path.with_suffix('.yaml').write_text('layout: NHWC\nscale: 255\n')
    detector = Detector(DetectorSettings(model=str(path), device='CPU'), Runtime())
    bright = detector.detect(np.full((200, 100, 3), 204, dtype=np.uint8))
    assert bright.scores == pytest.approx([0.9, 0.8], abs=0.01)
    expected = np.array([[50, 100, 25, 100], [10, 40, 20, 120]])
    assert bright.boxes == pytest.approx(expected, abs=0.1)
    assert len(detector.detect(np.full((200, 100, 3), 51, dtype=np.uint8))) == 1
