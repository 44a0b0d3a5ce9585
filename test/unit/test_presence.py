"""Test what a report remembers, and the page that is made of it."""

import base64
import re

import cv2
import numpy as np
import pytest

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.media.source import VideoSource
from persontrack_ros.core.report import page as page_module
from persontrack_ros.core.report.observations import Observations
from persontrack_ros.core.report.page import make_page, write_report

SECOND = 1_000_000_000
BOX = np.array([[100.0, 50.0, 40.0, 100.0]])
IMAGE = np.full((240, 320, 3), 90, np.uint8)


def watched(times, start=0, **options):
    """Return what is remembered of one person who is seen at some times, and 10 s in all."""
    seen = Observations((320, 240))
    for tenth in range(101):
        there = tenth / 10 in times
        stamp = start + tenth * SECOND // 10
        seen.add(stamp, [7] * there, BOX[: int(there)], [0.9] * there, **options)
    return seen


def test_visits():
    seen = watched([*np.arange(10, 31) / 10, *np.arange(35, 41) / 10, *np.arange(80, 91) / 10])
    # Half a second is no absence.
    assert seen.persons[7].visits == [(1.0, 4.0), (8.0, 9.0)]
    assert seen.persons[7].present == 4.0
    assert (seen.duration, seen.images, seen.most) == (10.0, 101, 1)
    assert (seen.interval, seen.counts) == (1.0, [0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0])


def test_time_goes_on_where_stamps_go_back():
    seen = Observations((320, 240))
    for stamp in (0, 1, 2, 0, 1, 2):
        seen.add(stamp * SECOND, [1], BOX, [0.9])
    assert seen.duration == 5.0
    assert seen.persons[1].present == 5.0


def test_hours_take_no_more_memory():
    seen = Observations((320, 240))
    for minute in range(10_000):
        boxes = BOX + [minute % 200, 0, 0, 0]
        seen.add(minute * 60 * SECOND, [1, 2][: 1 + minute % 2], boxes.repeat(2, 0), [0.9] * 2)
    assert len(seen.counts) <= 600
    assert seen.interval * len(seen.counts) >= seen.duration
    assert set(seen.counts) == {2}
    one = Observations((320, 240))
    for tenth in range(20_000):
        one.add(tenth * SECOND // 10, [1], BOX + [tenth * 7 % 200, tenth * 3 % 100, 0, 0], [0.9])
    assert len(one.persons[1].ways) == 1
    assert len(one.persons[1].ways[0]) <= 200


def test_the_picture_is_the_best_one():
    seen = Observations()

    def show(box, grey, score=0.9, others=()):
        image = IMAGE.copy()
        left, top, width, height = box
        image[max(0, top) : top + height, max(0, left) : left + width] = grey
        boxes = np.array([box, *others], dtype=float)
        seen.add(0, range(1, 1 + len(boxes)), boxes, [score] * len(boxes), image)
        picture = cv2.imdecode(np.frombuffer(seen.persons[1].picture, np.uint8), 1)
        return round(picture.mean())

    assert show((100, 50, 20, 40), 10) == pytest.approx(10, abs=2)
    # Larger.
    assert show((100, 50, 40, 80), 60) == pytest.approx(60, abs=2)
    # Larger still, but predicted, half outside, behind somebody, hardly recognised.
    assert show((100, 50, 60, 120), 200, score=0.0) == pytest.approx(60, abs=2)
    assert show((-40, 50, 80, 160), 200) == pytest.approx(60, abs=2)
    behind = [(110, 60, 60, 120)]
    assert show((100, 50, 60, 120), 200, others=behind) == pytest.approx(60, abs=2)
    assert show((100, 50, 50, 100), 200, score=0.5) == pytest.approx(60, abs=2)
    assert show((100, 50, 60, 120), 200) == pytest.approx(200, abs=2)


def test_the_scene_is_the_emptiest_image():
    seen = Observations()
    for count, grey in ((1, 30), (0, 90), (1, 200)):
        seen.add(0, [1] * count, BOX[:count], [0.9] * count, np.full_like(IMAGE, grey))
    scene = cv2.imdecode(np.frombuffer(seen.scene, np.uint8), 1)
    assert scene.mean() == pytest.approx(90, abs=2)
    assert seen.size == (320, 240)


def test_nothing_of_a_name_gets_into_the_page():
    evil = '<script>alert("1")</script>&'
    seen = watched([1.0])
    page = make_page(seen, evil, {'detector.model': evil, 'a $name': True}, evil)
    assert '<script' not in page
    assert page.count('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;') == 4
    assert '<td>a $name</td><td>true</td>' in page


def test_what_is_in_the_page():
    page = make_page(watched([1.0], 1_795_762_800 * SECOND, image=IMAGE), 'bag', {})
    # Nothing is fetched, and the times of a bag are told.
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert 'url(' not in page
    assert 'Times count from 2026-11-27 07:00:00 UTC.' in page
    assert 'UTC' not in make_page(watched([1.0]), 'video', {})


@pytest.mark.parametrize('images', [0, 3])
def test_nobody(images):
    seen = Observations()
    for number in range(images):
        seen.add(number * SECOND, [], np.empty((0, 4)), [])
    page = make_page(seen, 'empty', {})
    assert 'Nobody.' in page
    assert f'<dd>{images}</dd>' in page


def test_ten_minutes_are_less_than_three_megabytes(data, persons):
    """Of vtest.avi's kind: shown eight times, with other persons each time."""
    truth = GroundTruth.load(persons).rows
    seen = Observations()
    with VideoSource(str(data('videos/vtest.avi'))) as video:
        for frame in video:
            rows = truth[truth[:, 0] == frame.number]
            for turn in range(8) if frame.number % 5 == 1 else ():
                ids = (rows[:, 1] + 100 * turn).astype(int).tolist()
                stamp = (frame.number * 8 + turn) * SECOND // 10
                seen.add(stamp, ids, rows[:, 2:6], [0.9] * len(ids), frame.image)
    assert seen.duration > 600
    page = make_page(seen, 'vtest.avi', {})
    assert page.count('<tr data-id') == page.count('<img') == len(seen.persons) > 100
    assert len(page) < 3e6


def test_a_page_is_complete_or_absent(tmp_path, monkeypatch):
    path = tmp_path / 'page.html'
    with pytest.raises(ZeroDivisionError), write_report(path, 'video', {}):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    # File names need not be UTF-8.
    with write_report(path, 'a\udcff.mp4', {}) as report:
        report.add_tracks(0, [], IMAGE)
    text = path.read_text()
    assert text.endswith('</html>\n')
    assert 'a?.mp4' in text
    jpeg = re.search(r'href="data:image/jpeg;base64,([^"]+)"', text)[1]
    assert base64.b64decode(jpeg)[:2] == b'\xff\xd8'
    with (
        pytest.raises(OutputError, match='cannot write'),
        write_report(tmp_path / 'missing' / 'page.html', 'video', {}),
    ):
        pass
    path.unlink()
    monkeypatch.setattr(page_module, 'make_page', None)
    with pytest.raises(TypeError), write_report(path, '', {}):
        pass
    assert list(tmp_path.iterdir()) == []
