"""Compiled models that are kept for the next start."""

import hashlib
import os

import numpy as np
import openvino as ov
import pytest

from persontrack_ros.core.config.settings import DetectorSettings, InferenceSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.runtime import Runtime

# The smallest one.
SETTINGS = DetectorSettings(model='person-detection-0200', device='CPU')


@pytest.fixture
def start(models, vtest, tmp_path, monkeypatch, caplog):
    """Return a function that starts a detector, and what it finds, what is logged and compiled."""
    compiled = []
    compile_model = ov.Core.compile_model

    def count(core, *arguments):
        compiled.append(arguments)
        return compile_model(core, *arguments)

    monkeypatch.setattr(ov.Core, 'compile_model', count)

    def run():
        compiled.clear()
        caplog.clear()
        runtime = Runtime(InferenceSettings(cache_dir=str(tmp_path)))
        found = Detector(SETTINGS, runtime).detect(vtest[1])
        return found.boxes, caplog.text, len(compiled)

    return run


@pytest.fixture
def kept(start, tmp_path):
    """Start once; return what was found and the file that was kept."""
    boxes, said, compiled = start()
    assert len(boxes) >= 3
    assert (said, compiled) == ('', 1)
    (file,) = tmp_path.glob('*.blob')
    return boxes, file


def test_it_is_used(start, kept):
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, kept[0])
    assert (said, compiled) == ('', 0)


def assert_compiled(start, expected, words):
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, expected)
    assert words in said
    assert compiled == 1


@pytest.mark.parametrize('part', [0, 0.1, 0.5, 0.9, 1])
def test_a_damaged_file(start, kept, part):
    expected, file = kept
    content = bytearray(file.read_bytes())
    content[int(part * (len(content) - 1))] ^= 1
    file.write_bytes(content)
    assert_compiled(start, expected, f'{file} is damaged: the model is compiled again')
    assert start()[1:] == ('', 0), 'it is kept again'


def test_a_file_of_another_model(start, kept):
    """With the right checksum: OpenVINO refuses it."""
    expected, file = kept
    file.write_bytes(hashlib.sha256(b'no model').digest() + b'no model')
    assert_compiled(start, expected, f'{file} is not used')
    assert start()[1:] == ('', 0), 'it is kept again'


@pytest.mark.parametrize('kind', ['pipe', 'folder'])
def test_no_file_in_its_place(start, kept, kind):
    """It is not read, and does not hang the start."""
    expected, file = kept
    file.unlink()
    os.mkfifo(file) if kind == 'pipe' else file.mkdir()
    assert_compiled(start, expected, 'is not kept')


def test_other_contents_of_the_same_file_are_another_model(start, kept, tmp_path):
    """Also another precision, other hints, and other values in its profile."""
    runtime = Runtime(InferenceSettings(cache_dir=str(tmp_path), precision='f32', threads=1))
    Detector(SETTINGS, runtime)
    assert len(list(tmp_path.glob('*.blob'))) == 2


def test_a_cache_that_cannot_be_written(models, tmp_path, caplog):
    (tmp_path / 'file').write_text('no folder')
    Detector(SETTINGS, Runtime(InferenceSettings(cache_dir=str(tmp_path / 'file/compiled'))))
    assert f'cannot write to {tmp_path}/file/compiled: Not a directory' in caplog.text


@pytest.mark.parametrize(('cache_dir', 'count'), [('auto', 1), ('none', 0)])
def test_the_cache_is_the_users(models, tmp_path, monkeypatch, cache_dir, count):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    # Not one that another test has compiled.
    Detector(SETTINGS, Runtime(InferenceSettings(cache_dir=cache_dir, streams=1)))
    assert len(list(tmp_path.glob('persontrack_ros/compiled/*.blob'))) == count
