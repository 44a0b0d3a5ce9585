"""INT8 versions, where NNCF is installed."""

import cv2
import numpy as np
import pytest

from persontrack_ros.core.base.errors import ModelError, SourceError
from persontrack_ros.core.config.settings import DetectorSettings, InferenceSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.files import find_model
from persontrack_ros.core.inference.runtime import Runtime

pytest.importorskip('nncf')
from quantize import install, sample

NAME = 'person-detection-0200'

pytestmark = pytest.mark.slow


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


def test_the_last_part_of_each_video_is_held_out(tmp_path):
    # The grey value of an image is twice its number.
    grey = [np.full((48, 64, 3), 2 * number, dtype=np.uint8) for number in range(100)]
    calibration, held_out = sample(write_video(tmp_path / 'a.avi', grey), 20)
    assert (len(calibration), len(held_out)) == (20, 5)
    # JPEG changes values by a little.
    assert max(image.mean() for image in calibration) < 2 * 80 + 3
    assert min(image.mean() for image in held_out) > 2 * 80 - 3
    with pytest.raises(SourceError, match='too few images'):
        install(NAME, [write_video(tmp_path / 'b.avi', grey[:5])], 100)


def test_an_int8_version_is_right_at_every_start(models, campus, tmp_path, capsys):
    """INT8 versions are not kept: OpenVINO 2026.2.0 to 2026.4.1 imports them wrongly."""
    path = install(NAME, [str(campus)], 12)
    assert 'agreement with the original, on 3 held-out images' in capsys.readouterr().out
    assert find_model(NAME, 'INT8') == path

    def detector():
        """Load it as a new process does."""
        runtime = Runtime(InferenceSettings(cache_dir=str(tmp_path / 'robot')))
        return Detector(DetectorSettings(model=str(path), device='CPU'), runtime)

    images, _ = sample(str(campus), 10)
    expected = [detector().detect(image).boxes for image in images]
    assert sum(map(len, expected)) >= 6
    for image, boxes in zip(images, expected):
        np.testing.assert_array_equal(detector().detect(image).boxes, boxes)
    assert list(tmp_path.glob('robot/*.blob')) == []


def test_a_version_that_does_not_agree(models, campus, tmp_path):
    """Calibrated in the dark, it is blind by day."""
    capture = cv2.VideoCapture(str(campus))
    day = [capture.read()[1] for _ in range(10)]
    video = write_video(tmp_path / 'night.avi', [np.zeros_like(day[0])] * 40 + day)
    with pytest.raises(ModelError, match=f'the INT8 version of {NAME} is not installed'):
        install(NAME, [video], 12)
    assert not list(tmp_path.rglob('*.xml'))
