"""Video files, folders of images and cameras as sources; files of video as output."""

import os

import cv2
import numpy as np
import pytest
from numbered_pictures import picture, write_video

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.media.folder import read_image
from persontrack_ros.core.media.source import SourceOptions, VideoSource

FRAMES = 8
RATE = 25.0


def numbers(frames):
    return [round(float(frame.image[:, 4:24].mean()) / 20) for frame in frames]


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / 'a video.mp4', FRAMES, RATE)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'images'
    path.mkdir()
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(path / f'img{number + 2}.png'), picture(number))
    (path / 'notes.txt').write_text('no image')
    return str(path)


@pytest.fixture(params=['video', 'folder'])
def source(request):
    return request.getfixturevalue(request.param)


def read(source, **options):
    with VideoSource(source, SourceOptions(**options)) as opened:
        return list(opened)


def assert_increasing(frames):
    assert (np.diff([frame.stamp for frame in frames]) > 0).all()


def test_every_image(source):
    frames = read(source)
    assert_increasing(frames)
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    assert all(frame.image.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize(
    ('options', 'count', 'expected'),
    [
        ({}, FRAMES, range(1, FRAMES + 1)),
        ({'skip_frames': 1}, FRAMES - 1, range(2, FRAMES + 1)),
        ({'skip_frames': 5}, FRAMES - 5, range(6, FRAMES + 1)),
        ({'max_frames': FRAMES + 5}, FRAMES, range(1, FRAMES + 1)),
        # Counted after those that are skipped.
        ({'skip_frames': 2, 'max_frames': 3}, 3, [3, 4, 5]),
        ({'skip_frames': 6, 'max_frames': 5}, 2, [7, 8]),
        # The first ones are skipped once.
        ({'loop': True, 'skip_frames': 6, 'max_frames': 4}, 4, [7, 8, 1, 2]),
        ({'loop': True}, None, None),
    ],
)
def test_which_frames_come(source, options, count, expected):
    with VideoSource(source, SourceOptions(**options)) as opened:
        assert opened.frame_count == count
        frames = list(opened) if count else []
    if frames:
        assert numbers(frames) == list(expected)
        # Delivered frames are counted, but their time is that of the source.
        assert [frame.number for frame in frames] == list(range(1, count + 1))
        assert frames[0].stamp == read(source)[options.get('skip_frames', 0)].stamp


@pytest.mark.parametrize('skip', [FRAMES, FRAMES + 5])
def test_skipping_everything_is_an_error(source, skip):
    with pytest.raises(SourceError, match=f'no image .* after the first {skip}'):
        read(source, skip_frames=skip)


def test_flip_mirrors_left_to_right(source):
    plain, mirrored = (read(source, flip=flip)[0].image for flip in (False, True))
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])
    assert mirrored[:, :20].mean() > 240


@pytest.mark.parametrize(
    ('width', 'height', 'shape'),
    [
        (32, 24, (24, 32, 3)),
        (32, 0, (24, 32, 3)),
        (0, 96, (96, 128, 3)),
        (10, 40, (40, 10, 3)),
        (1, 0, (1, 1, 3)),
        (0, 0, (48, 64, 3)),
    ],
)
def test_size(source, width, height, shape):
    assert {frame.image.shape for frame in read(source, width=width, height=height)} == {shape}


def test_loop_goes_on_with_the_time(source):
    frames = read(source, loop=True, max_frames=3 * FRAMES - 2)
    expected = 3 * list(range(1, FRAMES + 1))
    assert numbers(frames) == expected[:-2]
    assert_increasing(frames)
    gaps = np.diff([frame.stamp for frame in frames])
    np.testing.assert_allclose(gaps, gaps[0], rtol=0.1)


def test_rate(video, folder):
    for source, rate in ((video, RATE), (folder, 10.0)):
        with VideoSource(source) as opened:
            assert opened.rate == pytest.approx(rate)


