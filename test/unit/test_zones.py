"""Lines, zones and the events of persons."""

import csv
import json
from itertools import pairwise

import numpy as np
import pytest

from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.report.events import PATIENCE, ZoneCounter
from persontrack_ros.core.report.table import EVENT_COLUMNS, TableWriter, event_rows
from persontrack_ros.core.report.zones import Zones

FRAME = 100_000_000

FILE = """
lines:
  door: {points: [[0.2, 0.5], [0.8, 0.5]], left: out, right: in}
  corner: {points: [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}
zones:
  queue: [[0.4, 0.6], [0.6, 0.6], [0.6, 0.9], [0.4, 0.9]]
"""


def load(tmp_path, text):
    path = tmp_path / 'zones.yaml'
    path.write_text(text)
    return Zones.load(path)


@pytest.fixture
def counter(tmp_path):
    return ZoneCounter(load(tmp_path, FILE).in_pixels(1000, 1000))


def walk(counter, *points, start=0):
    """Walk along points, 10 images for each way; return the names and kinds of events."""
    events = counter.update(start, [1], np.array(points[:1], dtype=float))
    for first, last in pairwise(points):
        for position in np.linspace(first, last, 11)[1:]:
            start += FRAME
            events += counter.update(start, [1], position[None])
    return [(event.name, event.event) for event in events]


IN, OUT = ('door', 'in'), ('door', 'out')


@pytest.mark.parametrize(
    ('points', 'expected'),
    [
        # Walking from its left end to its right one, the right hand is below on the screen.
        ([(300, 400), (300, 590)], [IN]),
        ([(300, 590), (300, 400)], [OUT]),
        # Around its end.
        ([(150, 400), (150, 590)], []),
        # On the line within the margin of 15 pixels, then back, or over it.
        ([(300, 450), (300, 510), (310, 490), (320, 512), (300, 450)], []),
        ([(300, 450), (300, 512), (300, 490), (300, 550)], [IN]),
        ([(300, 400), (300, 590), (300, 400)], [IN, OUT]),
        # Exactly through the corner of a line of two parts, and over both of them.
        ([(950, 50), (850, 150)], [('corner', 'right')]),
        ([(850, 50), (850, 150), (950, 150)], [('corner', 'right'), ('corner', 'left')]),
        # Over the border of a zone, along it, and in it from the start.
        ([(300, 700), (500, 700), (500, 950)], [('queue', 'entered'), ('queue', 'left')]),
        ([(300, 700), (412, 700), (390, 700), (412, 750), (300, 700)], []),
        ([(500, 700), (500, 710)], [('queue', 'entered')]),
    ],
)
def test_events_of_one_person(counter, points, expected):
    assert walk(counter, *points) == expected
    assert sum(counter.counts.values()) == len(expected)


def test_who_is_missed_for_a_moment_has_not_left(counter):
    walk(counter, (500, 700), (500, 710))
    assert counter.inside('queue') == [1]
    # Missed, and meanwhile on the other side of the line.
    assert not counter.update(FRAME * 10 + PATIENCE, [], np.empty((0, 2)))
    events = counter.update(FRAME * 10 + PATIENCE, [1], np.array([[500.0, 420.0]]))
    assert {(event.name, event.event) for event in events} == {('queue', 'left'), OUT}


def test_who_is_gone_has_left_when_last_seen(counter):
    walk(counter, (500, 700), (500, 710))
    (event,) = counter.update(FRAME * 11 + PATIENCE, [], np.empty((0, 2)))
    assert (event.event, event.stamp, event.position) == ('left', 10 * FRAME, (500, 710))
    assert counter.inside('queue') == []
    # Who comes back elsewhere has crossed nothing on the way.
    assert walk(counter, (300, 400), (310, 400), start=FRAME * 100) == []


def test_pixels_and_metres(tmp_path):
    pixels = load(tmp_path, 'image_size: [200, 100]\nzones: {z: [[0, 0], [200, 0], [200, 100]]}')
    assert pixels.in_pixels(200, 100).margin == 3
    with pytest.raises(PersontrackError, match=r'200x100, but this one is 400x200'):
        pixels.in_pixels(400, 200)
    metres = load(tmp_path, 'frame: map\nlines: {l: {points: [[-1, 2], [3, 2]]}}')
    with pytest.raises(PersontrackError, match=r'metres of map'):
        metres.in_pixels(200, 100)
    # In a map, y points to the left of x.
    assert walk(ZoneCounter(metres), (0, 0), (0, 4)) == [('l', 'left')]


