"""Files that are complete or absent, and never one of those that are read."""

import os
import resource
import stat
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from persontrack_ros.bags.types import IMAGE
from persontrack_ros.bags.writer import BagWriter
from persontrack_ros.cli import commands
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.output import OutputFile, write_file
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.evaluation.recording import Recording
from persontrack_ros.core.media.writer import VideoWriter


def test_a_file_is_there_when_it_is_complete(tmp_path):
    path, link = tmp_path / 'out', tmp_path / 'link'
    link.symlink_to('out')
    with OutputFile(link) as file:
        file.write(b'old')
        assert not path.exists()
    with suppress(RuntimeError), OutputFile(path) as file:
        file.write(b'half')
        raise RuntimeError
    assert path.read_bytes() == b'old'
    assert sorted(os.listdir(tmp_path)) == ['link', 'out']
    assert link.is_symlink()


def test_a_new_file_has_the_usual_mode(tmp_path):
    before = os.umask(0o022)
    try:
        write_file(tmp_path / 'out', b'')
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'out').stat().st_mode) == 0o644


def test_devices_and_pipes_are_written_to():
    write_file(Path('/dev/null'), b'x')
    assert stat.S_ISCHR(os.stat('/dev/null').st_mode)


@pytest.mark.parametrize('name', ['', 'no/out', 'x' * 300])
def test_files_that_cannot_be_written(tmp_path, name):
    with pytest.raises(OutputError, match='cannot write') as caught:
        OutputFile(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


IMAGE_ = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def write_video(path):
    with VideoWriter(path, 10) as writer:
        for number in range(60):
            noise = np.random.default_rng(number).integers(0, 256, IMAGE_.shape, dtype=np.uint8)
            writer.write(noise, number * 100_000_000)


def write_tracks(path):
    with MotWriter(path) as writer:
        for number in range(6000):
            writer.add(number, [(1, np.array([1.0, 2, 3, 4]), 1.0)])


def write_recording(path):
    detections = Detections.create(
        np.random.default_rng(1).uniform(1, 200, (50_000, 4)), np.ones(50_000)
    )
    Recording(np.ones(50_000, dtype=np.intp), detections, np.zeros(1, dtype=np.int64)).save(path)


def write_bag(storage):
    def write(path):
        with BagWriter(path, storage) as bag:
            topic = bag.add_topic('/image', IMAGE)
            for number in range(60):
                bag.write(topic, number, IMAGE_.tobytes())

    return write


WRITERS = {
    'out.mp4': write_video,
    'out.mkv': write_video,
    'out.txt': write_tracks,
    'out.npz': write_recording,
    'mcap': write_bag('mcap'),
    'sqlite3': write_bag('sqlite3'),
}


@pytest.mark.parametrize('name', WRITERS)
def test_a_full_disk(tmp_path, name):
    """Of a file that cannot grow, no write fails but the last, or only the closing."""
    folder = tmp_path / 'full'
    folder.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match=f'cannot write .*{name}') as caught:
            WRITERS[name](folder / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert '\n' not in str(caught.value)
    assert os.listdir(folder) == []
    # For nothing but the lack of space.
    WRITERS[name](folder / name)
    assert os.listdir(folder) == [name]


@pytest.mark.parametrize('name', ['out.mp4', 'out.mkv', 'out.txt', 'out.npz'])
def test_a_full_device(tmp_path, name):
    (tmp_path / name).symlink_to('/dev/full')
    with pytest.raises(OutputError, match='No space left'):
        WRITERS[name](tmp_path / name)


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Files of all names that the commands below read, and links to one of them."""
    monkeypatch.chdir(tmp_path)
    for name in ('in.mp4', 'in.npz', 'in.txt', 'p.yaml', 'm.xml', 'm.bin', 'in.png'):
        (tmp_path / name).write_bytes(b'precious')
    for folder, name in (('seq/gt', 'gt.txt'), ('images', '1.png'), ('bag', 'bag.mcap')):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(b'precious')
    (tmp_path / 'soft.mp4').symlink_to('in.mp4')
    return tmp_path


@pytest.mark.parametrize(
    'command',
    [
        'run in.mp4 --output in.mp4',
        'run in.mp4 --output soft.mp4',
        'run in.mp4 --mot-output p.yaml --params p.yaml',
        'run in.mp4 --mot-output m.bin --set detector.model=m.xml',
        'run images --mot-output images/1.png',
        'detect in.npz in.npz',
        'track in.npz in.npz',
        'bag record in.mp4 -o in.mp4 --overwrite',
        'bag track bag --mot-output bag/bag.mcap --overwrite',
        'bag track bag -o bag --overwrite',
    ],
)
def test_nothing_is_written_over_what_is_read(inputs, capsys, command):
    assert commands.main(command.split()) == 2
    assert 'is the input; write to another file' in capsys.readouterr().err
    files = [path for path in inputs.rglob('*') if path.is_file()]
    assert len(files) == 11
    assert all(path.read_bytes() == b'precious' for path in files)


def test_two_outputs_are_two_files(inputs, capsys):
    command = 'run in.mp4 --output out.mp4 --mot-output ./out.mp4'
    assert commands.main(command.split()) == 2
    assert 'are the same file' in capsys.readouterr().err
    assert not (inputs / 'out.mp4').exists()


def test_a_bag_is_not_written_over_the_folder_of_what_is_read(inputs, capsys):
    (inputs / 'bag' / 'metadata.yaml').write_text('')
    (inputs / 'bag' / 'in.mp4').write_bytes(b'precious')
    assert commands.main(['bag', 'record', 'bag/in.mp4', '-o', 'bag', '--overwrite']) == 2
    assert 'bag is the input' in capsys.readouterr().err
    assert (inputs / 'bag' / 'in.mp4').read_bytes() == b'precious'
