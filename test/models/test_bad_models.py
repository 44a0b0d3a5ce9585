"""Models that are damaged, of another kind, or for a device that is not there."""

import dataclasses
import hashlib
import os
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.base.fetching import Facts
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.catalogue import Release, catalogue
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.embedder import ModelEmbedder
from persontrack_ros.core.inference.runtime import Runtime

DETECTOR = 'person-detection-0202'
REID = 'person-reidentification-retail-0287'


def load(runtime, kind, path):
    """Load a file as a detector or as a re-identification model."""
    if kind is Detector:
        return Detector(dataclasses.replace(Settings().detector, model=str(path)), runtime)
    return ModelEmbedder(dataclasses.replace(Settings().reid, model=str(path)), runtime)


def assert_refused(runtime, kind, path, *words):
    with pytest.raises(ModelError) as caught:
        load(runtime, kind, path)
    text = str(caught.value)
    assert str(path) in text
    assert '\n' not in text
    for word in words:
        assert word in text


def copied(models, name, folder):
    """Copy a model without its profile; return its .xml."""
    for suffix in ('.xml', '.bin'):
        source = models / 'intel' / name / 'FP16' / f'{name}{suffix}'
        shutil.copyfile(source, folder / source.name)
    return folder / f'{name}.xml'


@pytest.fixture(params=[(Detector, DETECTOR), (ModelEmbedder, REID)], ids=['detector', 'reid'])
def copy(request, models, tmp_path):
    """Copy a model; return the class that loads it, and its .xml."""
    kind, name = request.param
    for source in (models / 'intel' / name / 'FP16').glob(f'{name}.*'):
        shutil.copyfile(source, tmp_path / source.name)
    return kind, tmp_path / f'{name}.xml'


@pytest.mark.parametrize('suffix', ['.xml', '.bin'])
@pytest.mark.parametrize('damage', [0, 0.3, 0.9, b'no model', b'<net/>'])
def test_damaged_files(runtime, copy, suffix, damage):
    """Cut off, or replaced."""
    kind, xml = copy
    file = xml.with_suffix(suffix)
    whole = file.read_bytes()
    file.write_bytes(damage if isinstance(damage, bytes) else whole[: int(damage * len(whole))])
    assert_refused(runtime, kind, xml)


def test_rotten_weights(runtime, models, tmp_path):
    """
    They load without a warning of OpenVINO; only the vectors they give are impossible.

    Rotten detectors give possible scores, and are told by the checksums of their files alone.
    """
    xml = copied(models, REID, tmp_path)
    path = xml.with_suffix('.bin')
    weights = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    random = np.random.default_rng(1)
    for layer in ElementTree.parse(xml).getroot().iter('layer'):
        if layer.get('type') == 'Const' and layer.find('data').get('element_type') == 'f16':
            start, size = (int(layer.find('data').get(name)) for name in ('offset', 'size'))
            high_bytes = weights[start + 1 : start + size : 2]
            high_bytes[random.random(len(high_bytes)) < 0.01] ^= 0x40
    path.write_bytes(weights.tobytes())
    assert_refused(runtime, ModelEmbedder, xml, 'weights are damaged')


def flip(path):
    """Damage a bit of a file, and leave its time as it is."""
    time = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))


@pytest.mark.parametrize('suffix', ['.bin', '.xml'])
def test_damage_to_published_models(runtime, models, tmp_path, monkeypatch, suffix):
    """It does not show in what they give, only in their hashes."""
    folder = tmp_path / DETECTOR / 'FP16'
    shutil.copytree(models / 'intel' / DETECTOR / 'FP16', folder)
    for file in folder.iterdir():
        file.chmod(0o600)
    # What stands in for the detector is as good as published here.
    files = {
        name: Facts(len(content), hashlib.sha384(content).hexdigest())
        for name in (f'{DETECTOR}.bin', f'{DETECTOR}.xml')
        for content in [(folder / name).read_bytes()]
    }
    releases = catalogue()[DETECTOR].releases
    monkeypatch.setitem(releases, 'FP16', (*releases['FP16'], Release('here', files)))
    xml = folder / f'{DETECTOR}.xml'
    load(runtime, Detector, xml)
    flip(xml.with_suffix(suffix))
    with pytest.raises(ModelError, match=f'{suffix} is damaged or was changed'):
        load(runtime, Detector, xml)


def test_the_other_kind_of_model(runtime, models, tmp_path):
    # Their profiles would be refused before.
    reid, detector = (copied(models, name, tmp_path) for name in (REID, DETECTOR))
    assert_refused(runtime, Detector, reid, 'no detector')
    assert_refused(runtime, ModelEmbedder, detector, 'no re-identification model')


@pytest.mark.parametrize(
    ('name', 'precision'),
    [('person-reidentification-retail-0288', 'FP16'), (REID, 'FP16-INT8')],
)
def test_other_reid_models_of_the_zoo(zoo, runtime, vtest, name, precision):
    settings = dataclasses.replace(Settings().reid, model=name, precision=precision)
    boxes = np.array([[100, 100, 50, 120.0]])
    assert ModelEmbedder(settings, runtime).embed(vtest[1], boxes).shape == (1, 256)


def test_a_device_that_is_missing_is_told_of_once(models, caplog):
    runtime = Runtime()
    settings = dataclasses.replace(Settings().reid, device='AUTO:GPU.9,CPU')
    assert ModelEmbedder(settings, runtime).device == 'CPU'
    assert caplog.messages == ['AUTO:GPU.9,CPU: CPU is the first that there is']
