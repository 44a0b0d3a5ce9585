"""What users expect of a command line: no file is lost, and errors help."""

import subprocess
import sys
from xml.etree import ElementTree

import pytest

import persontrack_ros
from persontrack_ros.cli.commands import make_parser
from persontrack_ros.core.base.terminal import tqdm


def run(*arguments, folder=None):
    command = [sys.executable, '-m', 'persontrack_ros', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=folder)


def test_version(request):
    manifest = ElementTree.parse(request.config.rootpath / 'package.xml').getroot()
    assert persontrack_ros.__version__ == manifest.findtext('version')
    assert run('--version').stdout == f'persontrack {persontrack_ros.__version__}\n'


def test_files_that_exist_are_kept(persontrack, stored, tmp_path):
    tracks = tmp_path / 'tracks.txt'
    first = persontrack('track', stored, tracks)
    assert (first.returncode, first.stderr) == (0, f'wrote {tracks}\n')
    written = tracks.read_text()
    tracks.write_text('mine')
    again = persontrack('track', stored, tracks)
    assert again.returncode == 2
    assert f'{tracks} exists already; --overwrite replaces it' in again.stderr
    assert tracks.read_text() == 'mine'
    replaced = persontrack('track', stored, tracks, '--overwrite', '--quiet')
    assert (replaced.returncode, replaced.stderr) == (0, '')
    assert tracks.read_text() == written


def test_standard_output(persontrack, stored, campus, models, tmp_path):
    persontrack('track', stored, tmp_path / 'tracks.txt')
    done = run('track', stored, '-')
    assert (done.stdout, done.stderr) == ((tmp_path / 'tracks.txt').read_text(), '')
    done = run('run', campus, '--max-frames', 8, '--mot-output', '-')
    assert done.returncode == 0
    assert {line.count(',') for line in done.stdout.splitlines()} == {9}
    assert done.stderr.startswith('8 frames, ')
    assert len(done.stderr.splitlines()) == 1  # no progress bar: it is no terminal


def test_what_could_be_written(persontrack, campus, models):
    done = persontrack('run', campus, '--max-frames', 2, '--device', 'cpu')
    assert done.stdout.startswith('2 frames, ')
    assert done.stderr.startswith('nothing was written: --output VIDEO.mp4, --mot-output')
    quiet = persontrack('run', campus, '--max-frames', 2, '--quiet', '--set', 'reid.model=Color')
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, '', '')


def test_two_sources(persontrack):
    done = persontrack('run', 'a.mp4', 'b.mp4')
    assert done.returncode == 2
    assert 'unrecognized arguments: b.mp4; a command takes one source' in done.stderr


def test_names_in_any_case(persontrack, stored, tmp_path):
    for name in ('Deep_SORT', 'deep_sort'):
        done = persontrack(
            'track', stored, tmp_path / f'{name}.txt', '--set', f'tracker.algorithm={name}'
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / 'Deep_SORT.txt').read_text() == (tmp_path / 'deep_sort.txt').read_text()


def test_progress_on_terminals_only(monkeypatch):
    cases = ((True, False, True), (False, False, False), (True, True, False))
    for terminal, quiet, shown in cases:
        monkeypatch.setattr(sys.stderr, 'isatty', lambda value=terminal: value, raising=False)
        monkeypatch.setattr(tqdm, 'quiet', quiet)
        assert tqdm(range(2)).disable != shown


def test_completion():
    """Of commands and options, by argcomplete."""
    argcomplete = pytest.importorskip('argcomplete')
    finder = argcomplete.CompletionFinder(make_parser())
    words = ['persontrack', 'run', 'a.mp4']
    assert '--mot-output ' in finder._get_completions(words, '--mot', '', None)


def test_a_missing_library():
    code = (
        'import sys; sys.modules["cv2"] = None; from persontrack_ros.cli.__main__ import main; '
        'sys.exit(main())'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 2
    assert f'cv2 is missing: "{sys.executable} -m pip install opencv-python"' in done.stderr
