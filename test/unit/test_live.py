"""Streams from servers that answer, break off, come back, or say nothing."""

import http.server
import itertools
import os
import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.media import live
from persontrack_ros.core.media.source import SourceOptions, VideoSource

FRAMES = 50
# Seconds.
TIMEOUT = 60


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(live, 'FIRST_PAUSE', 0.05)
    monkeypatch.setattr(live, 'LONGEST_PAUSE', 0.2)


@pytest.fixture(scope='module')
def videos(ffmpeg, tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    for name in ('video.ts', 'fast.mp4'):
        ffmpeg(
            f'-f lavfi -i testsrc2=size=320x240:rate=25 -frames:v {FRAMES} -c:v libx264 -g 10 '
            f'-pix_fmt yuv420p {"-movflags faststart" if name == "fast.mp4" else ""} {{0}}',
            folder / name,
        )
    return folder


def read_file(path):
    with VideoSource(str(path)) as source:
        return list(source)


def assert_same(frames, expected):
    assert [frame.number for frame in frames] == list(range(1, len(expected) + 1))
    for one, other in zip(frames, expected):
        assert one.stamp == other.stamp
        np.testing.assert_array_equal(one.image, other.image)


@contextmanager
def serving(handler):
    """Serve on a thread and return the address."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.BaseHTTPRequestHandler):
    """One answer after the other, of the list of functions `answers`; the last is repeated."""

    answers: tuple = ()
    requests: itertools.count

    def do_GET(self):
        self.answers[min(next(self.requests), len(self.answers) - 1)](self)

    def log_message(self, *_):
        pass


def answering(*functions):
    return type('Handler', (Quiet,), {'answers': functions, 'requests': itertools.count()})


def whole(content, announce=True, share=1.0, after=lambda handler: None):
    """Answer with everything, or a share of what is announced, and do something after it."""

    def answer(handler):
        handler.send_response(200)
        if announce:
            handler.send_header('Content-Length', str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: int(share * len(content))])
        handler.wfile.flush()
        after(handler)

    return answer


def part(content):
    """Break off."""
    return whole(
        content, share=0.4, after=lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    )


def stalling(content):
    """Send half, and then nothing."""
    return whole(content, share=0.5, after=lambda handler: time.sleep(TIMEOUT))


def refusal(handler):
    handler.send_error(503)


@pytest.mark.parametrize('name', ['video.ts', 'fast.mp4'])
def test_files_on_a_server(videos, name, monkeypatch):
    """By the server that comes with Python."""
    monkeypatch.chdir(videos)
    handler = http.server.SimpleHTTPRequestHandler
    monkeypatch.setattr(handler, 'log_message', lambda *_: None)
    with serving(handler) as address, VideoSource(f'{address}/{name}') as source:
        assert not source.is_live
        assert source.rate == 25.0
        assert_same(list(source), read_file(videos / name))


@pytest.mark.parametrize('name', ['video.ts', 'fast.mp4'])
def test_a_file_on_a_server_that_breaks_off(videos, name):
    """The images so far come, and then the error: how much is missing is not hidden."""
    content = (videos / name).read_bytes()
    frames = []
    with (
        serving(answering(part(content), refusal)) as address,
        VideoSource(f'{address}/{name}') as source,
        pytest.raises(SourceError, match=rf'{name} .*after \d+ '),
    ):
        frames.extend(source)


def test_a_live_stream_that_breaks_off(videos, caplog):
    """Nobody says how long it is: it never ends, and its times are those of the arrival."""
    content = (videos / 'video.ts').read_bytes()
    handler = answering(whole(content, False), refusal, whole(content, False))
    options = SourceOptions(max_frames=2 * FRAMES + 10)
    before = time.time_ns()
    with serving(handler) as address, VideoSource(f'{address}/live', options) as source:
        assert source.is_live
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(1, 2 * FRAMES + 11))
    stamps = [before, *(frame.stamp for frame in frames), time.time_ns()]
    assert (np.diff(stamps) > 0).all()
    assert 'trying again in' in caplog.text


@pytest.mark.parametrize('answer', [refusal, whole(b'no video')], ids=['503', 'text'])
def test_what_cannot_be_opened_is_an_error(answer):
    with serving(answering(answer)) as address, pytest.raises(SourceError) as caught:
        VideoSource(f'{address}/a.mp4')
    assert f'cannot decode the video {address}/a.mp4' in str(caught.value)


def test_who_waits_for_an_image_can_be_stopped(videos, monkeypatch):
    from persontrack_ros.core.media import media

    monkeypatch.setattr(media, 'TIMEOUT', (10.0, 600.0))
    content = (videos / 'video.ts').read_bytes()
    numbers = []
    stop = threading.Event()
    with (
        serving(answering(stalling(content))) as address,
        VideoSource(f'{address}/a.ts', SourceOptions(), stop.is_set) as source,
    ):
        reader = threading.Thread(
            target=lambda: numbers.extend(frame.number for frame in source), daemon=True
        )
        reader.start()
        while len(numbers) < 10:
            time.sleep(0.01)
        stop.set()
        # Before the server is given up.
        reader.join(60)
        assert not reader.is_alive()


def test_a_server_that_stalls_is_given_up(videos, monkeypatch):
    from persontrack_ros.core.media import media

    monkeypatch.setattr(media, 'TIMEOUT', (5.0, 0.3))
    handler = answering(stalling((videos / 'video.ts').read_bytes()))
    with (
        serving(handler) as address,
        VideoSource(f'{address}/a.ts') as source,
        pytest.raises(SourceError, match=r'broke off after \d+ images'),
    ):
        list(source)


def test_rtsp_comes_over_tcp(monkeypatch):
    """Over UDP, the first router that is busy costs an image."""
    from persontrack_ros.core.media import media

    given = []

    def refuse(location, options, **_):
        given.append((location, options['rtsp_transport']))
        raise ValueError('refused')

    monkeypatch.setattr(media.av, 'open', refuse)
    with pytest.raises(SourceError, match='refused'):
        VideoSource('rtsp://camera/stream')
    assert given == [('rtsp://camera/stream', 'tcp')]


@pytest.mark.skipif(os.geteuid() != 0, reason='only root makes devices')
def test_a_device_of_any_name_is_a_camera(tmp_path):
    """Also through a link, as in /dev/v4l/by-id."""
    device, link = tmp_path / 'video0', tmp_path / 'usb-Webcam-index0'
    os.mknod(device, 0o020600, os.makedev(81, 250))
    link.symlink_to(device.name)
    for path in (device, link, '/dev/null'):
        with pytest.raises(SourceError, match=f'camera {path} is not there'):
            VideoSource(str(path))
