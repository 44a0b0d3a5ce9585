"""The page of faults says what is tested, and nothing else."""

from __future__ import annotations

from table import DRIVERS, TESTS, rows, tables


def test_the_page_has_the_tables():
    """If not, put what `python test/faults/table.py` prints between the marks."""
    page = (TESTS.parent / 'docs' / 'faults.md').read_text(encoding='utf-8')
    _, _, rest = page.partition('<!-- faults -->\n')
    assert rest.partition('\n<!-- /faults -->')[0] == tables()


def test_every_fault_is_one():
    faults = [row.fault for row in rows()]
    assert len(faults) >= 250
    assert len(set(faults)) == len(faults)
    assert {row.driver for row in rows()} == set(DRIVERS)
