"""The page of a report: one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Optional

from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.settings import Value
from persontrack_ros.core.drawing import ink, track_color
from persontrack_ros.core.report.observations import Observations, Person

# An absolute time, rather than one since the start of a video, is later than 1980.
_ABSOLUTE = 315_532_800 * SECOND


@contextmanager
def write_report(
    path: Path,
    name: str,
    settings: Mapping[str, Value],
    size: Optional[tuple[int, int]] = None,
    note: str = '',
) -> Iterator[Observations]:
    """
    Write a page that shows who was there, and when, from the data that a context has added.

    The file is complete, or absent after an error.

    :param name: name of the source.
    :param settings: the parameters in use, by name.
    :param size: width and height of the images, if no image is given.
    :param note: more text for the head of the page.
    :raises OutputError: if the file cannot be written.
    """
    with OutputFile(path) as file:
        seen = Observations(size)
        yield seen
        # File names need not be UTF-8.
        file.write(make_page(seen, name, settings, note).encode(errors='replace'))


def make_page(seen: Observations, name: str, settings: Mapping[str, Value], note: str = '') -> str:
    """Return a report as HTML; the parameters are those of :func:`write_report`."""
    template = resources.files(__package__).joinpath('page.html').read_text(encoding='utf-8')
    start = ''
    if seen.start >= _ABSOLUTE:
        begin = datetime.fromtimestamp(seen.start / SECOND, timezone.utc)
        start = f'Times count from {begin:%Y-%m-%d %H:%M:%S} UTC. '
    # As in a parameter file: true and false.
    values = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in settings.items()
    }
    facts = {
        'persons': len(seen.persons),
        'at most at once': seen.most,
        'duration': _clock(seen.duration),
        'images': seen.images,
    }
    return Template(template).substitute(
        name=escape(name),
        about=escape(start + note),
        facts=''.join(
            f'<div><dt>{key}</dt><dd>{value}</dd></div>' for key, value in facts.items()
        ),
        persons=_persons(seen),
        counts=_counts(seen),
        scene=_scene(seen),
        settings=''.join(
            f'<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>'
            for key, value in values.items()
        ),
    )


def _persons(seen: Observations) -> str:
    if not seen.persons:
        return '<p>Nobody.</p>'
    pictures = any(person.picture for person in seen.persons.values())
    first = sorted(seen.persons.items(), key=lambda item: (item[1].visits[0][0], item[0]))
    rows = (_row(seen, id_, person, pictures) for id_, person in first)
    return (
        f'<table class="persons"><thead><tr>{"<td></td>" if pictures else ""}'
        '<th scope="col">id</th><th scope="col" class="wide">from</th>'
        '<th scope="col" class="wide">to</th><th scope="col">present</th>'
        f'<th scope="col" class="time">{_axis(seen)}</th></tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table>'
    )


def _axis(seen: Observations) -> str:
    times = (f'<span>{_clock(part * seen.duration)}</span>' for part in (0, 0.5, 1))
    return f'<div class="axis">{"".join(times)}</div>'


def _row(seen: Observations, id_: int, person: Person, pictures: bool) -> str:
    whole, color = max(seen.duration, 1e-9), track_color(id_)
    bars = ''.join(
        f'<span style="left:{100 * first / whole:.2f}%;width:{100 * (last - first) / whole:.2f}%;'
        f'background:{_css(color)}" title="{_clock(first)} to {_clock(last)}"></span>'
        for first, last in person.visits
    )
    picture = '<span class="face"></span>'
    if person.picture:
        picture = f'<img class="face" alt="person {id_}" src="{_data(person.picture)}">'
    return (
        f'<tr data-id="{id_}">{f"<td>{picture}</td>" if pictures else ""}<td><span class="id" '
        f'style="background:{_css(color)};color:{_css(ink(color))}">{id_}</span></td>'
        f'<td class="wide">{_clock(person.visits[0][0])}</td>'
        f'<td class="wide">{_clock(person.visits[-1][1])}</td>'
        f'<td>{_clock(person.present)}</td><td class="time"><div class="bar">{bars}</div></td>'
        '</tr>'
    )


def _counts(seen: Observations) -> str:
    """Return a chart of steps."""
    width = seen.interval
    top, end = max(1, seen.most), max(seen.duration, width)
    steps = (
        f'{min(index * width, end):.1f} {top - number}H{min((index + 1) * width, end):.1f}'
        for index, number in enumerate(seen.counts)
    )
    line = f'M{"L".join(steps)}'
    numbers = ''.join(f'<span>{number}</span>' for number in sorted({0, top}, reverse=True))
    return (
        f'<div class="chart"><div class="numbers">{numbers}</div>'
        f'<svg viewBox="0 0 {end:.1f} {top}" preserveAspectRatio="none" role="img" '
        f'aria-label="Number of persons over time, at most {seen.most}">'
        f'<path d="{line}V{top}H0Z" fill="var(--area)"/><path d="{line}" fill="none" '
        f'stroke="var(--edge)" stroke-width="2" vector-effect="non-scaling-stroke"/></svg>'
        f'{_axis(seen)}</div>'
    )


def _scene(seen: Observations) -> str:
    """Return the paths over an image of the scene."""
    width, height = seen.size or (1, 1)
    background = '<rect width="100%" height="100%" fill="var(--line)"/>'
    if seen.scene:
        background = f'<image href="{_data(seen.scene)}" width="{width}" height="{height}"/>'
    line = max(width, height) / 400
    ways = ''.join(
        f'<polyline points="{" ".join(f"{x * width:.0f},{y * height:.0f}" for x, y in way)}" '
        f'stroke="{_css(track_color(id_))}"><title>person {id_}</title></polyline>'
        for id_, person in seen.persons.items()
        for way in person.ways
    )
    return (
        ('' if seen.scene else '<p>There are no images to show.</p>')
        + f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Ways of the persons" '
        f'fill="none" stroke-width="{line:.1f}" stroke-linejoin="round" stroke-linecap="round">'
        f'{background}{ways}</svg>'
    )


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}' if hours else f'{minutes}:{rest:02}'


def _css(color: tuple[int, int, int]) -> str:
    """Return a BGR colour for a style."""
    blue, green, red = color
    return f'#{red:02x}{green:02x}{blue:02x}'


def _data(jpeg: bytes) -> str:
    return f'data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}'
