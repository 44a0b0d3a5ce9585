"""The first command of a newcomer, with and without the Open Model Zoo, and the sample video."""

import re

import cv2
import pytest

from persontrack_ros import PersonTracker
from persontrack_ros.cli.sample_video import sample_video
from persontrack_ros.core.base.errors import DownloadError, ModelError
from persontrack_ros.core.config.settings import DetectorSettings, Settings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.download import with_default_models
from persontrack_ros.core.inference.files import SEARCH_VARIABLE, without_zoo
from persontrack_ros.core.inference.runtime import Runtime

DETECTOR = 'person-detection-0202'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.delenv('PERSONTRACK_MODEL_PATH', raising=False)
    # The zoo as it looks where nothing can be reached.
    monkeypatch.setenv('PERSONTRACK_MODEL_MIRROR', 'http://127.0.0.1:9')
    return tmp_path / 'cache' / 'persontrack_ros'


def test_without_the_zoo(small_models, cache, caplog, monkeypatch):
    settings = with_default_models(Settings())
    assert (settings.detector.model, settings.reid.model) == ('yolox-nano', 'color')
    (said,) = caplog.messages
    assert 'using yolox-nano and color instead of person-detection-0202 and person-' in said
    assert 'Connection refused' in said
    assert without_zoo() in said
    # The next time, nothing is tried, unless there is another mirror.
    monkeypatch.delenv('PERSONTRACK_MODEL_MIRROR')
    assert with_default_models(Settings()) == settings
    assert f'(FP16) is not installed. Run "persontrack models download {DETECTOR}"' in caplog.text


def test_with_a_mirror(zoo, cache, monkeypatch):
    monkeypatch.setenv('PERSONTRACK_MODEL_MIRROR', str(zoo))
    assert with_default_models(Settings()) == Settings()
    assert (cache / 'models/person-detection-0202/FP16/person-detection-0202.xml').is_file()


@pytest.mark.parametrize(
    'command',
    [
        'run {video} --max-frames 2',
        'detect {video} {folder}/out.npz --max-frames 2',
        'bag track {bag} --max-frames 2',
        'compare {image} {image}',
        pytest.param('benchmark pipeline --video {video}', marks=pytest.mark.slow),
    ],
)
def test_every_command_takes_the_small_models(
    small_models, persontrack, campus, tmp_path, command
):
    image, bag = tmp_path / 'image.png', tmp_path / 'bag'
    cv2.imwrite(str(image), cv2.VideoCapture(str(campus)).read()[1])
    if '{bag}' in command:
        persontrack('bag', 'record', campus, '-o', bag, '--max-frames', 2)
    done = persontrack(
        *command.format(video=campus, image=image, bag=bag, folder=tmp_path).split()
    )
    assert done.returncode == 0, done.stderr
    (line,) = (each for each in done.stderr.splitlines() if each.startswith('using '))
    assert 'color instead of person-' in line
    assert without_zoo() in line


def test_python_takes_the_small_models(small_models, campus, caplog):
    tracker = PersonTracker()
    assert without_zoo() in caplog.text
    assert tracker.compare(*[cv2.VideoCapture(str(campus)).read()[1]] * 2).threshold == 0.8


def test_the_command_and_the_node_name_all_ways(cache, persontrack):
    done = persontrack('models', 'download')
    assert done.returncode == 2
    assert without_zoo() in done.stderr
    with pytest.raises(ModelError, match=re.escape(without_zoo())):
        Detector(DetectorSettings(), Runtime())
    for way in ('--mirror URL|FOLDER', f'{cache}/models/', SEARCH_VARIABLE, 'yolox-nano'):
        assert way in without_zoo()


def test_a_folder_with_models_is_enough(zoo, cache, monkeypatch, persontrack):
    monkeypatch.setenv(SEARCH_VARIABLE, str(zoo))
    done = persontrack('models', 'download')
    assert done.stdout.count('is already in') == 2
    assert with_default_models(Settings()) == Settings()
    assert not cache.exists()


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
