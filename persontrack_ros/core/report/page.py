"""The page of a report: one self-contained HTML file, whose script shows the data in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, Optional

from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.settings import Value
from persontrack_ros.core.drawing import ink, track_color
from persontrack_ros.core.report.observations import Observations, Person

# Bytes of all pictures of persons: those who were there longest have theirs. The other data of
# each person takes some of it.
PICTURES = 1_800_000
_PERSON = 200

# Points of all paths, at most; of more, every second one is left out.
_POINTS = 50_000

# An absolute time, rather than one since the start of a video, is later than 1980.
_ABSOLUTE = 315_532_800 * SECOND


@contextmanager
def write_report(
    path: Path,
    name: str,
    settings: Mapping[str, Value],
    size: Optional[tuple[int, int]] = None,
    note: str = '',
    pictures: bool = True,
) -> Iterator[Observations]:
    """
    Write a page that shows who was there, and when, from the data that a context has added.

    The file is complete, or absent after an error.

    :param name: name of the source.
    :param settings: the parameters in use, by name.
    :param size: width and height of the images, if no image is given.
    :param note: more text for the head of the page.
    :param pictures: show pictures of persons and of the scene.
    :raises OutputError: if the file cannot be written.
    """
    with OutputFile(path) as file:
        seen = Observations(size, pictures)
        yield seen
        # File names need not be UTF-8.
        file.write(make_page(seen, name, settings, note).encode(errors='replace'))


def make_page(seen: Observations, name: str, settings: Mapping[str, Value], note: str = '') -> str:
    """Return a report as HTML; the parameters are those of :func:`write_report`."""
    template = resources.files(__package__).joinpath('page.html').read_text(encoding='utf-8')
    left = PICTURES - _PERSON * len(seen.persons)
    persons = []
    for id_, person in sorted(seen.persons.items(), key=lambda item: -item[1].present):
        values = _person(id_, person)
        pictures = [values['picture'] or '', *(moment[2] for moment in values['moments'])]
        left -= sum(map(len, pictures))
        if left < 0:
            values.update(picture=None, moments=[])
        persons.append(values)
    ways = [way for values in persons for way in values['ways']]
    while sum(map(len, ways)) > max(_POINTS, 2 * len(ways)):
        for way in ways:
            way[:] = [*way[:-1:2], way[-1]]
    width, counts = seen.counts
    data = {
        'name': name,
        'note': note,
        'start': seen.start / 1e6 if seen.start >= _ABSOLUTE else None,
        'duration': round(seen.duration, 3),
        'images': seen.images,
        'most': seen.most,
        'size': seen.size or (1, 1),
        'scene': seen.scene and _jpeg(seen.scene),
        'persons': sorted(persons, key=lambda values: (values['visits'][0][0], values['id'])),
        'counts': [width, counts],
        'heat': [[round(each, 1) for each in row] for row in seen.heat.tolist()],
        'events': [
            (round(time, 2), event.id, event.name, event.event) for time, event in seen.events
        ],
        'lines': {
            name: [line.points.round().tolist(), line.left, line.right]
            for name, line in (seen.zones.lines.items() if seen.zones else ())
        },
        'zones': {
            name: corners.round().tolist()
            for name, corners in (seen.zones.zones.items() if seen.zones else ())
        },
        'settings': {key: _value(value) for key, value in settings.items()},
    }
    # In a script, only these characters could end it.
    text = json.dumps(data, separators=(',', ':')).replace('<', '\\u003c')
    return Template(template).substitute(name=escape(name), data=text)


def _person(id_: int, person: Person) -> dict[str, Any]:
    return {
        'id': id_,
        'color': _css(track_color(id_)),
        'ink': _css(ink(track_color(id_))),
        'visits': [(round(first, 2), round(last, 2)) for first, last in person.visits],
        'ways': [[(round(x, 3), round(y, 3)) for x, y in way] for way in person.ways],
        'picture': person.picture and _jpeg(person.picture),
        'moments': [
            (round(time, 2), what, _jpeg(picture)) for time, what, picture in person.all_moments()
        ],
    }


def _value(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _css(color: tuple[int, int, int]) -> str:
    """Return a BGR colour for a style."""
    blue, green, red = color
    return f'#{red:02x}{green:02x}{blue:02x}'


def _jpeg(content: bytes) -> str:
    return f'data:image/jpeg;base64,{base64.b64encode(content).decode()}'
