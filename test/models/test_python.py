"""The tracker for programs in Python, as docs/python.md has it."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import persontrack_ros
from persontrack_ros import PersonTracker
from persontrack_ros.core.errors import SourceError

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'python.md'


def test_what_the_page_shows_happens(campus, models):
    result = doctest.testfile(str(PAGE), module_relative=False, globs={'video': str(campus)})
    assert result.attempted > 12
    assert result.failed == 0


def test_the_five_lines(campus, models, tmp_path):
    code = re.search(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)[1]
    video = str(campus)
    done = subprocess.run(
        [sys.executable, '-c', code.replace('video.mp4', video)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 200
    assert re.fullmatch(r'\d\.\d\d s: person \d+ at \[.+\]', lines[-1])


def test_the_page_has_what_is_public():
    rows = re.findall(r'^\| `(\w+)\b', PAGE.read_text(), re.MULTILINE)
    assert {row for row in rows if row != 'tracker'} == set(persontrack_ros.__all__)
    for name in persontrack_ros.__all__:
        assert getattr(persontrack_ros, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        persontrack_ros.anything  # noqa: B018 - that it cannot be had is what is tested


def test_to_import_it_costs_nothing():
    code = (
        'import sys, persontrack_ros; print([m for m in ("openvino", "cv2") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[]'


def test_each_video_begins_anew(campus, models):
    tracker = PersonTracker(reid={'model': 'color'})

    def ids():
        return [[person.id for person in seen.tracks] for seen in tracker.watch(campus)]

    first = ids()
    assert ids() == first
    # Also after somebody looked at a part of it only, or at all of it at once.
    next(tracker.watch(campus))
    assert sum(1 for _ in tracker.watch(campus, offline=True)) == len(first)
    assert ids() == first


def test_a_source_that_cannot_be_read(models):
    with pytest.raises(SourceError, match=r'missing\.mp4'):
        next(PersonTracker().watch('missing.mp4'))


def test_two_persons(campus, models):
    tracker = PersonTracker()
    *_, seen = tracker.watch(campus)
    pictures = []
    for person in seen.tracks[:2]:
        left, top, width, height = np.maximum(person.box, 0).astype(int)
        pictures.append(seen.image[top : top + height, left : left + width])
    assert tracker.compare(pictures[0], pictures[0]).similarity == pytest.approx(1, abs=1e-3)
    likeness = tracker.compare(*pictures)
    assert not likeness.same
    assert likeness.similarity < likeness.limit
    assert 'of pairs of one person' in likeness.sure
