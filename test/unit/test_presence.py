"""Test what a report remembers, and the page that is made of it."""

import json
import re

import cv2
import numpy as np
import pytest

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.report import page as page_module
from persontrack_ros.core.report.events import ZoneCounter
from persontrack_ros.core.report.observations import Observations
from persontrack_ros.core.report.page import make_page, write_report
from persontrack_ros.core.report.zones import Zones
from persontrack_ros.core.tracking.track import Track, TrackState

SECOND = 1_000_000_000
BOX = np.array([[100.0, 50.0, 40.0, 100.0]])
IMAGE = np.full((240, 320, 3), 90, np.uint8)


def add(observations, stamp, ids, boxes, scores, *more, **options):
    """Add persons who are detected, or predicted with the score 0."""
    tracks = [
        Track(id_, box, np.zeros(2), score, TrackState.CONFIRMED, 1, 1, 0, 0 if score else None)
        for id_, box, score in zip(ids, boxes, scores)
    ]
    observations.add(stamp, tracks, *more, **options)


def watched(times, start=0, **options):
    """Return what is remembered of one person who is seen at some times, and 10 s in all."""
    seen = Observations((320, 240))
    for tenth in range(101):
        there = tenth / 10 in times
        stamp = start + tenth * SECOND // 10
        add(seen, stamp, [7] * there, BOX[: int(there)], [0.9] * there, **options)
    return seen


def data_of(page):
    """Return the data in a page."""
    return json.loads(re.search(r'id="data">(.*)</script>', page)[1])


def test_visits():
    seen = watched([*np.arange(10, 31) / 10, *np.arange(35, 41) / 10, *np.arange(80, 91) / 10])
    # Half a second is no absence.
    assert seen.persons[7].visits == [(1.0, 4.0), (8.0, 9.0)]
    assert seen.persons[7].present == 4.0
    assert (seen.duration, seen.images, seen.most) == (10.0, 101, 1)
    assert seen.counts == (1.0, [0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0])


def test_time_goes_on_where_stamps_go_back():
    seen = Observations((320, 240))
    for stamp in (0, 1, 2, 0, 1, 2):
        add(seen, stamp * SECOND, [1], BOX, [0.9])
    assert seen.duration == 5.0
    assert seen.persons[1].present == 5.0