def test_images_of_another_size(tmp_path):
    counter = ZoneCounter(load(tmp_path, FILE))
    assert counter.fit((1000, 1000))
    assert walk(counter, (500, 750)) == [('queue', 'entered')]
    assert not counter.fit((1000, 1000))
    assert counter.fit((100, 100))
    assert walk(counter, (50, 75), (50, 30), start=FRAME) == [('queue', 'left'), OUT]


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'neither lines nor zones'),
        ('[1, 2]', 'neither lines nor zones'),
        ('zones: {a: [[0, 0], [1, 1]]}', 'a needs at least 3 points'),
        ('zones: {a: [[0, 0], [0.5, 0.5], [1, 1]]}', 'lie on one line'),
        ('lines: {a: {points: [[0, 0]]}}', 'at least 2 points'),
        ('lines: {a: {points: [[0, 0], [0, 0]]}}', 'same point twice'),
        ('lines: {a: {points: [[0, 0], [1.2, 0]]}}', 'outside of the image'),
        ('image_size: [9, 9]\nlines: {a: {points: [[0, 0], [20, 1]]}}', 'outside of the image'),
        ('lines: {a: {points: [[0, 0], [1, .nan]]}}', 'expected .x, y.'),
        ('lines: {a: [[0, 0], [1, 1]]}', 'the line a has no points'),
        ('lines: {a: {points: [[0, 0], [1, 1]], left: x, right: x}}', 'both directions'),
        ('lines: {a: {points: [[0, 0], [1, 1]], in: x}}', 'the line a has in; known are'),
        ('lines: {a: {points: [[0, 0], [1, 1]], left: on}}', 'is True, expected a letter'),
        ('lines: {a b: {points: [[0, 0], [1, 1]]}}', "is 'a b', expected a letter"),
        ('zones: {a: [[0, 0], [1, 0], [1, 1]], a: [[0, 0], [1, 0], [1, 1]]}', 'occurs twice'),
        (
            'zones: {a: [[0, 0], [1, 0], [1, 1]]}\nlines: {a: {points: [[0, 0], [1, 1]]}}',
            'both called a',
        ),
        ('frame: map\nimage_size: [9, 9]\nlines: {a: {points: [[0, 0], [1, 1]]}}', 'not both'),
        ('margin: -1\nlines: {a: {points: [[0, 0], [1, 1]]}}', 'margin is -1'),
        ('margin: 8\nlines: {a: {points: [[0, 0], [1, 1]]}}', 'less than the width'),
        ('anchor: [feet]\nlines: {a: {points: [[0, 0], [1, 1]]}}', 'expected one of feet'),
        ('zones: {a: [[0, 0], [1, 0], [0, 1], [1, 1]]}', 'or cross over'),
        ('anchor: toe\nlines: {a: {points: [[0, 0], [1, 1]]}}', 'expected one of feet'),
        ('colour: red\nlines: {a: {points: [[0, 0], [1, 1]]}}', 'has colour; known are'),
    ],
)
def test_wrong_files(tmp_path, text, reason):
    with pytest.raises(PersontrackError, match=reason) as error:
        load(tmp_path, text)
    assert str(tmp_path) in str(error.value)


def test_tables(tmp_path, counter):
    events = counter.update(FRAME, [7], np.array([[500.0, 700.0]]))
    for suffix in ('.csv', '.jsonl'):
        with TableWriter(tmp_path / f'events{suffix}', EVENT_COLUMNS) as table:
            table.add(event_rows(events))
    expected = dict(zip(EVENT_COLUMNS, (0.1, 7, 'zone', 'queue', 'entered', 500, 700)))
    assert json.loads((tmp_path / 'events.jsonl').read_text()) == expected
    with (tmp_path / 'events.csv').open() as file:
        (row,) = csv.DictReader(file)
    assert row == {key: str(value) for key, value in expected.items()} | {
        'x': '500.0',
        'y': '700.0',
    }
