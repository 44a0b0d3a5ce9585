"""Encodings that are left to cv_bridge, and a cv_bridge that does not work."""

from __future__ import annotations

import sys
import types
from array import array

import numpy as np
import pytest
from sensor_msgs.msg import Image
from test_images import NOISE, assert_picture, pack

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.ros.images import image_to_bgr


def unknown():
    return Image(height=1, width=1, encoding='yuv999', step=3, data=array('B', [1, 2, 3]))


def fake_cv_bridge(monkeypatch, convert):
    module = types.ModuleType('cv_bridge')
    module.CvBridge = type('CvBridge', (), {'imgmsg_to_cv2': staticmethod(convert)})
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)


def test_unknown_encoding_without_cv_bridge(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(ImageError, match="'yuv999'.*cv_bridge is not installed; publish bgr8"):
        image_to_bgr(unknown())


@pytest.mark.parametrize('encoding', ['', '64FC1', 'BGR8'])
def test_encodings_that_are_no_colour_picture(monkeypatch, encoding):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    message = Image(height=2, width=2, encoding=encoding, step=8, data=array('B', bytes(16)))
    with pytest.raises(ImageError, match=f"2x2 '{encoding}'"):
        image_to_bgr(message)


def test_unknown_encoding_goes_to_cv_bridge(monkeypatch):
    asked = []

    def convert(message, encoding):
        asked.append((message.encoding, encoding))
        return NOISE

    fake_cv_bridge(monkeypatch, convert)
    assert_picture(image_to_bgr(unknown()), NOISE)
    assert asked == [('yuv999', 'bgr8')]


def test_cv_bridge_refuses(monkeypatch):
    def convert(message, encoding):
        raise TypeError('Unrecognized image\nencoding [yuv999]')

    fake_cv_bridge(monkeypatch, convert)
    with pytest.raises(ImageError, match='cannot convert.*Unrecognized image encoding') as caught:
        image_to_bgr(unknown())
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'error', ['ImportError("multiarray failed to import")', 'AttributeError("_ARRAY_API")']
)
def test_cv_bridge_built_for_numpy_1(monkeypatch, tmp_path, error):
    (tmp_path / 'cv_bridge.py').write_text(f'raise {error}\n')
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImageError, match=f'yuv999.*NumPy {np.__version__}.*numpy<2'):
        image_to_bgr(unknown())
    # What needs no cv_bridge must not notice that it is broken.
    assert_picture(image_to_bgr(pack(NOISE, 'bgr8', 5, 7)), NOISE)


def test_cv_bridge_imports_numpy_late(monkeypatch):
    def convert(message, encoding):
        raise ImportError('numpy.core.multiarray failed to import')

    fake_cv_bridge(monkeypatch, convert)
    with pytest.raises(ImageError, match='multiarray failed to import.*numpy<2'):
        image_to_bgr(unknown())