def test_hours_take_no_more_memory():
    seen = Observations((320, 240))
    for minute in range(10_000):
        boxes = BOX + [minute % 200, 0, 0, 0]
        add(seen, minute * 60 * SECOND, [1, 2][: 1 + minute % 2], boxes.repeat(2, 0), [0.9] * 2)
    width, counts = seen.counts
    assert len(counts) <= 600
    assert width * len(counts) >= seen.duration
    assert set(counts) == {2}
    one = Observations((320, 240))
    for tenth in range(20_000):
        add(one, tenth * SECOND // 10, [1], BOX + [tenth * 7 % 200, tenth * 3 % 100, 0, 0], [0.9])
    assert len(one.persons[1].ways) == 1
    assert len(one.persons[1].ways[0]) <= 200


def test_the_picture_is_the_best_one():
    seen = Observations()

    def show(box, grey, score=0.9, others=()):
        image = IMAGE.copy()
        left, top, width, height = box
        image[max(0, top) : top + height, max(0, left) : left + width] = grey
        boxes = np.array([box, *others], dtype=float)
        add(seen, 0, range(1, 1 + len(boxes)), boxes, [score] * len(boxes), image)
        picture = cv2.imdecode(np.frombuffer(seen.persons[1].picture, np.uint8), 1)
        return round(picture.mean())

    assert show((100, 50, 20, 40), 10) == pytest.approx(10, abs=2)
    # Larger.
    assert show((100, 50, 40, 80), 60) == pytest.approx(60, abs=2)
    # Larger still, but predicted, half outside, behind a person, hardly recognised.
    assert show((100, 50, 60, 120), 200, score=0.0) == pytest.approx(60, abs=2)
    assert show((-40, 50, 80, 160), 200) == pytest.approx(60, abs=2)
    behind = [(110, 60, 60, 120)]
    assert show((100, 50, 60, 120), 200, others=behind) == pytest.approx(60, abs=2)
    assert show((100, 50, 50, 100), 200, score=0.5) == pytest.approx(60, abs=2)
    assert show((100, 50, 60, 120), 200) == pytest.approx(200, abs=2)


def test_the_scene_is_the_emptiest_image():
    seen = Observations()
    for count, grey in ((1, 30), (0, 90), (1, 200)):
        add(seen, 0, [1] * count, BOX[:count], [0.9] * count, np.full_like(IMAGE, grey))
    scene = cv2.imdecode(np.frombuffer(seen.scene, np.uint8), 1)
    assert scene.mean() == pytest.approx(90, abs=2)
    assert seen.size == (320, 240)


def test_nothing_of_a_name_gets_into_the_page():
    evil = '</script><script>alert("1")</script>&'
    plain = make_page(watched([1.0]), 'name', {})
    page = make_page(watched([1.0]), evil, {'detector.model': evil, 'a $name': True}, evil)
    assert page.count('<script') == plain.count('<script')
    found = data_of(page)
    assert (found['name'], found['note'], found['settings']['detector.model']) == (evil,) * 3
    assert found['settings']['a $name'] == 'true'


def test_times_of_a_bag_are_told():
    start = 1_795_762_800
    assert data_of(make_page(watched([1.0], start * SECOND), 'bag', {}))['start'] == start * 1e3
    assert data_of(make_page(watched([1.0]), 'video', {}))['start'] is None


@pytest.mark.parametrize('images', [0, 1, 3])
def test_nobody(images):
    seen = Observations()
    for number in range(images):
        add(seen, number * SECOND, [], np.empty((0, 4)), [])
    found = data_of(make_page(seen, 'empty', {}))
    assert (found['persons'], found['images']) == ([], images)


def test_without_pictures():
    seen = Observations(pictures=False)
    add(seen, 0, [7], BOX, [0.9], IMAGE)
    page = make_page(seen, 'video', {})
    assert 'image/jpeg' not in page
    assert [person['id'] for person in data_of(page)['persons']] == [7]


def test_moments_and_places(tmp_path):
    """Stays, events, pictures of moments and the heat map of one person."""
    path = tmp_path / 'zones.yaml'
    path.write_text(
        'image_size: [320, 240]\nzones: {left: [[0, 0], [160, 0], [160, 240], [0, 240]]}'
    )
    zones = Zones.load(path)
    counter, seen = ZoneCounter(zones), Observations()
    for tenth in range(80):
        box = BOX + [2 * tenth, 0, 0, 0]
        events = counter.update(tenth * SECOND // 10, [7], zones.positions(box))
        add(seen, tenth * SECOND // 10, [7], box, [0.9], IMAGE, events)
    seen.zones = zones
    found = data_of(make_page(seen, 'video', {}))
    assert found['zones'] == {'left': [[0, 0], [160, 0], [160, 240], [0, 240]]}
    assert [event[1:] for event in found['events']] == [
        [7, 'left', 'entered'],
        [7, 'left', 'left'],
    ]
    # Over the border at 160 by 1.5 % of 320.
    assert found['events'][1][0] == pytest.approx(2.3, abs=0.11)
    (person,) = found['persons']
    assert [moment[1] for moment in person['moments']] == [
        *('from', 'left: entered', 'left: left', 'to'),
    ]
    assert sum(map(sum, found['heat'])) == pytest.approx(7.9, abs=2)


def test_pictures_of_those_who_were_there_longest(monkeypatch):
    monkeypatch.setattr(page_module, 'PICTURES', 30_000)
    seen = Observations()
    for second in range(40):
        boxes = np.array([(16 * id_ % 320, 16, 15, 15) for id_ in range(second, 40)], dtype=float)
        add(seen, second * SECOND // 2, range(second, 40), boxes, [0.9] * len(boxes), IMAGE)
    found = data_of(make_page(seen, 'crowd', {}))['persons']
    pictured = [person['id'] for person in found if person['picture']]
    assert len(found) == 40
    # Those with higher numbers stay longer.
    assert pictured == list(range(40 - len(pictured), 40)) != []


def test_thousands_of_persons():
    seen = Observations((100, 100))
    walk = np.random.default_rng(1).uniform(0, 60, (60, 2))
    for id_ in range(2000):
        for number, (x, y) in enumerate(walk):
            box = np.array([[x, y, 20, 40.0]])
            add(seen, (60 * id_ + number) * 10**9, [id_], box, [0.9])
    assert len(make_page(seen, 'x', {})) < 1_300_000


def test_a_page_is_complete_or_absent(tmp_path, monkeypatch):
    path = tmp_path / 'page.html'
    with pytest.raises(ZeroDivisionError), write_report(path, 'video', {}):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    # File names need not be UTF-8.
    with write_report(path, 'a\udcff.mp4', {}) as report:
        report.add(0, [], IMAGE)
    text = path.read_text()
    assert text.endswith('</html>\n')
    assert 'a?.mp4' in text
    assert data_of(text)['scene'].startswith('data:image/jpeg;base64,/9j/')
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
