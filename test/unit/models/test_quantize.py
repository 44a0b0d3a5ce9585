"""INT8 versions, where NNCF is installed."""

import importlib.util
import sys

import cv2
import numpy as np
import pytest

from persontrack_ros.cli.commands import main
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.config.settings import (
    DetectorSettings,
    InferenceSettings,
    ReidSettings,
)
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.embedder import ModelEmbedder
from persontrack_ros.core.inference.files import find_model
from persontrack_ros.core.inference.quantize import sample_images
from persontrack_ros.core.inference.runtime import Runtime

needs_nncf = pytest.mark.skipif(
    importlib.util.find_spec('nncf') is None, reason='NNCF is not installed'
)


def write_video(path, count):
    """Write images whose grey value is twice their number."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for number in range(count):
        writer.write(np.full((48, 64, 3), 2 * number, dtype=np.uint8))
    writer.release()
    return str(path)


def test_the_last_part_of_each_video_is_held_out(tmp_path):
    videos = [write_video(tmp_path / f'{name}.avi', 100) for name in 'ab']
    calibration, held_out = sample_images(videos, 40)
    assert len(calibration) == 40
    assert len(held_out) == 10
    # JPEG changes values by a little.
    assert max(image.mean() for image in calibration) < 2 * 80 + 3
    assert min(image.mean() for image in held_out) > 2 * 80 - 3


def test_a_video_that_is_too_short(tmp_path):
    with pytest.raises(SourceError, match='too few images in the videos'):
        sample_images([write_video(tmp_path / 'a.avi', 5)], 100)


def quantize(name, video, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    code = main(['models', 'quantize', name, '--calibration', str(video), '--images', '12'])
    return code, tmp_path / f'persontrack_ros/models/{name}/INT8/{name}.xml'


@needs_nncf
@pytest.mark.slow
def test_a_reid_model_is_quantized_and_found(models, campus, tmp_path, monkeypatch, capsys):
    name = 'person-reidentification-retail-0288'
    code, path = quantize(name, campus, tmp_path, monkeypatch)
    assert code == 0
    assert 'agreement with the original, on ' in capsys.readouterr().out
    assert path.is_file()
    assert find_model(name, 'INT8') == path
    ModelEmbedder(ReidSettings(model=str(path), device='CPU'), Runtime())


def test_without_nncf(models, campus, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'nncf', None)  # importing it fails
    code, path = quantize('person-detection-0200', campus, tmp_path, monkeypatch)
    assert code == 2
    assert 'pip install nncf' in capsys.readouterr().err
    assert not path.exists()


def detector(path, cache):
    """Load a detector as a new process does."""
    runtime = Runtime(InferenceSettings(cache_dir=str(cache)))
    return Detector(DetectorSettings(model=str(path), device='CPU'), runtime)


@needs_nncf
@pytest.mark.slow
def test_an_int8_version_is_right_at_every_start(models, campus, tmp_path, monkeypatch, capsys):
    """INT8 versions are not kept: OpenVINO 2026.2.0 to 2026.4.1 imports them wrongly."""
    code, path = quantize('person-detection-0200', campus, tmp_path, monkeypatch)
    assert code == 0
    said = capsys.readouterr().out
    assert 'agreement with the original, on 3 held-out images' in said
    images, _ = sample_images([str(campus)], 10)
    cache = tmp_path / 'robot'
    expected = [detector(path, cache).detect(image).boxes for image in images]
    assert sum(map(len, expected)) >= 6
    for image, boxes in zip(images, expected):
        np.testing.assert_array_equal(detector(path, cache).detect(image).boxes, boxes)
    assert list(cache.glob('*.blob')) == []


@needs_nncf
@pytest.mark.slow
def test_a_version_that_does_not_agree(models, campus, tmp_path, monkeypatch, capsys):
    """Calibrated in the dark, it is blind by day."""
    capture = cv2.VideoCapture(str(campus))
    day = [capture.read()[1] for _ in range(10)]
    video = tmp_path / 'night.avi'
    height, width = day[0].shape[:2]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 10, (width, height))
    for image in [np.zeros_like(day[0])] * 40 + day:
        writer.write(image)
    writer.release()
    name = 'person-detection-0200'
    code, _ = quantize(name, video, tmp_path, monkeypatch)
    said = capsys.readouterr()
    assert code == 2
    report = 'agreement with the original, on 3 held-out images: '
    assert f'the INT8 version of {name} is not installed: {report}' in said.err
    assert 'to use it' not in said.out
    assert not list(tmp_path.rglob('*.xml'))
