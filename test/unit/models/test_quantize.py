"""INT8 versions, where NNCF is installed."""

import importlib.util
import sys

import cv2
import numpy as np
import pytest

from persontrack_ros.cli.commands import main
from persontrack_ros.core.config.settings import DetectorSettings, InferenceSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.files import find_model
from persontrack_ros.core.inference.quantize import sample_images
from persontrack_ros.core.inference.runtime import Runtime

NAME = 'person-detection-0200'

needs_nncf = pytest.mark.skipif(
    importlib.util.find_spec('nncf') is None, reason='NNCF is not installed'
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


def write_video(path, images):
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (width, height))
    for image in images:
        writer.write(image)
    writer.release()
    return str(path)


def quantize(video, name=NAME):
    return main(['models', 'quantize', name, '--calibration', str(video), '--images', '12'])


def test_the_last_part_of_a_video_is_held_out(models, tmp_path, capsys):
    # The grey value of an image is twice its number.
    grey = [np.full((48, 64, 3), 2 * number, dtype=np.uint8) for number in range(100)]
    calibration, held_out = sample_images(write_video(tmp_path / 'a.avi', grey), 20)
    assert (len(calibration), len(held_out)) == (20, 5)
    # JPEG changes values by a little.
    assert max(image.mean() for image in calibration) < 2 * 80 + 3
    assert min(image.mean() for image in held_out) > 2 * 80 - 3
    assert quantize(write_video(tmp_path / 'b.avi', grey[:5])) == 2
    assert 'too few images in the videos' in capsys.readouterr().err


def test_what_cannot_be_quantized(models, campus, monkeypatch, capsys):
    assert quantize(campus, 'person-reidentification-retail-0288') == 2
    assert 'there is no INT8 of person-re' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'nncf', None)  # importing it fails
    assert quantize(campus) == 2
    assert 'pip install nncf' in capsys.readouterr().err


@needs_nncf
@pytest.mark.slow
def test_an_int8_version_is_right_at_every_start(models, campus, tmp_path, capsys):
    """INT8 versions are not kept: OpenVINO 2026.2.0 to 2026.4.1 imports them wrongly."""
    assert quantize(campus) == 0
    assert 'agreement with the original, on 3 held-out images' in capsys.readouterr().out
    path = find_model(NAME, 'INT8')

    def detector():
        """Load it as a new process does."""
        runtime = Runtime(InferenceSettings(cache_dir=str(tmp_path / 'robot')))
        return Detector(DetectorSettings(model=str(path), device='CPU'), runtime)

    images, _ = sample_images(str(campus), 10)
    expected = [detector().detect(image).boxes for image in images]
    assert sum(map(len, expected)) >= 6
    for image, boxes in zip(images, expected):
        np.testing.assert_array_equal(detector().detect(image).boxes, boxes)
    assert list(tmp_path.glob('robot/*.blob')) == []


@needs_nncf
@pytest.mark.slow
def test_a_version_that_does_not_agree(models, campus, tmp_path, capsys):
    """Calibrated in the dark, it is blind by day."""
    capture = cv2.VideoCapture(str(campus))
    day = [capture.read()[1] for _ in range(10)]
    assert quantize(write_video(tmp_path / 'night.avi', [np.zeros_like(day[0])] * 40 + day)) == 2
    said = capsys.readouterr()
    report = 'agreement with the original, on 3 held-out images: '
    assert f'the INT8 version of {NAME} is not installed: {report}' in said.err
    assert not list(tmp_path.rglob('*.xml'))
