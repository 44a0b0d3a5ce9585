"""Videos of all kinds, whole and damaged, made by ffmpeg."""

import cv2
import numpy as np
import pytest

from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.media.source import SourceOptions, VideoSource

FRAMES = 24
TEST = '-f lavfi -i testsrc2=size=322x240:rate=25'
SHORT = f'{TEST} -frames:v {FRAMES}'
WITH_SOUND = f'{TEST} -f lavfi -i sine=d=0.9 -frames:v {FRAMES} -c:a aac'
X264 = '-c:v libx264 -pix_fmt yuv420p'
INTERLACED = '-flags +ilme+ildct'
# 10 images 0.04 s apart, then one each 0.2 s.
VARIABLE = f"{TEST} -frames:v {FRAMES} -vf select='lt(n,10)+not(mod(n,5))' -fps_mode vfr"


def read(path, **options):
    """Return the frames that can be read, and the complaint at the end."""
    frames = []
    with VideoSource(str(path), SourceOptions(**options)) as source:
        try:
            frames.extend(source)
        except SourceError as error:
            return frames, str(error)
    return frames, ''


def opencv(path):
    capture = cv2.VideoCapture(str(path))
    while True:
        read_, image = capture.read()
        if not read_:
            return
        yield image


@pytest.fixture
def make(ffmpeg, tmp_path):
    """Return a function that makes a video of a name from what ffmpeg is told."""

    def make(name, command):
        ffmpeg(f'{command} {{0}}', tmp_path / name)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ('name', 'codec'),
    [
        ('i.mp4', f'{X264} {INTERLACED} -x264-params tff=1:interlaced=1'),
        ('i.ts', f'{X264} {INTERLACED} -x264-params bff=1:interlaced=1'),
        ('i.mpg', f'-pix_fmt yuv420p -c:v mpeg2video -b:v 5M {INTERLACED}'),
        ('i.mkv', f'-pix_fmt yuv422p -c:v mpeg2video -b:v 5M {INTERLACED}'),
        ('i.avi', '-s 720x576 -pix_fmt yuv420p -c:v dvvideo'),
    ],
)
def test_interlaced_video(make, name, codec):
    """With OpenCV, images would be black, or what was left in the memory."""
    size = '-s 720x576' if 'dvvideo' in codec else ''
    interlaced, complaint = read(make(name, f'{SHORT} {codec}'))
    progressive, _ = read(make('p.mp4', f'{SHORT} {size} {X264}'))
    assert complaint == ''
    assert len(interlaced) == len(progressive) == FRAMES
    for one, other in zip(interlaced, progressive):
        difference = np.abs(one.image.astype(int) - other.image)
        assert difference.mean() < 6
        assert other.image.std() > 40


@pytest.mark.parametrize(('name', 'count'), [('vtest.avi', 60), ('TUD-Campus.mp4', 71)])
def test_pixels_are_those_of_opencv(data, campus, name, count):
    """All that was measured and recorded with OpenCV as the reader stays comparable."""
    path = campus if name == 'TUD-Campus.mp4' else data(f'videos/{name}')
    frames, _ = read(path, max_frames=count)
    assert len(frames) == count
    for frame, image in zip(frames, opencv(path)):
        # Between versions of FFmpeg, single pixels differ, 1.03e-4 with that of OpenCV 4.5.
        assert np.mean(frame.image != image) < 2e-4


@pytest.mark.parametrize(
    ('name', 'codec'),
    [
        ('ten.mp4', '-c:v libx264 -pix_fmt yuv420p10le'),
        ('y422.mkv', '-c:v libx264 -pix_fmt yuv422p'),
        ('grey.mp4', '-c:v libx264 -pix_fmt gray'),
        ('mjpeg.avi', '-c:v mjpeg -pix_fmt yuvj420p'),
        ('h264.avi', X264),
        ('h264.ts', X264),
        ('h264.flv', X264),
        ('sound.mp4', X264),
        ('sound.mkv', X264),
        ('fragments.mp4', f'{X264} -movflags frag_keyframe+empty_moov'),
        ('vp9.webm', '-c:v libvpx-vp9 -b:v 500k'),
        ('hevc.mp4', '-c:v libx265 -x265-params log-level=none'),
        ('latin-1.mp4', f'{X264} -metadata title=caf\udce9'),
    ],
)
def test_kinds_of_videos(make, name, codec):
    """Also the time: from 0 on, in even steps, wherever the clock of the file starts."""
    path = make(name, f'{WITH_SOUND if "sound" in name else SHORT} {codec}')
    frames, complaint = read(path)
    assert complaint == ''
    assert len(frames) == FRAMES
    np.testing.assert_allclose(
        [frame.stamp for frame in frames], 40e6 * np.arange(FRAMES), atol=1.1e6
    )
    for frame, image in zip(frames, opencv(path)):
        assert np.abs(frame.image.astype(int) - image).mean() < 2


