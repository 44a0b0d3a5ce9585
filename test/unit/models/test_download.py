"""Installing models from a real HTTP server on this machine."""

import http.server
import shutil
import subprocess
import sys
import threading
import time

import pytest

from persontrack_ros.cli.commands import main
from persontrack_ros.core.base import fetching
from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.inference.files import find_model

DETECTOR = 'person-detection-0202'
REID = 'person-reidentification-retail-0287'
PART_OF_URL = 'repositories/open_model_zoo/2021.4/models_bin/3'


@pytest.fixture
def models(zoo):
    """Return the directory of published models."""
    return zoo


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give every test a cache of its own."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.delenv('PERSONTRACK_MODEL_PATH', raising=False)
    monkeypatch.delenv('PERSONTRACK_MODEL_MIRROR', raising=False)
    return tmp_path / 'cache' / 'persontrack_ros' / 'models'


class Server(http.server.ThreadingHTTPServer):
    """Serves a directory, with the faults that a test asks for."""

    def __init__(self, root):
        self.root = root
        self.fault = ''
        self.paths: list[str] = []
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server_address[1]}'


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self):
        fault = self.server.fault
        self.server.paths.append(self.path)
        path = self.server.root / self.path.lstrip('/')
        if fault == '503':
            self.send_error(503)
            return
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        size = len(content)
        if path.suffix == '.bin':
            if fault == 'flipped':
                content = content[:-1] + bytes([content[-1] ^ 1])
            elif fault == 'longer':
                content += bytes(100)
                size += 100
            elif fault == 'cut':
                content = content[: size // 2]
            elif fault == 'silent':
                time.sleep(2)
        self.send_response(200)
        self.send_header('Content-Length', str(size))
        self.end_headers()
        try:
            self.wfile.write(content)
        except ConnectionError:
            pass

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(models):
    """Serve the published models."""
    with Server(models) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def files_of(directory):
    return sorted(path.name for path in directory.rglob('*') if path.is_file())


def error_of(capsys, *arguments):
    """Run a command that must fail; return its last line."""
    assert main(['models', *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    return last[last.index('persontrack: error: ') :]


@pytest.mark.parametrize('kind', ['url', 'directory'])
def test_the_defaults_are_installed_and_verified(kind, models, server, cache, capsys):
    mirror = server.url if kind == 'url' else str(models)
    assert main(['models', 'download', '--mirror', mirror]) == 0
    assert files_of(cache) == [f'{DETECTOR}.bin', f'{DETECTOR}.xml', f'{REID}.bin', f'{REID}.xml']
    capsys.readouterr()
    assert main(['models', 'verify']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert f'{DETECTOR} FP16: ok, release 2021.4' in lines[0]
    assert f'{REID} FP16: ok, release 2023.0' in lines[1]
    path = cache / DETECTOR / 'FP16' / f'{DETECTOR}.xml'
    assert path.read_bytes() == (models / f'intel/{DETECTOR}/FP16/{DETECTOR}.xml').read_bytes()
    assert main(['models', 'list']) == 0
    assert f'FP16          3.9 MB  {path.parent}' in capsys.readouterr().out
    # What is installed is not fetched again.
    requests = len(server.paths)
    assert main(['models', 'download', '--mirror', mirror]) == 0
    assert len(server.paths) == requests


def test_a_mirror_may_have_the_paths_of_the_zoo(models, tmp_path, cache):
    folder = tmp_path / 'mirror' / PART_OF_URL / DETECTOR / 'FP16'
    shutil.copytree(models / 'intel' / DETECTOR / 'FP16', folder)
    assert main(['models', 'download', DETECTOR, '--mirror', str(tmp_path / 'mirror')]) == 0
    assert files_of(cache) == [f'{DETECTOR}.bin', f'{DETECTOR}.xml']


@pytest.mark.parametrize(
    ('fault', 'said'),
    [
        ('flipped', 'or another SHA-384'),
        ('longer', 'larger than the 3634654 bytes expected'),
        ('cut', 'the connection was cut after 1817313 of 3634626 bytes'),
        ('silent', 'no answer within 0.5 seconds'),
        ('503', 'HTTP 503 Service Unavailable'),
    ],
)
def test_a_fault_leaves_nothing(fault, said, server, cache, capsys, monkeypatch):
    monkeypatch.setattr(fetching, 'TIMEOUT', 0.5)
    server.fault = fault
    assert said in error_of(capsys, 'download', DETECTOR, '--mirror', server.url)
    assert files_of(cache) == []
    server.fault = ''
    assert main(['models', 'download', DETECTOR, '--mirror', server.url]) == 0


def test_a_mirror_without_the_model(server, capsys):
    line = error_of(capsys, 'download', 'person-detection-0201', '--mirror', server.url)
    assert f'{server.url} does not have person-detection-0201 (FP16)' in line
    line = error_of(capsys, 'download', 'person-detektion-0202')
    assert 'there is no model called person-detektion-0202' in line


@pytest.mark.slow
def test_processes_at_once_do_no_harm(zoo, server, cache):
    command = [sys.executable, '-m', 'persontrack_ros.cli', 'models', 'download', DETECTOR]
    processes = [subprocess.Popen([*command, '--mirror', server.url]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert files_of(cache) == [f'{DETECTOR}.bin', f'{DETECTOR}.xml']
    assert main(['models', 'verify']) == 0


def test_a_damaged_model_is_found_and_replaced(models, cache, capsys):
    assert main(['models', 'download', DETECTOR, '--mirror', str(models)]) == 0
    weights = cache / DETECTOR / 'FP16' / f'{DETECTOR}.bin'
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)
    assert main(['models', 'verify']) == 1
    assert f'{weights.name} is damaged or was changed' in capsys.readouterr().out
    assert main(['models', 'download', DETECTOR, '--mirror', str(models)]) == 0
    assert main(['models', 'verify']) == 0


@pytest.mark.parametrize(
    ('precision', 'command'),
    [
        ('FP16', f'persontrack models download {DETECTOR}"'),
        ('FP32', f'persontrack models download {DETECTOR} --precision FP32"'),
        ('INT8', f'persontrack models quantize {DETECTOR} --calibration VIDEO"'),
    ],
)
def test_a_missing_model_names_the_command(cache, precision, command):
    with pytest.raises(ModelError, match=f'Run "{command}.* Looked in {cache}/intel/{DETECTOR}/'):
        find_model(DETECTOR, precision)
