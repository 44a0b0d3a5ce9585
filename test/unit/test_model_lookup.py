"""Where models are looked up, and what is said when they are not there."""

import os
from pathlib import Path

import pytest

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.inference.files import find_model

NAME = 'person-detection-0202'


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Make two directories to look in, and a cache; return all three."""
    first, second, cache = (tmp_path / name for name in ('first', 'second place', 'cache'))
    monkeypatch.setenv('PERSONTRACK_MODEL_PATH', f'{first}{os.pathsep}{second}')
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    return first, second, cache / 'persontrack_ros' / 'models'


def install(directory: Path, publisher='intel', precision='FP16') -> Path:
    path = directory / publisher / NAME / precision / f'{NAME}.xml'
    path.parent.mkdir(parents=True)
    path.touch()
    path.with_suffix('.bin').touch()
    return path


@pytest.mark.parametrize('publisher', ['intel', ''])
def test_found_in_every_place_the_first_before_others(places, publisher):
    for place in reversed(places):
        path = install(place, publisher)
        assert find_model(NAME, 'FP16') == path


def test_default_cache_is_in_the_home_directory(places, monkeypatch, tmp_path):
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    path = install(tmp_path / 'home' / '.cache' / 'persontrack_ros' / 'models')
    assert find_model(NAME, 'FP16') == path


def test_tilde_and_empty_entries(places, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('PERSONTRACK_MODEL_PATH', f'{os.pathsep}~/mine{os.pathsep}')
    monkeypatch.chdir(tmp_path)
    install(tmp_path, publisher='')  # an empty entry is not the working directory
    path = install(tmp_path / 'mine')
    assert find_model(NAME, 'FP16') == path


def test_a_path_is_taken_as_it_is(places, tmp_path):
    path = tmp_path / 'own.xml'
    path.touch()
    assert find_model(str(path), 'FP16') == path
    with pytest.raises(ModelError, match=r'no model file .*other\.xml'):
        find_model(str(tmp_path / 'other.xml'), 'FP16')


def test_folders(places, tmp_path):
    """That of a SavedModel is a model itself; one called like a file is none."""
    saved = tmp_path / 'saved'
    saved.mkdir()
    (saved / 'saved_model.pb').touch()
    assert find_model(str(saved), '') == saved
    (places[0] / 'intel' / NAME / 'FP16' / f'{NAME}.xml').mkdir(parents=True)
    with pytest.raises(ModelError):
        find_model(NAME, 'FP16')
