"""Streams from servers that answer, break off, come back, or say nothing."""

from __future__ import annotations

import http.server
import itertools
import os
import re
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.media import live
from persontrack_ros.core.media.source import SourceOptions, VideoSource

FRAMES = 50
# Whoever waits this long has failed.
TIMEOUT = 60


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(live, 'FIRST_PAUSE', 0.05)
    monkeypatch.setattr(live, 'LONGEST_PAUSE', 0.2)


@pytest.fixture(scope='module')
def videos(ffmpeg, tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    for name in ('video.mp4', 'video.ts', 'fast.mp4'):
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


def whole(content, announce=True):
    """Answer with everything."""

    def answer(handler):
        handler.send_response(200)
        if announce:
            handler.send_header('Content-Length', str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def part(content, share):
    """Announce everything, and break off."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header('Content-Length', str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: int(share * len(content))])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    return answer


def refusal(handler):
    handler.send_error(503)


@pytest.mark.parametrize('name', ['video.mp4', 'video.ts', 'fast.mp4'])
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
def test_a_server_that_breaks_off_and_comes_back(videos, name, caplog):
    """Every image comes once, whatever the server does meanwhile."""
    content = (videos / name).read_bytes()
    handler = answering(part(content, 0.4), refusal, refusal, part(content, 0.7), whole(content))
    with serving(handler) as address, VideoSource(f'{address}/{name}') as source:
        assert_same(list(source), read_file(videos / name))
    assert caplog.text.count('trying again in') == 4
    pauses = [float(record.args[1]) for record in caplog.records]
    assert pauses[1:3] == [pytest.approx(0.1), pytest.approx(0.2)]


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


def test_a_damaged_file_on_a_server_is_an_error(videos):
    """The connection is not to blame for it."""
    content = (videos / 'fast.mp4').read_bytes()
    handler = answering(whole(content[: len(content) // 2]))
    frames = []
    with (
        serving(handler) as address,
        VideoSource(f'{address}/a.mp4') as source,
        pytest.raises(SourceError, match=rf'of {FRAMES} images'),
    ):
        frames.extend(frame.number for frame in source)


@pytest.mark.parametrize('answer', [refusal, whole(b'no video')], ids=['503', 'text'])
def test_what_cannot_be_opened_is_an_error(answer):
    with serving(answering(answer)) as address, pytest.raises(SourceError) as caught:
        VideoSource(f'{address}/a.mp4')
    assert f'cannot decode the video {address}/a.mp4' in str(caught.value)


def test_nobody_serves():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for url in (f'http://127.0.0.1:{port}/a.ts', f'rtsp://127.0.0.1:{port}/camera'):
        with pytest.raises(SourceError, match='Connection refused'):
            VideoSource(url)


def silence(handler):
    time.sleep(TIMEOUT)


def stalling(content):
    """Send half, and then nothing."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header('Content-Length', str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        time.sleep(TIMEOUT)

    return answer


def test_who_waits_for_an_image_can_be_stopped(videos):
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
        reader.join(5)
        assert not reader.is_alive()


def test_a_server_that_stalls_is_given_up(videos, monkeypatch):
    from persontrack_ros.core.media import media

    monkeypatch.setattr(media, 'TIMEOUT', (5.0, 0.3))
    content = (videos / 'video.ts').read_bytes()
    handler = answering(stalling(content), whole(content))
    with serving(handler) as address, VideoSource(f'{address}/a.ts') as source:
        assert_same(list(source), read_file(videos / 'video.ts'))


def test_a_stream_that_ffmpeg_sends(videos):
    """At the pace of a camera, over TCP."""
    program = pytest.importorskip('imageio_ffmpeg').get_ffmpeg_exe()
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        url = f'tcp://127.0.0.1:{free.getsockname()[1]}'
    sending = [program, '-v', 'error', '-re', '-stream_loop', '-1', '-i', str(videos / 'video.ts')]
    sender = subprocess.Popen([*sending, '-c', 'copy', '-f', 'mpegts', f'{url}?listen=1'])
    try:
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                source = VideoSource(url, SourceOptions(max_frames=30))
                break
            except SourceError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with source:
            assert source.is_live
            assert len(list(source)) == 30
    finally:
        sender.kill()
        sender.wait()


class RtspCamera:
    """A camera that speaks RTSP, over TCP: it passes on what ffmpeg sends by RTP."""

    def __init__(self, video, folder):
        self._packets = socket.socket(type=socket.SOCK_DGRAM)
        self._packets.bind(('127.0.0.1', 0))
        self._packets.settimeout(0.2)
        self._server = socket.create_server(('127.0.0.1', 0))
        self.url = f'rtsp://127.0.0.1:{self._server.getsockname()[1]}/camera'
        self.clients = 0
        self.hang_up = False
        program = pytest.importorskip('imageio_ffmpeg').get_ffmpeg_exe()
        sdp = folder / 'camera.sdp'
        target = f'rtp://127.0.0.1:{self._packets.getsockname()[1]}?pkt_size=1200'
        command = [program, '-v', 'error', '-re', '-stream_loop', '-1', '-i', str(video)]
        command += ['-c', 'copy', '-sdp_file', str(sdp), '-f', 'rtp', target]
        self._sender = subprocess.Popen(command)
        deadline = time.monotonic() + TIMEOUT
        while not (sdp.exists() and 'sprop-parameter-sets' in sdp.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self._description = sdp.read_text() + 'a=control:track\r\n'
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._sender.kill()
        self._sender.wait()
        self._server.close()

    def _serve(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.clients += 1
            self.hang_up = False
            with client, suppress(OSError):
                while not self._answer(client):
                    pass
                while not self.hang_up:
                    packet = self._packets.recv(2000)
                    client.sendall(b'$\0' + len(packet).to_bytes(2, 'big') + packet)

    def _answer(self, client):
        """Answer a request; return whether the images are to be sent now."""
        request = b''
        while not request.endswith(b'\r\n\r\n'):
            part = client.recv(1)
            if not part:
                raise OSError
            request += part
        method = request.split()[0]
        number = re.search(rb'CSeq: *(\d+)', request)[1].decode()
        lines = ['RTSP/1.0 200 OK', f'CSeq: {number}', 'Session: 1']
        body = ''
        if method == b'OPTIONS':
            lines.append('Public: DESCRIBE, SETUP, PLAY, TEARDOWN')
        if method == b'DESCRIBE':
            body = self._description
            lines += ['Content-Type: application/sdp', f'Content-Length: {len(body)}']
        if method == b'SETUP':
            assert b'RTP/AVP/TCP' in request
            lines.append('Transport: RTP/AVP/TCP;unicast;interleaved=0-1')
        client.sendall('\r\n'.join([*lines, '', body]).encode())
        return method == b'PLAY'


@pytest.fixture
def rtsp_camera(videos, tmp_path):
    camera = RtspCamera(videos / 'video.mp4', tmp_path)
    yield camera
    camera.close()


def test_a_camera_that_speaks_rtsp(rtsp_camera, videos, caplog):
    """Also when it hangs up."""
    whole_images = [frame.image for frame in read_file(videos / 'video.mp4')]
    with VideoSource(rtsp_camera.url, SourceOptions(max_frames=80)) as source:
        assert source.is_live
        seen = 0
        for frame in source:
            seen += any(np.array_equal(frame.image, image) for image in whole_images)
            if frame.number == 30:
                rtsp_camera.hang_up = True
    assert frame.number == 80
    # It comes in in the midst of the video, and nothing is right until the next whole image.
    assert seen > 40
    assert rtsp_camera.clients == 2
    assert f'{rtsp_camera.url} gives no more images; trying again' in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason='only root makes devices')
def test_a_device_of_any_name_is_a_camera(tmp_path):
    """Also through a link, as in /dev/v4l/by-id."""
    device, link = tmp_path / 'video0', tmp_path / 'usb-Webcam-index0'
    os.mknod(device, 0o020600, os.makedev(81, 250))
    link.symlink_to(device.name)
    for path in (device, link, '/dev/null'):
        with pytest.raises(SourceError, match=f'camera {path} is not there'):
            VideoSource(str(path))
