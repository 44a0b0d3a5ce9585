"""Compiled models that are kept: used only where they give what they gave when compiled."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import openvino as ov
import pytest

from persontrack_ros.core.detection.detector import Detector
from persontrack_ros.core.models import cache
from persontrack_ros.core.models.runtime import Runtime
from persontrack_ros.core.parameters.settings import DetectorSettings, InferenceSettings

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
    (file,) = tmp_path.glob('*.model')
    return boxes, file


def test_it_is_used(start, kept):
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, kept[0])
    assert (said, compiled) == ('', 0)


def test_pipes_in_the_place_of_files(start, kept):
    """Nobody writes to them, or reads them: opening one would wait for ever."""
    expected, file = kept
    for each in (file, file.with_suffix('.part')):
        each.unlink(missing_ok=True)
        os.mkfifo(each)
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, expected)
    assert f'{file}: it is no regular file' in said
    assert compiled == 1
    assert start()[1:] == ('', 0), 'it is kept again'


@pytest.mark.parametrize('part', [0, 0.5, 1])
@pytest.mark.fault(
    'disks',
    'a damaged cache of compiled models',
    happens='compiled anew, with a line',
    lost='the time of that',
)
def test_a_damaged_file(start, kept, part):
    expected, file = kept
    content = bytearray(file.read_bytes())
    content[int(part * (len(content) - 1))] ^= 1
    file.write_bytes(content)
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, expected)
    assert f'{file} is damaged: the model is compiled anew' in said
    assert compiled == 1
    assert start()[1:] == ('', 0), 'it is kept again'


def other_model(models):
    """Export a detector with other weights, as a wrong import would have them."""
    core = ov.Core()
    model = core.read_model(models / f'intel/{SETTINGS.model}/FP16/{SETTINGS.model}.xml')
    weights = [each for each in model.get_ops() if each.get_type_name() == 'Constant']
    largest = max(weights, key=lambda each: each.get_byte_size())
    values = np.zeros(largest.get_output_shape(0), np.float16)
    changed = ov.opset13.constant(values, ov.Type.f16)
    for target in largest.output(0).get_target_inputs():
        target.replace_source_output(changed.output(0))
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout('NHWC'))
    steps.input().model().set_layout(ov.Layout('NCHW'))
    return core.compile_model(steps.build(), 'CPU').export_model().getvalue()


@pytest.mark.parametrize('kind', ['other weights', 'no model'])
@pytest.mark.fault(
    'disks',
    'a compiled model that comes back from the cache as another one',
    happens='compiled anew, with a line, and not cached',
    lost='the time of that',
)
def test_what_is_imported_wrongly_is_not_kept(start, kept, models, kind):
    expected, file = kept
    blob = other_model(models) if kind == 'other weights' else b'no model'
    cache._save(file, dataclasses.replace(cache._load(file), blob=blob))
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, expected)
    assert 'gives other results' in said if kind == 'other weights' else 'cannot import it' in said
    assert said.count('compiled anew, now and at every start') == 1
    assert compiled == 1
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, expected)
    assert (said, compiled) == ('', 1), 'told once'


@pytest.mark.fault(
    'disks',
    'a cache whose check values are damaged',
    happens='compiled anew, with a line',
    lost='the time of that',
)
def test_kept_outputs_that_are_wrong(start, kept):
    expected, file = kept
    content = cache._load(file)
    cache._save(file, dataclasses.replace(content, outputs=[0.9 * content.outputs[0]]))
    boxes, said, compiled = start()
    np.testing.assert_array_equal(boxes, expected)
    assert 'gives other results' in said
    assert 'every start' not in said
    assert compiled == 1
    assert start()[1:] == ('', 0), 'it is kept again'


def test_other_contents_of_the_same_file_are_another_model(start, kept, tmp_path):
    """Also another precision, other hints, and other values in its profile."""
    runtime = Runtime(InferenceSettings(cache_dir=str(tmp_path), precision='f32', threads=1))
    Detector(SETTINGS, runtime)
    assert len(list(tmp_path.glob('*.model'))) == 2
