"""Videos that are written, read with another program's eyes."""

import queue
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from test_video import picture

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.media.source import VideoSource
from persontrack_ros.core.media.writer import VideoWriter


def write(path, stamps, rate=25.0, height=48, width=64):
    with VideoWriter(path, rate) as writer:
        for number, stamp in enumerate(stamps, start=1):
            writer.write(picture(number % 12, height, width), round(stamp * 1e9))


def read(path):
    """Return the times in seconds and the images, as OpenCV has them, and its rate."""
    capture = cv2.VideoCapture(str(path))
    times, images = [], []
    while True:
        read_, image = capture.read()
        if not read_:
            return times, images, capture.get(cv2.CAP_PROP_FPS)
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3)
        images.append(image)


@pytest.mark.parametrize('name', ['out.mp4', 'OUT.MP4', 'out.mkv', 'out.webm'])
@pytest.mark.parametrize('rate', [12.5, 30000 / 1001, 60.0])
def test_written_videos_can_be_read(tmp_path, name, rate):
    write(tmp_path / name, [5 + number / rate for number in range(10)], rate, 240, 320)
    times, images, told = read(tmp_path / name)
    assert told == pytest.approx(rate, rel=0.02)
    np.testing.assert_allclose(times, np.arange(10) / rate, atol=1.1e-3)
    assert [round(image[:, 40:120].mean() / 20) for image in images] == list(range(1, 11))
    with VideoSource(str(tmp_path / name)) as source:
        assert len(list(source)) == 10


# Ten images in a hurry, and then one each half second.
VARIABLE = [*(0.02 * np.arange(10)), *(0.5 * np.arange(1, 15))]


@pytest.mark.parametrize('name', ['out.mp4', 'out.mkv'])
@pytest.mark.parametrize('stamps', [VARIABLE, [0.0, 0.04, 600.0, 600.04]])
def test_every_image_has_its_own_time(tmp_path, name, stamps):
    write(tmp_path / name, stamps, 25.0)
    times, images, _ = read(tmp_path / name)
    assert len(images) == len(stamps)
    np.testing.assert_allclose(times, stamps, atol=1.1e-3)


@pytest.mark.parametrize('name', ['out.mp4', 'out.mkv'])
@pytest.mark.parametrize('size', [(47, 63), (47, 64), (48, 63), (17, 5)])
def test_odd_sizes_are_kept(tmp_path, name, size):
    write(tmp_path / name, [0, 0.04, 0.08], 25.0, *size)
    _, images, _ = read(tmp_path / name)
    assert [image.shape for image in images] == [(*size, 3)] * 3
    with VideoSource(str(tmp_path / name)) as source:
        assert {frame.image.shape for frame in source} == {(*size, 3)}


def test_the_first_image_decides_the_size(tmp_path):
    path = tmp_path / 'out.mp4'
    with VideoWriter(path, 10) as writer:
        for number, (height, width) in enumerate(((48, 64), (96, 128), (24, 64))):
            writer.write(picture(3, height, width), number * 10**8)
    assert [image.shape for image in read(path)[1]] == [(48, 64, 3)] * 3


def test_without_an_image_there_is_no_video(tmp_path):
    with VideoWriter(tmp_path / 'out.mp4', 10):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('name', 'problem'),
    [
        ('nowhere/out.mp4', r'nowhere/out.mp4: No such file or directory'),
        ('out.avi', r'\.webm or \.mkv'),
        ('out.xyz', r'\.webm or \.mkv'),
        ('out', r'\.webm or \.mkv'),
    ],
)
def test_videos_that_cannot_be_written(tmp_path, name, problem):
    with pytest.raises(OutputError, match=problem):
        VideoWriter(tmp_path / name, 10)


# Tells a server what happens, as a picture that is asked for.
PLAYER = """<video id="video" muted></video><script>
const tell = text => new Image().src = `http://127.0.0.1:%d/${text}`;
video.onerror = () => tell(`error ${video.error.message}`);
video.onseeked = () => tell(`${video.videoWidth}x${video.videoHeight}_${video.currentTime}`);
video.onloadeddata = () => video.currentTime = 0.2;
video.src = 'out%s';
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize('suffix', ['.mp4', '.webm'])
def test_a_browser_plays_it(tmp_path, suffix):
    browser = shutil.which('chromium') or shutil.which('google-chrome')
    if browser is None:
        pytest.skip('no chromium: apt-get install chromium')
    write(tmp_path / f'out{suffix}', np.arange(25) / 25, 25.0, 241, 321)
    told = queue.Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            told.put(self.path)
            self.send_response(204)
            self.end_headers()

    server = ThreadingHTTPServer(('127.0.0.1', 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = tmp_path / 'page.html'
    page.write_text(PLAYER % (server.server_port, suffix))
    options = [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        f'--user-data-dir={tmp_path}/profile',
    ]
    options += ['--allow-file-access-from-files', page.as_uri()]
    process = subprocess.Popen([browser, *options], stderr=subprocess.DEVNULL)
    try:
        assert told.get(timeout=300) == '/321x241_0.2'
    finally:
        process.kill()
        process.wait()
        server.shutdown()
