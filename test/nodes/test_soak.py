"""tools/soak.py, for seconds, and its verdict."""

from __future__ import annotations

import pytest
import soak

from persontrack_ros.core.media.source import SourceOptions, VideoSource


def rows(count, **last):
    """Return what a good run measures, and other numbers in its second half."""
    good = dict.fromkeys((*soak.MEASURED, *soak.FATES, 'sent', 'published', 'hours', 'load'), 0.0)
    return [{**good, **(last if index >= count // 2 else {})} for index in range(count)]


@pytest.mark.parametrize(
    ('last', 'problem'),
    [
        ({'anonymous_mb': 4.9, 'pss_mb': 50.0}, None),
        ({'anonymous_mb': 5.0}, 'grown by 5.0 MB'),
        ({'published': 7.0, 'processed': 4.0, 'dropped': 1.0, 'failed': 1.0, 'paused': 1.0}, None),
        ({'published': 7.0, 'processed': 6.0}, '+1 images are missing'),
        ({'published': 7.0, 'processed': 8.0}, '-1 images are missing'),
    ],
)
def test_the_verdict(last, problem):
    warm_up = [{**row, 'anonymous_mb': -200.0} for row in rows(4)]  # is left out
    text, is_good = soak.report(warm_up + rows(36, **last))
    assert is_good is (problem is None)
    assert (problem or 'images published') in text
    assert is_good == ('Not good' not in text)


@pytest.mark.slow
def test_a_run(models, data, own_graph, monkeypatch, tmp_path):
    """Two cameras, one after the other: each image is damaged, paused, dropped or processed."""
    monkeypatch.setattr(soak, '_VISIT', 2.0)
    with VideoSource(str(data('videos/vtest.avi')), SourceOptions(loop=True)) as video:
        result = soak.soak(iter(video), {'reid.model': 'none'}, 0.0, tmp_path)
    assert [row['published'] for row in result] == [20, 40]
    for number, row in enumerate(result, start=1):
        assert row['sent'] == row['published'] == sum(row[fate] for fate in soak.FATES)
        assert row['failed'] <= number
        assert row['processed'] > 0
        assert row['threads'] > 1
        assert row['anonymous_mb'] > 50
    assert len((tmp_path / 'soak.csv').read_text().splitlines()) == 3
