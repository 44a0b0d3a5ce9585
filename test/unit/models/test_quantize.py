"""INT8 versions, where NNCF is installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from persontrack_ros.cli.commands import main
from persontrack_ros.core.errors import SourceError
from persontrack_ros.core.models.quantize import sample_images

Locate = Callable[[str], Path]


def write_video(path: Path, count: int) -> str:
    """Write images whose grey value is twice their number."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for number in range(count):
        writer.write(np.full((48, 64, 3), 2 * number, dtype=np.uint8))
    writer.release()
    return str(path)


def test_the_last_part_of_each_video_is_held_out(tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f'{name}.avi', 100) for name in 'ab']
    calibration, held_out = sample_images(videos, 40)
    assert len(calibration) == 40
    assert len(held_out) == 10
    # JPEG changes values by a little.
    assert max(image.mean() for image in calibration) < 2 * 80 + 3
    assert min(image.mean() for image in held_out) > 2 * 80 - 3


def test_a_video_that_is_too_short(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match='too few images to calibrate with'):
        sample_images([write_video(tmp_path / 'a.avi', 5)], 100)


def quantize(
    name: str, data: Locate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, Path]:
    monkeypatch.setenv('PERSONTRACK_MODEL_PATH', str(data('models')))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    video = str(data('videos/TUD-Campus.mp4'))
    code = main(['models', 'quantize', name, '--calibration', video, '--images', '12'])
    return code, tmp_path / f'persontrack_ros/models/{name}/INT8/{name}.xml'


@pytest.mark.skipif(importlib.util.find_spec('nncf') is None, reason='NNCF is not installed')
@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('person-detection-0200', 'detections that both versions have, on 3 held-out images'),
        ('person-reidentification-retail-0288', 'cosine similarity to the original, on '),
    ],
)
def test_a_quantized_model_is_made_and_found(
    name: str,
    said: str,
    data: Locate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, path = quantize(name, data, tmp_path, monkeypatch)
    assert code == 0
    assert said in capsys.readouterr().out
    assert path.is_file()
    assert main(['models', 'path', name, '--precision', 'INT8']) == 0
    assert capsys.readouterr().out.strip() == str(path)


def test_without_nncf_the_error_says_what_to_install(
    data: Locate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, 'nncf', None)  # importing it fails
    code, path = quantize('person-detection-0200', data, tmp_path, monkeypatch)
    assert code == 2
    assert 'pip install nncf' in capsys.readouterr().err
    assert not path.exists()