def test_a_raw_stream_has_increasing_stamps(data, campus, ffmpeg, tmp_path):
    """A .264 file has neither times nor a number of frames."""
    if os.environ.get('PERSONTRACK_TEST_DATA'):
        path = data('videos/people-detection.264')
    else:
        path = tmp_path / 'raw.264'
        ffmpeg('-i {0} -c:v libx264 {1}', campus, path)
    with VideoSource(str(path), SourceOptions(max_frames=60)) as opened:
        assert opened.frame_count in (None, 60)
        assert 1 <= opened.rate <= 1000
        frames = list(opened)
    assert len(frames) == 60
    assert_increasing(frames)
    np.testing.assert_allclose(
        np.diff([frame.stamp for frame in frames]), 1e9 / opened.rate, rtol=0.01
    )


@pytest.mark.parametrize('name', ['x' * 300, 'a\0b', '', 'file.txt/video.mp4'])
def test_names_that_no_file_has(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file.txt').touch()
    with pytest.raises(SourceError, match='no such video, folder or camera'):
        VideoSource(name)


def test_numbers_in_names_count_as_numbers(tmp_path):
    names = ['1.png', 'f1.png', 'f2.png', 'f2b.png', 'f03.jpg', 'f9.PNG', 'f10.png', 'g0.png']
    for number, name in enumerate(names, start=1):
        cv2.imwrite(str(tmp_path / name), picture(number))
    assert numbers(read(str(tmp_path))) == list(range(1, len(names) + 1))


def test_files_that_begin_with_a_dot_are_no_images(folder, tmp_path):
    """Such as those that macOS leaves in archives."""
    (tmp_path / 'images' / '._img3.png').write_bytes(b'\0\5\26\7Mac OS X')
    assert numbers(read(folder)) == list(range(1, FRAMES + 1))


def test_an_image_is_a_short_video(folder, tmp_path):
    assert numbers(read(str(tmp_path / 'images' / 'img5.png'))) == [3]


def test_a_camera_that_is_not_there():
    for number in ('97', '4294967296', '12345678901234567890', '9' * 5000):
        with pytest.raises(SourceError, match=f'camera {number[:500]}.* is not there'):
            VideoSource(number)
    with pytest.raises(SourceError, match='no such video, folder or camera'):
        VideoSource('²')


def test_images_of_other_kinds_become_bgr(tmp_path):
    grey = tmp_path / 'grey.png'
    cv2.imwrite(str(grey), picture(3)[..., 0])
    alpha = tmp_path / 'alpha.png'
    cv2.imwrite(str(alpha), np.full((4, 6, 4), (10, 20, 30, 128), dtype=np.uint8))
    deep = tmp_path / 'deep.png'
    cv2.imwrite(str(deep), np.array([[40 * 257, 65535]], dtype=np.uint16))
    assert read_image(grey).shape == (48, 64, 3)
    assert read_image(alpha)[0, 0].tolist() == [10, 20, 30]
    assert read_image(deep)[0, 0].tolist() == [40, 40, 40]
    assert read_image(deep).dtype == np.uint8


def test_images_of_12_bits_in_a_folder(tmp_path):
    """The second one is dark, and stays so."""
    for number, level in enumerate((4095, 1000)):
        grey = np.full((4, 6), level, dtype=np.uint16)
        cv2.imwrite(str(tmp_path / f'{number}.png'), grey)
    with VideoSource(str(tmp_path)) as source:
        assert [frame.image.max() for frame in source] == [255, 62]


@pytest.mark.parametrize('content', [None, b'', b'GIF89a nonsense', b'\x89PNG\r\n\x1a\n'])
def test_images_that_cannot_be_read(tmp_path, content):
    path = tmp_path / 'image.png'
    if content is not None:
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r'cannot decode the image .*image\.png'):
            read(str(tmp_path))
    with pytest.raises(SourceError, match=r'image.*image\.png'):
        read_image(path)
