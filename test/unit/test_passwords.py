"""Passwords of cameras and servers are used, and never shown."""

import base64
import traceback

import pytest
from test_live import answering, refusal, serving, videos, whole  # noqa: F401 - a fixture

from persontrack_ros.core.base.errors import SourceError, one_line, without_passwords
from persontrack_ros.core.base.fetching import fetch
from persontrack_ros.core.media import live
from persontrack_ros.core.media.source import VideoSource

LOGIN = 'admin:geheim'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('rtsp://admin:geheim@cam:554/stream', 'rtsp://***@cam:554/stream'),
        ('no rtsp://admin:@cam/x: refused', 'no rtsp://***@cam/x: refused'),
        ('rtsp://admin:ge@heim@cam/x', 'rtsp://***@cam/x'),
        ('rtsp://admin:ge/heim@cam/x', 'rtsp://***@cam/x'),
        ('rtsp://admin:ge?h#eim@cam/x', 'rtsp://***@cam/x'),
        ('rtsp://admin:ge heim@cam/x', 'rtsp://***@cam/x'),
        (
            "'http://a:geheim@[::1]:80/x' and 'udp://b:geheim@c'",
            "'http://***@[::1]:80/x' and 'udp://***@c'",
        ),
        ('http:/admin:geheim@cam', 'http:/***@cam'),
        ('rtsp://cam/user=admin&password=geheim', 'rtsp://cam/user=admin&password=***'),
        ('http://cam/video?usr=admin&pwd=geheim&x=1', 'http://cam/video?***'),
        ('no srt://cam:9000?streamid=geheim: refused', 'no srt://cam:9000?***: refused'),
        (
            "'http://cam/x?login=geheim', 'http://cam/#geheim'",
            "'http://cam/x?***', 'http://cam/#***'",
        ),
        ('rtsp://a:1234/geheim@cam/x', 'rtsp://***@cam/x'),
    ],
)
def test_what_is_hidden(text, expected):
    assert without_passwords(text) == expected
    assert one_line(RuntimeError(text)) == f'RuntimeError: {expected}'
    assert repr(SourceError(text)) == repr(SourceError(expected))


@pytest.mark.parametrize(
    'text',
    [
        'rtsp://cam/stream',
        'http://[::1]:8080/@user/video@2x.mp4',
        'http://cam:8080: broke off; mail to a@b',
        'file:///home/a@b/video.mp4',
        'C:/a@b/video.mp4',
        'a@b.mp4: password=none',
    ],
)
def test_what_is_not(text):
    assert without_passwords(text) == text


def protected(answer):
    """Answer only those who log in."""

    def check(handler):
        login = f'Basic {base64.b64encode(LOGIN.encode()).decode()}'
        if handler.headers['Authorization'] == login:
            answer(handler)
        else:
            handler.send_response(401)
            handler.send_header('WWW-Authenticate', 'Basic realm="camera"')
            handler.end_headers()

    return check


def test_a_server_that_wants_one(videos, caplog):  # noqa: F811
    content = (videos / 'video.ts').read_bytes()
    with serving(answering(protected(whole(content)))) as address:
        mirror = address.replace('://', f'://{LOGIN}@')
        with VideoSource(f'{mirror}/video.ts') as source:
            assert sum(1 for _ in source) == 50
            assert source.name == address.replace('://', '://***@') + '/video.ts'
        assert fetch(f'{mirror}/video.ts', len(content)) == content
    assert 'geheim' not in caplog.text


@pytest.mark.parametrize('scheme', ['http', 'rtsp', 'rtmp', 'nothing'])
def test_tracebacks(scheme):
    with pytest.raises(SourceError, match='cannot decode the video') as caught:
        VideoSource(f'{scheme}://{LOGIN}@127.0.0.1:1/video.ts')
    assert 'geheim' not in ''.join(traceback.format_exception(caught.value))


def test_a_stream_that_breaks(videos, monkeypatch, caplog):  # noqa: F811
    monkeypatch.setattr(live, 'FIRST_PAUSE', 0.05)
    content = (videos / 'video.ts').read_bytes()
    answers = answering(whole(content[:40_000], announce=False), refusal, refusal)
    with (
        serving(answers) as address,
        VideoSource(
            address.replace('://', f'://{LOGIN}@'),
            stopped=lambda: 'trying again' in caplog.text,
        ) as source,
    ):
        list(source)
    assert '***@' in caplog.text
    assert 'geheim' not in caplog.text