@pytest.mark.parametrize('angle', [90, 180, 270])
def test_videos_of_telephones_stand_upright(make, ffmpeg, tmp_path, angle):
    """The file says by how much to turn the images."""
    upright = make('upright.mp4', f'{SHORT} {X264}')
    ffmpeg(f'-display_rotation {angle} -i {{0}} -c copy {{1}}', upright, tmp_path / 'turned.mp4')
    turned, _ = read(tmp_path / 'turned.mp4')
    for one, other in zip(turned, read(upright)[0]):
        np.testing.assert_array_equal(one.image, np.rot90(other.image, angle // 90))


@pytest.mark.parametrize('name', ['v.mp4', 'v.mkv', 'v.avi'])
def test_variable_rate(make, name):
    frames, complaint = read(make(name, f'{VARIABLE} -c:v mpeg4'))
    assert complaint == ''
    times = 0.04 * np.concatenate([np.arange(10), 5 * np.arange(2, 2 + FRAMES - 10)])
    np.testing.assert_allclose([frame.stamp / 1e9 for frame in frames], times, atol=1.1e-3)


def test_a_part_that_was_cut_out_is_whole(make, ffmpeg, tmp_path):
    """Cut without encoding anew, it holds images that are not to be shown."""
    whole = make('whole.mp4', f'{TEST} -t 4 {X264} -g 25')
    part = tmp_path / 'part.mp4'
    ffmpeg('-ss 1.3 -i {0} -c copy {1}', whole, part)
    frames, complaint = read(part)
    assert complaint == ''
    assert 60 < len(frames) < 75


@pytest.mark.parametrize(
    ('name', 'codec'),
    [
        ('fast.mp4', f'{X264} -movflags faststart'),
        ('fragments.mp4', f'{X264} -g 8 -movflags frag_keyframe+empty_moov'),
        ('a.mkv', X264),
        ('sound.mkv', X264),
        ('a.avi', '-c:v mpeg4'),
        ('a.flv', X264),
        ('a.webm', '-c:v libvpx-vp9 -b:v 500k'),
    ],
)
@pytest.mark.parametrize('part', [0.5, 0.75])
def test_a_truncated_video(make, name, codec, part):
    """What is there is delivered, and then is said what is missing."""
    path = make(name, f'{WITH_SOUND if "sound" in name else SHORT} {codec}')
    whole, _ = read(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    frames, complaint = read(path)
    assert 0 < len(frames) < FRAMES
    assert f'{path} is damaged' in complaint
    # How much there would be in further fragments, nobody knows.
    assert 'cut off' in complaint
    assert f'of {FRAMES} images' in complaint or name == 'fragments.mp4'
    assert '\n' not in complaint
    images = {frame.stamp: frame.image for frame in whole}
    for frame in frames:
        np.testing.assert_array_equal(frame.image, images[frame.stamp])


@pytest.mark.parametrize('name', ['a.mp4', 'a.avi', 'a.ts'])
def test_damaged_images_are_left_out(make, name):
    """Whatever the decoder made up in their place."""
    path = make(name, f'{SHORT} -c:v mpeg4 -g 1 -b:v 2M')
    whole, _ = read(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    frames, complaint = read(path)
    assert 'damaged and left out' in complaint
    assert FRAMES - 3 <= len(frames) < FRAMES
    # The others are what they were, at their own times.
    images = {frame.stamp: frame.image for frame in whole}
    for frame in frames:
        np.testing.assert_array_equal(frame.image, images[frame.stamp])


CODECS = [X264, '-c:v mpeg2video', '-c:v mpeg4', '-c:v libx265 -x265-params log-level=none']


@pytest.mark.parametrize(('start', 'offset'), [(0, 0), (0, 100), (500, 0)])
@pytest.mark.parametrize('codec', CODECS)
def test_files_put_together(make, codec, start, offset):
    """No image is missing where the second one begins, as after `cat`, and no time is far off."""
    first = make('first.ts', f'{SHORT} {codec} -output_ts_offset {start}')
    second = make('second.ts', f'{SHORT} {codec} -output_ts_offset {offset}')
    both = first.with_name('both.ts')
    both.write_bytes(first.read_bytes() + second.read_bytes())
    frames, complaint = read(both)
    assert len(frames) == 2 * FRAMES or 'libx265' in codec
    assert complaint == '' or 'libx265' in codec
    assert frames[-1].stamp < 200e9
    images = [frame.image for path in (first, second) for frame in read(path)[0]]
    for frame, image in zip(frames, images):
        np.testing.assert_array_equal(frame.image, image)


@pytest.mark.parametrize('codec', CODECS)
def test_packets_that_a_stream_lost(make, codec):
    path = make('a.ts', f'{SHORT} {codec}')
    content = path.read_bytes()
    start = len(content) // 188 // 2 * 188
    path.write_bytes(content[:start] + content[start + 3 * 188 :])
    frames, complaint = read(path)
    assert len(frames) > FRAMES - 5
    assert 'is damaged' in complaint


def test_a_damaged_video_can_be_shown_in_a_loop(make, caplog):
    path = make('a.avi', f'{SHORT} -c:v mjpeg')
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with VideoSource(str(path), SourceOptions(loop=True, max_frames=60)) as source:
        assert len(list(source)) > 50
    assert caplog.text.count('is damaged') == 1


def test_sound_is_no_video(make):
    path = make('sound.m4a', '-f lavfi -i sine=d=1 -c:a aac')
    with pytest.raises(SourceError, match=r'no video in .*sound\.m4a'):
        VideoSource(str(path))
